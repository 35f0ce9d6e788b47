//! SQLite: the embedded store, for one machine and for trying things out. Same tables, same promises.

use std::str::FromStr;
use std::time::Duration;

use shared::config::DatabaseUrl;
use sqlx::ConnectOptions;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::super::config::StoreConfig;
use super::super::error::{Class, Classified, Failure, Fault, classify, identifier_after};
use super::{Dialect, Pools};

/// SQLite.
pub(in super::super) struct Sqlite;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// Most attempts at migrating while others do the same: SQLite has no lock that outlives a transaction.
const MIGRATION_RUNS_MAX: u32 = 10;

impl Dialect for Sqlite {
    type Database = sqlx::Sqlite;

    // Takes the one write lock at once: a transaction that read first could not upgrade under another writer.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    const FOR_UPDATE: &'static str = "";
    const FOR_UPDATE_NOW: &'static str = "";
    const FOR_SHARE: &'static str = "";
    const NOW_US: &'static str = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)";
    const NOW: &'static str = "strftime('%Y-%m-%d %H:%M:%f', 'now')";
    const ADD_TO_PURCHASES: &'static str =
        " ON CONFLICT (sale_id, user_id, sku) DO UPDATE SET quantity = quantity + excluded.quantity";
    const SET_PURCHASES: &'static str =
        " ON CONFLICT (sale_id, user_id, sku) DO UPDATE SET quantity = excluded.quantity";
    const KEEP_CONFLICT: &'static str = " ON CONFLICT (order_id, payload_digest) DO NOTHING";
    const KEEP_GROUP: &'static str = " ON CONFLICT (group_id) DO NOTHING";
    const UPDATE_LETTER: &'static str = " ON CONFLICT (dedup_key) DO UPDATE SET reason = excluded.reason, \
         detail = excluded.detail, payload = excluded.payload, \
         message_id = COALESCE(excluded.message_id, message_id), attempts = attempts + 1, \
         last_failed_at = excluded.last_failed_at WHERE discarded_at IS NULL";
    const UPDATE_TERMS: &'static str = " ON CONFLICT (sale_id, sku) DO UPDATE SET stock_total = excluded.stock_total, \
         per_user_limit = excluded.per_user_limit";
    const STRICT_MODE_QUERY: Option<&'static str> = None;

    fn open(url: &DatabaseUrl, config: &StoreConfig) -> Result<Pools<Self::Database>, Failure> {
        if url.expose().contains(":memory:") || url.expose().contains("mode=memory") {
            // Each connection would have a database of its own, and discarding one would discard its orders.
            let fault = Fault::new("read the database's address", "SQLite needs a file");
            return Err(Failure::fatal(fault));
        }
        let options = SqliteConnectOptions::from_str(url.expose())
            .map_err(|error| Self::classify("read the database's address", &error))?
            .statement_cache_capacity(config.statements_max.get() as usize)
            .busy_timeout(config.acquire_timeout)
            .disable_statement_logging();
        let writer = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL would keep a committed order through a kill of the process, but not through a loss of power;
            // the broker forgets an order once it is committed here, so FULL: one sync a batch.
            .synchronous(SqliteSynchronous::Full)
            // Order ids are spread evenly, so every batch touches pages all over the table: keep 64 MiB of them.
            .pragma("cache_size", "-65536");
        // SQLite has one writer at a time; waiting for a connection is fairer than waiting for its lock.
        let writers = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(config.acquire_timeout)
            .test_before_acquire(false)
            .connect_lazy_with(writer);
        let readers = SqlitePoolOptions::new()
            .max_connections(config.readers_max.get())
            .acquire_timeout(config.acquire_timeout)
            .test_before_acquire(false)
            .connect_lazy_with(options.read_only(true));
        // One writer at a time means one connection, whatever it writes.
        Ok(Pools { coordinator: writers.clone(), writers, readers })
    }

    fn migrator() -> &'static Migrator {
        &MIGRATOR
    }

    async fn migrate(pool: &SqlitePool) -> Result<(), MigrateError> {
        let mut runs = 0;
        loop {
            runs += 1;
            match MIGRATOR.run(pool).await {
                // Another process was quicker, most likely: its tables are found the next time. A migration here is
                // one transaction, so nothing is half-way.
                Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))
                    if runs < MIGRATION_RUNS_MAX =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                result => return result,
            }
        }
    }

    fn classify(operation: &'static str, error: &sqlx::Error) -> Failure {
        classify(operation, error, |error| {
            let code = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
            let subject = identifier_after(error.message(), "constraint failed: ")
                .or_else(|| identifier_after(error.message(), "no such table: "));
            (code, by_code(code), subject)
        })
    }

    fn is_missing_table(failure: &Failure) -> bool {
        // SQLITE_ERROR alone says little; the name is there only if the message is "no such table: …".
        failure.fault.code == Some(1) && failure.fault.subject.is_some()
    }

    super::execution!();
}

super::binding!(Sqlite);

/// Sorts a result code; the low byte is the primary code. See <https://www.sqlite.org/rescode.html>.
fn by_code(code: u32) -> Classified {
    const UNIQUE: u32 = 2067;
    const PRIMARY_KEY: u32 = 1555;
    const ROW_ID: u32 = 2579;
    match (code, code & 0xff) {
        (UNIQUE | PRIMARY_KEY | ROW_ID, _) => (Class::DuplicateKey, "a row of this key exists"),
        // It was waited for already, as long as for a connection.
        (_, 5 | 6) => (Class::Transient, "the database is locked"),
        (_, 17) => (Class::Contention, "the schema changed"),
        (_, 4 | 9 | 15) => (Class::Transient, "the statement was interrupted"),
        (_, 7) => (Class::Transient, "out of memory"),
        (_, 10) => (Class::Transient, "reading or writing the file failed"),
        (_, 13) => (Class::Transient, "the disk is full"),
        (_, 14) => (Class::Fatal, "the file cannot be opened"),
        (_, 8) => (Class::Fatal, "the file cannot be written"),
        (_, 11 | 26) => (Class::Fatal, "the file is not a sound database"),
        (_, 19) => (Class::Row, "a constraint is violated"),
        (_, 18) => (Class::Row, "a value or the statement is too large"),
        (_, 20) => (Class::Row, "a value does not fit its column"),
        _ => (Class::Fatal, "the database does not accept the statement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_they_call_for() {
        for (code, class) in [
            (5, Class::Transient),
            (517, Class::Transient),
            (6, Class::Transient),
            (17, Class::Contention),
            (1555, Class::DuplicateKey),
            (2067, Class::DuplicateKey),
            (275, Class::Row),
            (1811, Class::Row),
            (3091, Class::Row),
            (266, Class::Transient),
            (13, Class::Transient),
            (1, Class::Fatal),
            (14, Class::Fatal),
        ] {
            assert_eq!(by_code(code).0, class, "{code}");
        }
    }
}
