//! SQLite: the embedded store, for one machine and for trials. The tables and guarantees are the same.

use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use shared::config::DatabaseUrl;
use sqlx::ConnectOptions;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::super::config::StoreConfig;
use super::super::error::{Classified, DbError, ErrorClass, StoreError, classify, identifier_after};
use super::super::sql::Statement;
use super::{CONNECT, Dialect, Driver, DriverConnection, PoolKind, Pools};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// Maximum attempts at migrating while other processes migrate: SQLite has no lock that outlives a transaction.
const MIGRATION_RUNS_MAX: u32 = 10;

static DIALECT: Dialect = Dialect {
    // Acquires the one write lock at once: a transaction that read first could not upgrade under another writer.
    begin: "BEGIN IMMEDIATE",
    for_update: "",
    for_update_now: "",
    for_update_free: None,
    for_share: "",
    select_within: |_| Statement::new("SELECT "),
    now: "strftime('%Y-%m-%d %H:%M:%f', 'now')",
    now_us: "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    updates_two_tables: false,
    add_to_purchases: " ON CONFLICT (sale_id, user_id, sku) DO UPDATE SET quantity = quantity + excluded.quantity",
    set_purchases: " ON CONFLICT (sale_id, user_id, sku) DO UPDATE SET quantity = excluded.quantity",
    ignore_conflict: " ON CONFLICT (order_id, payload_digest) DO NOTHING",
    ignore_group: " ON CONFLICT (group_id) DO NOTHING",
    update_dead_letter: " ON CONFLICT (dedup_key) DO UPDATE SET reason = excluded.reason, \
         detail = excluded.detail, payload = excluded.payload, \
         message_id = COALESCE(excluded.message_id, message_id), attempts = attempts + 1, \
         last_failed_at = excluded.last_failed_at WHERE discarded_at IS NULL",
    update_terms: " ON CONFLICT (sale_id, sku) DO UPDATE SET stock_total = excluded.stock_total, \
         per_user_limit = excluded.per_user_limit",
    strict_mode_query: None,
    migrator_query: None,
    statement_limit_query: None,
    migrator: || &MIGRATOR,
    classify: classify_sqlite,
    // SQLITE_ERROR alone says little; the subject is set only for "no such table: …".
    is_missing_table: |error| error.detail.code == Some(1) && error.detail.subject.is_some(),
};

struct SqliteDriver(Pools<sqlx::Sqlite>);

pub(super) fn open(url: &DatabaseUrl, config: &StoreConfig) -> Result<Box<dyn Driver>, DbError> {
    let options = SqliteConnectOptions::from_str(url.expose())
        .map_err(|error| classify_sqlite("read the database's URL", &error))?
        .statement_cache_capacity(config.statements_max.get() as usize)
        .busy_timeout(config.acquire_timeout)
        .disable_statement_logging();
    let writer = options
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL would preserve a committed order through a kill of the process, but not through a power failure. The
        // broker drops an order once it is committed here, so FULL: one sync per batch.
        .synchronous(SqliteSynchronous::Full)
        // Order ids are spread evenly, so every batch touches pages all over their index: cache 64 MiB of them.
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
    // One writer at a time means one connection for every kind of write.
    Ok(Box::new(SqliteDriver(Pools { coordinator: writers.clone(), writers, readers })))
}

impl Driver for SqliteDriver {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn acquire(&self, pool: PoolKind) -> BoxFuture<'_, Result<Box<dyn DriverConnection>, DbError>> {
        Box::pin(async move {
            let connection = self.0.get(pool).acquire().await;
            let connection = connection.map_err(|error| classify_sqlite(CONNECT, &error))?;
            Ok(Box::new(connection) as Box<dyn DriverConnection>)
        })
    }

    fn connections_max(&self, pool: PoolKind) -> u32 {
        self.0.get(pool).options().get_max_connections()
    }

    fn migrate<'a>(&'a self, migrations: &'a Migrator) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            migrate(&self.0.writers, migrations).await.map_err(|error| DIALECT.classify_migration(error))
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.close())
    }
}

async fn migrate(pool: &SqlitePool, migrations: &Migrator) -> Result<(), MigrateError> {
    let mut runs = 0;
    loop {
        runs += 1;
        match migrations.run(pool).await {
            // Probably another process was faster: the next attempt finds its tables. A migration is one transaction
            // here, so none is half-way.
            Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))
                if runs < MIGRATION_RUNS_MAX =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result,
        }
    }
}

fn classify_sqlite(operation: &'static str, error: &sqlx::Error) -> DbError {
    classify(operation, error, |error| {
        let code = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        let subject = identifier_after(error.message(), "constraint failed: ")
            .or_else(|| identifier_after(error.message(), "no such table: "));
        (code, by_code(code), subject)
    })
}

super::driver_connection!(sqlx::Sqlite);

/// Classifies a result code; the low byte is the primary code. See <https://www.sqlite.org/rescode.html>.
fn by_code(code: u32) -> Classified {
    const UNIQUE: u32 = 2067;
    const PRIMARY_KEY: u32 = 1555;
    const ROW_ID: u32 = 2579;
    match (code, code & 0xff) {
        (UNIQUE | PRIMARY_KEY | ROW_ID, _) => (ErrorClass::DuplicateKey, "a row of this key exists"),
        // The driver has already waited for it, as long as for a connection.
        (_, 5 | 6) => (ErrorClass::Transient, "the database is locked"),
        (_, 17) => (ErrorClass::Contention, "the schema changed"),
        (_, 4 | 9 | 15) => (ErrorClass::Transient, "the statement was interrupted"),
        (_, 7) => (ErrorClass::Transient, "out of memory"),
        (_, 10) => (ErrorClass::Transient, "reading or writing the file failed"),
        (_, 13) => (ErrorClass::Transient, "the disk is full"),
        (_, 14) => (ErrorClass::Fatal, "the file cannot be opened"),
        (_, 8) => (ErrorClass::Fatal, "the file cannot be written"),
        (_, 11 | 26) => (ErrorClass::Fatal, "the file is not a sound database"),
        (_, 19) => (ErrorClass::Row, "a constraint is violated"),
        (_, 18) => (ErrorClass::Row, "a value or the statement is too large"),
        (_, 20) => (ErrorClass::Row, "a value does not fit its column"),
        _ => (ErrorClass::Fatal, "the database does not accept the statement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_map_to_error_classes() {
        for (code, class) in [
            (5, ErrorClass::Transient),
            (517, ErrorClass::Transient),
            (6, ErrorClass::Transient),
            (17, ErrorClass::Contention),
            (1555, ErrorClass::DuplicateKey),
            (2067, ErrorClass::DuplicateKey),
            (275, ErrorClass::Row),
            (1811, ErrorClass::Row),
            (3091, ErrorClass::Row),
            (266, ErrorClass::Transient),
            (13, ErrorClass::Transient),
            (1, ErrorClass::Fatal),
            (14, ErrorClass::Fatal),
        ] {
            assert_eq!(by_code(code).0, class, "{code}");
        }
    }
}
