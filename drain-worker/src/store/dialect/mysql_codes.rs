//! The meaning of MySQL's error numbers. MariaDB's are the same up to 1900; above, only the listed ones are shared.

use super::super::error::{Classified, ErrorClass};

/// Classifies an error number.
///
/// An unlisted number is classified by its SQLSTATE class. One that says nothing (HY000, and inventions of proxies)
/// is [`ErrorClass::Unknown`]: an order becomes a dead letter for it only if it fails alone and repeatedly while its dead
/// letter can be written, because treating an unknown outage as a fault of the rows would produce masses of them.
pub(super) fn classify(number: u16, state: Option<&str>) -> Classified {
    match number {
        1213 => (ErrorClass::Contention, "deadlock"),
        1205 => (ErrorClass::Locked, "waited too long for a lock"),
        // MySQL's answer to NOWAIT; MariaDB's is 1205.
        3572 => (ErrorClass::Locked, "another transaction has the lock"),
        1020 => (ErrorClass::Contention, "a row changed since it was read"),
        1412 | 1615 => (ErrorClass::Contention, "the table's definition changed"),
        1062 | 1586 => (ErrorClass::DuplicateKey, "a row of this key exists"),

        1040 | 1203 | 1226 | 1129 => (ErrorClass::Transient, "too many connections"),
        1053 | 1077..=1079 => (ErrorClass::Transient, "the server is shutting down"),
        1290 | 1792 | 1836 => (ErrorClass::Transient, "the server is read-only, probably a failover"),
        1317 | 1927 | 4031 => (ErrorClass::Transient, "the connection was ended"),
        1969 | 3024 => (ErrorClass::Transient, "the statement took longer than the server allows"),
        1152 | 1154..=1161 | 1184 | 2006 | 2013 => (ErrorClass::Transient, "the connection broke"),
        1021 | 1114 => (ErrorClass::Transient, "the disk or the table is full"),
        1037 | 1038 | 1041 | 1135 => (ErrorClass::Transient, "the server is out of memory"),
        1461 => (ErrorClass::Transient, "too many prepared statements"),
        1243 => (ErrorClass::Transient, "the server does not know the prepared statement"),

        // Fewer rows make a smaller statement, so splitting the batch helps.
        1153 | 1390 => (ErrorClass::Row, "the statement is too large"),
        1406 => (ErrorClass::Row, "a value is too long"),
        1264 | 1690 => (ErrorClass::Row, "a number is out of range"),
        1265 | 1292 | 1366 | 1367 | 3854 => (ErrorClass::Row, "a value does not fit its column"),
        1048 | 1364 => (ErrorClass::Row, "a value is missing"),
        3819 | 4025 => (ErrorClass::Row, "a constraint is violated"),
        1216 | 1217 | 1451 | 1452 => (ErrorClass::Row, "a foreign key is violated"),
        1644 => (ErrorClass::Row, "a trigger rejects the row"),

        1044 | 1045 | 1130 | 1142 | 1143 | 1227 | 1370 => (ErrorClass::Fatal, "access is denied"),
        1049 => (ErrorClass::Fatal, "the database does not exist"),
        1054 => (ErrorClass::Fatal, "a column does not exist"),
        1146 => (ErrorClass::Fatal, "a table does not exist"),
        1193 | 1229 | 1231 | 1238 => (ErrorClass::Fatal, "the server does not accept a setting"),
        1845 | 1846 => (ErrorClass::Fatal, "the server cannot change the table in this way"),
        1665 => (ErrorClass::Fatal, "READ COMMITTED needs binlog_format ROW or MIXED"),

        _ => by_state(state.unwrap_or_default()),
    }
}

fn by_state(state: &str) -> Classified {
    match state.get(..2).unwrap_or_default() {
        "08" => (ErrorClass::Transient, "the connection broke"),
        "40" => (ErrorClass::Contention, "the server rolled the transaction back"),
        "21" | "22" | "23" | "44" | "45" => (ErrorClass::Row, "the row is not acceptable"),
        "28" => (ErrorClass::Fatal, "access is denied"),
        "42" => (ErrorClass::Fatal, "the server does not accept the statement"),
        _ => (ErrorClass::Unknown, "an unknown error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_map_to_error_classes() {
        for (number, state, class) in [
            (1213, "40001", ErrorClass::Contention),
            (1205, "HY000", ErrorClass::Locked),
            (3572, "HY000", ErrorClass::Locked),
            (1062, "23000", ErrorClass::DuplicateKey),
            (1040, "08004", ErrorClass::Transient),
            (1053, "08S01", ErrorClass::Transient),
            (1290, "HY000", ErrorClass::Transient),
            (1792, "25006", ErrorClass::Transient),
            (1836, "HY000", ErrorClass::Transient),
            (1153, "08S01", ErrorClass::Row),
            (1406, "22001", ErrorClass::Row),
            (4025, "23000", ErrorClass::Row),
            (1644, "45000", ErrorClass::Row),
            (1045, "28000", ErrorClass::Fatal),
            (1146, "42S02", ErrorClass::Fatal),
            (1229, "HY000", ErrorClass::Fatal),
            // Not listed: by their state.
            (60_001, "22999", ErrorClass::Row),
            (60_001, "08001", ErrorClass::Transient),
            (60_001, "40002", ErrorClass::Contention),
            (60_001, "42000", ErrorClass::Fatal),
            (60_001, "HY000", ErrorClass::Unknown),
            (1997, "C1997", ErrorClass::Unknown),
        ] {
            assert_eq!(classify(number, Some(state)).0, class, "{number} {state}");
        }
        assert_eq!(classify(60_001, None).0, ErrorClass::Unknown);
    }
}
