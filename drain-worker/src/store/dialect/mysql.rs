//! MySQL's dialect: PolarDB in production, MariaDB for tests. Every statement runs on both.

use std::str::FromStr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use shared::config::DatabaseUrl;
use sqlx::migrate::Migrator;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions};
use tokio::sync::watch;

use super::super::config::StoreConfig;
use super::super::error::{DbError, DbErrorDetail, ErrorClass, StoreError, classify, identifier_after};
use super::super::sql::Statement;
use super::{
    CONNECT, Dialect, Driver, DriverConnection, PoolKind, Pools, SQL_MODE, mysql_codes, mysql_migrations,
};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/mysql");

const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// The session that every statement relies on. The driver's own mode is the server's plus two flags, so a server
/// without strict mode would clip values silently; here a value that is too long is an error everywhere.
///
/// Only strictness is needed for correctness. A proxy that switches sessions loses the shorter lock wait, the bound
/// on a stalled session and READ COMMITTED (which locks fewer gaps), and the transactions are correct without them.
///
/// `wait_timeout` is the only bound on an idle transaction that both MySQL 8 and MariaDB have (MySQL lacks MariaDB's
/// `idle_transaction_timeout`): it applies within a transaction as well as outside.
fn session(config: &StoreConfig, lock_wait_s: u64) -> String {
    format!(
        "SET SESSION sql_mode = '{SQL_MODE}', innodb_lock_wait_timeout = {lock_wait_s}, wait_timeout = {}",
        config.stall_timeout.as_secs().max(1)
    )
}

/// Maximum wait for a row's lock in the pool's coordination, seconds: shorter than its transactions may take, so that the server ends
/// the wait before the client does and no connection keeps waiting.
const COORDINATION_LOCK_WAIT_S: u64 = 1;

static DIALECT: Dialect = Dialect {
    begin: "BEGIN",
    for_update: " FOR UPDATE",
    // MySQL 8.0.1, MariaDB 10.3.
    for_update_now: " FOR UPDATE NOWAIT",
    // MySQL 8.0.1, MariaDB 10.6.
    for_update_free: Some(" FOR UPDATE SKIP LOCKED"),
    // MariaDB lacks MySQL 8's FOR SHARE; both accept this.
    for_share: " LOCK IN SHARE MODE",
    // MariaDB executes the comment and ignores the hint; MySQL the other way round.
    select_within: |bound| {
        Statement::new("/*M!100101 SET STATEMENT max_statement_time=")
            .number(bound.as_secs().max(1))
            .text(" FOR */ SELECT /*+ MAX_EXECUTION_TIME(")
            .number(bound.as_secs().max(1) * 1_000)
            .text(") */ ")
    },
    now: "UTC_TIMESTAMP(6)",
    // Not UNIX_TIMESTAMP, which depends on the session's time zone.
    now_us: "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))",
    updates_two_tables: true,
    add_to_purchases: " ON DUPLICATE KEY UPDATE quantity = quantity + VALUES(quantity)",
    set_purchases: " ON DUPLICATE KEY UPDATE quantity = VALUES(quantity)",
    // Not INSERT IGNORE, which would also clip values and hide every other error.
    ignore_conflict: " ON DUPLICATE KEY UPDATE first_seen_at = first_seen_at",
    ignore_group: " ON DUPLICATE KEY UPDATE revision = revision",
    update_dead_letter: " ON DUPLICATE KEY UPDATE \
         reason = IF(discarded_at IS NULL, VALUES(reason), reason), \
         detail = IF(discarded_at IS NULL, VALUES(detail), detail), \
         payload = IF(discarded_at IS NULL, VALUES(payload), payload), \
         message_id = IF(discarded_at IS NULL, COALESCE(VALUES(message_id), message_id), message_id), \
         attempts = IF(discarded_at IS NULL, attempts + 1, attempts), \
         last_failed_at = IF(discarded_at IS NULL, VALUES(last_failed_at), last_failed_at)",
    update_terms: " ON DUPLICATE KEY UPDATE stock_total = VALUES(stock_total), per_user_limit = VALUES(per_user_limit)",
    strict_mode_query: Some("SELECT @@sql_mode"),
    migrator_query: Some(mysql_migrations::LOCK_HOLDER),
    statement_limit_query: Some("SELECT @@max_prepared_stmt_count"),
    migrator: || &MIGRATOR,
    classify: classify_mysql,
    is_missing_table: |error| error.detail.code == Some(1146),
};

struct MySqlDriver {
    pools: Pools<sqlx::MySql>,
    /// The newest refusal of what a new connection sets. The driver's pool would try again until its time is over, and then
    /// say only that there was no connection.
    refusals: watch::Sender<Option<DbError>>,
}

pub(super) fn open(url: &DatabaseUrl, config: &StoreConfig) -> Result<Box<dyn Driver>, DbError> {
    let options = MySqlConnectOptions::from_str(url.expose())
        .map_err(|error| classify_mysql("read the database's URL", &error))?
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .statement_cache_capacity(config.statements_max.get() as usize)
        .disable_statement_logging();
    let refusals = watch::Sender::default();
    let lock_wait_s = config.lock_timeout.as_secs().max(1);
    let pool = |connections_max: u32, lock_wait_s: u64| {
        let session: Arc<str> = session(config, lock_wait_s).into();
        let refusals = refusals.clone();
        MySqlPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(config.acquire_timeout)
            // A connection that died in the pool shows at BEGIN, where nothing can be lost yet.
            .test_before_acquire(false)
            .idle_timeout(config.idle_timeout())
            .after_connect(move |connection, _| {
                let (session, refusals) = (session.clone(), refusals.clone());
                Box::pin(async move {
                    let result = set_up(connection, &session).await;
                    if let Err(error) = &result
                        && let Some(refusal) = refusal(error)
                    {
                        refusals.send_replace(Some(refusal));
                    }
                    result
                })
            })
            .connect_lazy_with(options.clone())
    };
    let pools = Pools {
        writers: pool(config.writers_max.get(), lock_wait_s),
        coordinator: pool(1, COORDINATION_LOCK_WAIT_S),
        readers: pool(config.readers_max.get(), lock_wait_s),
    };
    Ok(Box::new(MySqlDriver { pools, refusals }))
}

async fn set_up(connection: &mut MySqlConnection, session: &str) -> Result<(), sqlx::Error> {
    // A text of this file and a number.
    sqlx::raw_sql(AssertSqlSafe(session)).execute(&mut *connection).await?;
    sqlx::raw_sql(ISOLATION).execute(connection).await.map(drop)
}

/// The refusal of a setting, in the server's words: they quote no value of a row.
fn refusal(error: &sqlx::Error) -> Option<DbError> {
    let mut refusal = classify_mysql("set up a connection", error);
    refusal.detail.what = error.as_database_error()?.message().to_owned();
    (refusal.class == ErrorClass::Fatal).then_some(refusal)
}

impl Driver for MySqlDriver {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn acquire(&self, pool: PoolKind) -> BoxFuture<'_, Result<Box<dyn DriverConnection>, DbError>> {
        Box::pin(async move {
            let mut refusals = self.refusals.subscribe();
            tokio::select! {
                biased;
                connection = self.pools.get(pool).acquire() => match connection {
                    Ok(connection) => Ok(Box::new(connection) as Box<dyn DriverConnection>),
                    Err(error) => Err(classify_mysql(CONNECT, &error)),
                },
                Ok(()) = refusals.changed() => {
                    let refusal = refusals.borrow_and_update().clone();
                    Err(refusal.unwrap_or_else(|| DbError::timeout(CONNECT)))
                }
            }
        })
    }

    fn connections_max(&self, pool: PoolKind) -> u32 {
        self.pools.get(pool).options().get_max_connections()
    }

    fn migrate<'a>(&'a self, migrations: &'a Migrator) -> BoxFuture<'a, Result<(), StoreError>> {
        let (options, timeout) =
            (self.pools.writers.connect_options(), self.pools.writers.options().get_acquire_timeout());
        Box::pin(async move { mysql_migrations::apply(&options, timeout, migrations, &DIALECT).await })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.pools.close())
    }
}

fn classify_mysql(operation: &'static str, error: &sqlx::Error) -> DbError {
    // The driver is built without RSA, which it offers for passwords over connections without TLS: the crate's decryption
    // leaks by its timing (RUSTSEC-2023-0071), and TLS protects the orders too.
    if let sqlx::Error::Configuration(error) = error
        && error.to_string().starts_with("RSA auth")
    {
        let what = "the account (caching_sha2_password, MySQL 8's default) sends its password over TLS only: add \
                    ?ssl-mode=required to the URL, or use an account with mysql_native_password";
        return DbError::fatal(DbErrorDetail::new(operation, what));
    }
    classify(operation, error, |error| {
        let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() else {
            return (0, mysql_codes::classify(0, None), None);
        };
        let subject = ["for column ", "for key ", "Column ", "CONSTRAINT ", "constraint ", "Table "]
            .iter()
            .find_map(|marker| identifier_after(subject_of(error.message()), marker));
        (u32::from(error.number()), mysql_codes::classify(error.number(), error.code()), subject)
    })
}

super::driver_connection!(sqlx::MySql);

/// `message` up to the name, for the messages in which text follows it.
fn subject_of(message: &str) -> &str {
    [" cannot be null", " is violated", " failed for ", " doesn't exist"]
        .iter()
        .find_map(|tail| message.split_once(tail).map(|(head, _)| head))
        .unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_messages_of_both_servers() {
        for (message, expected) in [
            ("Column 'state' cannot be null", "state"),
            ("CONSTRAINT `orders_state` failed for `db`.`orders`", "orders_state"),
            ("Check constraint 'orders_state' is violated.", "orders_state"),
            ("Table 'db.orders' doesn't exist", "db.orders"),
            ("Out of range value for column 'quantity' at row 3", "quantity"),
        ] {
            let found = ["for column ", "for key ", "Column ", "CONSTRAINT ", "constraint ", "Table "]
                .iter()
                .find_map(|marker| identifier_after(subject_of(message), marker));
            assert_eq!(found.as_deref(), Some(expected), "{message}");
        }
    }
}
