//! The differences between the databases: drivers, a few pieces of SQL, and the meaning of error codes.
//!
//! The dialect is chosen once, by the URL. Everything above works on [`Driver`] and [`Dialect`] and is compiled once.

mod mysql;
mod mysql_codes;
mod mysql_migrations;
mod sqlite;

use std::time::Duration;

use futures_util::future::BoxFuture;
use shared::config::DatabaseUrl;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Database, Pool};

use super::config::StoreConfig;
use super::error::{DbError, DbErrorDetail, SchemaError, StoreError};
use super::sql::{ColumnKind, SqlRow, Statement};

/// The operation that errors of a new connection name.
const CONNECT: &str = "connect";

/// MySQL's mode in every session: the server rejects a value that does not fit, also where its own mode would clip it.
const SQL_MODE: &str =
    "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/// Opens the driver of the database that `url` names; opens no connection yet.
pub(super) fn open(url: &DatabaseUrl, config: &StoreConfig) -> Result<Box<dyn Driver>, DbError> {
    if url.scheme() == "mysql" { mysql::open(url, config) } else { sqlite::open(url, config) }
}

/// Which connections a call uses. Lookups cannot starve writers, and a heartbeat gets through while every writer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoolKind {
    Writers,
    Coordinator,
    Readers,
}

struct Pools<DB: Database> {
    writers: Pool<DB>,
    coordinator: Pool<DB>,
    readers: Pool<DB>,
}

impl<DB: Database> Pools<DB> {
    const fn get(&self, pool: PoolKind) -> &Pool<DB> {
        match pool {
            PoolKind::Writers => &self.writers,
            PoolKind::Coordinator => &self.coordinator,
            PoolKind::Readers => &self.readers,
        }
    }

    async fn close(&self) {
        self.readers.close().await;
        self.coordinator.close().await;
        self.writers.close().await;
    }
}

/// The SQL of one kind of database, and how to read its errors.
pub(super) struct Dialect {
    pub(super) begin: &'static str,
    /// Ends a SELECT that locks the rows it returns until the end of the transaction.
    pub(super) for_update: &'static str,
    /// As `for_update`, but fails at once if another transaction has locked one of the rows.
    pub(super) for_update_now: &'static str,
    /// As `for_update`, but leaves out rows that another transaction has locked. `None`: rows have no locks of their own.
    pub(super) for_update_free: Option<&'static str>,
    /// Ends a SELECT that prevents changes of the rows it returns until the end of the transaction.
    pub(super) for_share: &'static str,
    /// Begins a SELECT that the server ends after a time.
    pub(super) select_within: fn(Duration) -> Statement<'static>,
    /// The database's clock, UTC.
    pub(super) now: &'static str,
    /// The database's clock in microseconds since 1970.
    pub(super) now_us: &'static str,
    /// True if one UPDATE can change rows of two tables.
    pub(super) updates_two_tables: bool,
    /// Ends an INSERT into `user_purchases`: adds to an existing quantity.
    pub(super) add_to_purchases: &'static str,
    /// Ends an INSERT into `user_purchases`: replaces an existing quantity.
    pub(super) set_purchases: &'static str,
    /// Ends an INSERT into `order_conflicts`: leaves an existing row unchanged.
    pub(super) ignore_conflict: &'static str,
    /// Ends an INSERT into `drain_groups`: leaves an existing row unchanged.
    pub(super) ignore_group: &'static str,
    /// Ends an INSERT into `dead_letters`: counts another attempt, unless the dead letter was discarded.
    pub(super) update_dead_letter: &'static str,
    /// Ends an INSERT into `sale_skus`: replaces total and limit.
    pub(super) update_terms: &'static str,
    /// Returns the session's mode as one text, where a mode could clip values silently.
    pub(super) strict_mode_query: Option<&'static str>,
    /// Returns the connection of the process that migrates the database, or NULL, where migrations are no transactions.
    pub(super) migrator_query: Option<&'static str>,
    /// Returns the maximum of prepared statements of all clients together, where the server has one.
    pub(super) statement_limit_query: Option<&'static str>,
    pub(super) migrator: fn() -> &'static Migrator,
    classify: fn(&'static str, &sqlx::Error) -> DbError,
    is_missing_table: fn(&DbError) -> bool,
}

impl Dialect {
    /// Sorts `error`, raised by `operation`, by what it calls for.
    pub(super) fn classify(&self, operation: &'static str, error: &sqlx::Error) -> DbError {
        (self.classify)(operation, error)
    }

    fn classify_migration(&self, error: MigrateError) -> StoreError {
        const OPERATION: &str = "migrate";
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                self.classify(OPERATION, &error).into()
            }
            MigrateError::VersionMismatch(version) => SchemaError::Changed { version }.into(),
            MigrateError::Dirty(version) => SchemaError::HalfWay { version }.into(),
            MigrateError::VersionMissing(version) => StoreError::Fatal(DbErrorDetail::new(
                OPERATION,
                format!("the database has migration {version} of a newer version"),
            )),
            other => StoreError::Fatal(DbErrorDetail::new(OPERATION, other.to_string())),
        }
    }

    pub(super) fn is_missing_table(&self, error: &DbError) -> bool {
        (self.is_missing_table)(error)
    }
}

pub(super) trait Driver: Send + Sync {
    fn dialect(&self) -> &'static Dialect;

    /// Fails at once with [`super::error::ErrorClass::Fatal`] if the server refuses what a new connection sets.
    fn acquire(&self, pool: PoolKind) -> BoxFuture<'_, Result<Box<dyn DriverConnection>, DbError>>;

    fn connections_max(&self, pool: PoolKind) -> u32;

    /// Applies the missing ones of `migrations`; several processes may do so at once.
    fn migrate<'a>(&'a self, migrations: &'a Migrator) -> BoxFuture<'a, Result<(), StoreError>>;

    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A pooled connection. Dropping it returns it to the pool.
pub(super) trait DriverConnection: Send {
    /// Sends a fixed text unprepared, as transactions need it behind a pooling proxy.
    fn plain<'a>(&'a mut self, text: &'static str) -> BoxFuture<'a, Result<(), sqlx::Error>>;

    /// Runs a statement; returns the number of rows that it found (MySQL) or changed (SQLite), which a proxy may do
    /// differently.
    fn execute<'a>(&'a mut self, statement: Statement<'a>) -> BoxFuture<'a, Result<u64, sqlx::Error>>;

    /// Runs a query and reads each column as the kind at its place in `columns`.
    fn fetch<'a>(
        &'a mut self,
        statement: Statement<'a>,
        columns: &'static [ColumnKind],
    ) -> BoxFuture<'a, Result<Vec<SqlRow>, sqlx::Error>>;

    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;

    /// Removes the connection from the pool and closes its socket without a message to the server: needs no runtime and cannot
    /// hang.
    fn discard(self: Box<Self>);
}

/// Implements [`DriverConnection`] for a database of sqlx. The text is the same for each; their types share no trait that
/// is short enough to be generic over.
macro_rules! driver_connection {
    ($database:ty) => {
        impl $crate::store::dialect::DriverConnection for sqlx::pool::PoolConnection<$database> {
            fn plain<'a>(
                &'a mut self,
                text: &'static str,
            ) -> futures_util::future::BoxFuture<'a, Result<(), sqlx::Error>> {
                Box::pin(async move { sqlx::raw_sql(text).execute(&mut **self).await.map(drop) })
            }

            fn execute<'a>(
                &'a mut self,
                statement: $crate::store::sql::Statement<'a>,
            ) -> futures_util::future::BoxFuture<'a, Result<u64, sqlx::Error>> {
                Box::pin(async move {
                    let done = if statement.is_inlined {
                        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.inlined())).execute(&mut **self).await?
                    } else {
                        bind(statement).execute(&mut **self).await?
                    };
                    Ok(done.rows_affected())
                })
            }

            fn fetch<'a>(
                &'a mut self,
                statement: $crate::store::sql::Statement<'a>,
                columns: &'static [$crate::store::sql::ColumnKind],
            ) -> futures_util::future::BoxFuture<'a, Result<Vec<$crate::store::sql::SqlRow>, sqlx::Error>>
            {
                Box::pin(async move {
                    let rows = if statement.is_inlined {
                        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.inlined())).fetch_all(&mut **self).await?
                    } else {
                        bind(statement).fetch_all(&mut **self).await?
                    };
                    rows.iter().map(|row| read(row, columns)).collect()
                })
            }

            fn close(self: Box<Self>) -> futures_util::future::BoxFuture<'static, ()> {
                Box::pin(async move {
                    let _closed = sqlx::pool::PoolConnection::close(*self).await;
                })
            }

            fn discard(self: Box<Self>) {
                drop((*self).detach());
            }
        }

        fn bind<'q>(
            statement: $crate::store::sql::Statement<'_>,
        ) -> sqlx::query::Query<'q, $database, <$database as sqlx::Database>::Arguments> {
            use $crate::store::sql::SqlValue;
            // The text consists of parts that are fixed at compile time; see `Statement`.
            let mut query = sqlx::query(sqlx::AssertSqlSafe(statement.text));
            for value in statement.values {
                query = match value {
                    SqlValue::Null => query.bind(None::<i64>),
                    SqlValue::Int(value) => query.bind(value),
                    SqlValue::Text(value) => query.bind(value),
                    SqlValue::Bytes(value) if statement.is_native => query.bind(value.to_vec()),
                    SqlValue::Bytes(value) => query.bind(hex::encode(value)),
                };
            }
            query
        }

        fn read(
            row: &<$database as sqlx::Database>::Row,
            columns: &[$crate::store::sql::ColumnKind],
        ) -> Result<$crate::store::sql::SqlRow, sqlx::Error> {
            use sqlx::Row as _;
            use $crate::store::sql::{ColumnKind, SqlCell, SqlRow};
            let cell = |(index, kind): (usize, &ColumnKind)| {
                // Unchecked: a proxy may report another column type than the database behind it.
                Ok(match kind {
                    ColumnKind::Int => row.try_get_unchecked::<Option<i64>, _>(index)?.map(SqlCell::Int),
                    ColumnKind::Text => row.try_get_unchecked::<Option<String>, _>(index)?.map(SqlCell::Text),
                    ColumnKind::Bytes => {
                        row.try_get_unchecked::<Option<Vec<u8>>, _>(index)?.map(SqlCell::Bytes)
                    }
                }
                .unwrap_or(SqlCell::Null))
            };
            columns.iter().enumerate().map(cell).collect::<Result<_, _>>().map(SqlRow)
        }
    };
}

use driver_connection;
