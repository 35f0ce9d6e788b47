//! Instants as the databases write them: text, UTC, `2026-11-11 00:00:00.123`.
//!
//! Text goes both ways: every dialect reads it, and proxies hand it through untouched.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::error::Failure;
use super::sql::{Row, unexpected};

/// Cut to milliseconds, not rounded: what MySQL would do to more digits is not what SQLite would.
const WRITTEN: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");
const READ: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond]");

pub(super) fn to_database(instant: OffsetDateTime) -> String {
    // The format asks only for parts that every instant has, so formatting cannot fail.
    instant.to_offset(UtcOffset::UTC).format(WRITTEN).unwrap_or_default()
}

pub(super) fn from_database(row: &Row, index: usize) -> Result<OffsetDateTime, Failure> {
    let instant = PrimitiveDateTime::parse(row.text(index)?, READ).map_err(|_| unexpected(index))?;
    Ok(instant.assume_utc())
}

/// As [`from_database`], of a column that may be NULL.
pub(super) fn optional_from_database(row: &Row, index: usize) -> Result<Option<OffsetDateTime>, Failure> {
    row.optional_text(index)?.map(|_| from_database(row, index)).transpose()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::sql::Cell;
    use super::*;

    #[test]
    fn instants_are_written_in_utc_and_read_back_to_the_microsecond() {
        assert_eq!(to_database(datetime!(2026-11-11 08:00:00.123999 +8)), "2026-11-11 00:00:00.123");
        for (text, expected) in [
            ("2026-11-11 00:00:00.123", datetime!(2026-11-11 00:00:00.123 UTC)),
            ("2026-11-11 00:00:00.123456", datetime!(2026-11-11 00:00:00.123456 UTC)),
        ] {
            let row = Row(vec![Cell::Text(text.to_owned())]);
            assert_eq!(from_database(&row, 0).expect("valid"), expected);
        }
        assert!(from_database(&Row(vec![Cell::Text("noon".to_owned())]), 0).is_err());
    }
}
