//! What differs between the databases: how statements are run, a few pieces of SQL, and what errors mean.

mod mysql;
mod mysql_codes;
mod sqlite;

use std::future::Future;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Database, Pool};

pub(super) use mysql::MySql;
pub(super) use sqlite::Sqlite;

use super::config::StoreConfig;
use super::error::Failure;
use super::sql::{Kind, Row, Statement};
use shared::config::DatabaseUrl;

/// A connection of a dialect.
pub(super) type Connection<D> = <<D as Dialect>::Database as Database>::Connection;

/// The pools of a store: few writers, and a few connections beside them that look-ups cannot starve. The pool's
/// coordination has one of its own: a heartbeat must get through while every writer waits.
pub(super) struct Pools<DB: Database> {
    pub(super) writers: Pool<DB>,
    pub(super) coordinator: Pool<DB>,
    pub(super) readers: Pool<DB>,
}

/// One kind of database.
pub(super) trait Dialect: Send + Sync + Sized + 'static {
    /// Its driver.
    type Database: Database;

    /// Opens a transaction that is going to write.
    const BEGIN: &'static str;
    /// Ends a SELECT that locks the rows it returns until the end of the transaction.
    const FOR_UPDATE: &'static str;
    /// The same, but fails at once if another transaction has locked one of them.
    const FOR_UPDATE_NOW: &'static str;
    /// Ends a SELECT that keeps the rows it returns from being changed until the end of the transaction.
    const FOR_SHARE: &'static str;
    /// The database's clock, UTC.
    const NOW: &'static str;
    /// The same, in microseconds since 1970.
    const NOW_US: &'static str;
    /// Ends an INSERT into `user_purchases`: adds to a quantity that is there.
    const ADD_TO_PURCHASES: &'static str;
    /// Ends an INSERT into `user_purchases`: puts the quantity in the place of one that is there.
    const SET_PURCHASES: &'static str;
    /// Ends an INSERT into `order_conflicts`: leaves a row that is there alone.
    const KEEP_CONFLICT: &'static str;
    /// Ends an INSERT into `drain_groups`: leaves a row that is there alone.
    const KEEP_GROUP: &'static str;
    /// Ends an INSERT into `dead_letters`: counts another attempt, unless the letter was given up.
    const UPDATE_LETTER: &'static str;
    /// Ends an INSERT into `sale_skus`: takes over total and limit.
    const UPDATE_TERMS: &'static str;
    /// A query for the session's mode if values could be clipped silently without one: returns one text.
    const STRICT_MODE_QUERY: Option<&'static str>;

    /// Opens the pools; makes no connection yet.
    fn open(url: &DatabaseUrl, config: &StoreConfig) -> Result<Pools<Self::Database>, Failure>;

    /// The migrations of this dialect.
    fn migrator() -> &'static Migrator;

    /// Applies the migrations that are missing, also while others do the same.
    fn migrate(pool: &Pool<Self::Database>) -> impl Future<Output = Result<(), MigrateError>> + Send;

    /// Sends one of our own texts as it is, unprepared: what transactions need behind a pooling proxy.
    fn plain<'a>(
        connection: &'a mut Connection<Self>,
        text: &'static str,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send + 'a;

    /// Runs a statement without a result.
    fn execute<'a>(
        connection: &'a mut Connection<Self>,
        statement: Statement<'a>,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send + 'a;

    /// Runs a query and reads each column as the kind at its place in `kinds`.
    fn fetch<'a>(
        connection: &'a mut Connection<Self>,
        statement: Statement<'a>,
        kinds: &'static [Kind],
    ) -> impl Future<Output = Result<Vec<Row>, sqlx::Error>> + Send + 'a;

    /// What `error` calls for.
    fn classify(operation: &'static str, error: &sqlx::Error) -> Failure;

    /// Whether `failure` says that a table does not exist.
    fn is_missing_table(failure: &Failure) -> bool;
}

/// The methods that run statements: the same text for each driver, whose types share no trait short enough to
/// be generic over.
macro_rules! execution {
    () => {
        async fn plain(
            connection: &mut $crate::store::dialect::Connection<Self>,
            text: &'static str,
        ) -> Result<(), sqlx::Error> {
            sqlx::raw_sql(text).execute(connection).await.map(drop)
        }

        async fn execute(
            connection: &mut $crate::store::dialect::Connection<Self>,
            statement: $crate::store::sql::Statement<'_>,
        ) -> Result<(), sqlx::Error> {
            Self::query(statement).execute(connection).await.map(drop)
        }

        async fn fetch(
            connection: &mut $crate::store::dialect::Connection<Self>,
            statement: $crate::store::sql::Statement<'_>,
            kinds: &'static [$crate::store::sql::Kind],
        ) -> Result<Vec<$crate::store::sql::Row>, sqlx::Error> {
            let rows = Self::query(statement).fetch_all(connection).await?;
            rows.iter().map(|row| Self::read(row, kinds)).collect()
        }
    };
}

/// The binding and reading behind [`execution`].
macro_rules! binding {
    ($dialect:ident) => {
        impl $dialect {
            fn query<'q>(
                statement: $crate::store::sql::Statement<'_>,
            ) -> sqlx::query::Query<
                'q,
                <Self as $crate::store::dialect::Dialect>::Database,
                <<Self as $crate::store::dialect::Dialect>::Database as sqlx::Database>::Arguments,
            > {
                use $crate::store::sql::Value;
                // The text consists of parts that are fixed at compile time; see `Statement`.
                let mut query = sqlx::query(sqlx::AssertSqlSafe(statement.text));
                for value in statement.values {
                    query = match value {
                        Value::Null => query.bind(None::<i64>),
                        Value::Int(value) => query.bind(value),
                        Value::Text(value) => query.bind(value),
                        Value::Bytes(value) if statement.is_native => query.bind(value.to_vec()),
                        Value::Bytes(value) => query.bind(hex::encode(value)),
                    };
                }
                query
            }

            fn read(
                row: &<<Self as $crate::store::dialect::Dialect>::Database as sqlx::Database>::Row,
                kinds: &[$crate::store::sql::Kind],
            ) -> Result<$crate::store::sql::Row, sqlx::Error> {
                use sqlx::Row as _;
                use $crate::store::sql::{Cell, Kind, Row};
                let cell = |(index, kind): (usize, &Kind)| {
                    // Unchecked: a proxy may name a column's type otherwise than the database behind it does.
                    Ok(match kind {
                        Kind::Int => row.try_get_unchecked::<Option<i64>, _>(index)?.map(Cell::Int),
                        Kind::Text => row.try_get_unchecked::<Option<String>, _>(index)?.map(Cell::Text),
                        Kind::Bytes => row.try_get_unchecked::<Option<Vec<u8>>, _>(index)?.map(Cell::Bytes),
                    }
                    .unwrap_or(Cell::Null))
                };
                kinds.iter().enumerate().map(cell).collect::<Result<_, _>>().map(Row)
            }
        }
    };
}

use {binding, execution};
