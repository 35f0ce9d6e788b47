//! A temporary database for a measurement, dropped at the end.

use std::str::FromStr;

use shared::config::DatabaseUrl;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::store::{Fence, LeaseId, Store, StoreConfig, StoreError};

/// Prefix of every scratch database: a database without it is never written to or dropped.
pub const NAME_PREFIX: &str = "spillway_scratch";

/// Maximum length of a MySQL database name, characters.
const NAME_CHARS_MAX: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    #[error("a scratch database needs a mysql:// URL: SQLite has one writer, and nothing to tune")]
    NotMySql,
    /// The URL names a database that may be in use.
    #[error(
        "the URL names the database {0:?}; omit the name, or use one that begins with {NAME_PREFIX}: \
         it is dropped at the end"
    )]
    NotNamedForIt(String),
    #[error("the database {0:?} is not empty; drop it by hand if a killed run left it")]
    NotEmpty(String),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("database: {0}")]
    Store(#[from] StoreError),
}

/// A scratch database with the schema applied.
#[derive(Debug)]
pub struct Scratch {
    /// The server, without a database.
    server: MySqlConnectOptions,
    name: String,
    url: DatabaseUrl,
}

impl Scratch {
    /// Creates a scratch database on the server of `url`. A database that `url` names must have the prefix, and be
    /// empty or missing.
    ///
    /// # Errors
    /// [`ScratchError`]; nothing is left behind then.
    pub async fn create(url: &DatabaseUrl) -> Result<Self, ScratchError> {
        let address = Address::of(url)?;
        let name = match address.database {
            "" => format!("{NAME_PREFIX}_{:016x}", rand::random::<u64>()),
            name if is_named_for_it(name) => name.to_owned(),
            name => return Err(ScratchError::NotNamedForIt(name.to_owned())),
        };
        let server = MySqlConnectOptions::from_str(&address.with(""))?.disable_statement_logging();
        let mut connection = server.connect().await?;
        let tables: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ?")
                .bind(&name)
                .fetch_one(&mut connection)
                .await?;
        if tables > 0 {
            return Err(ScratchError::NotEmpty(name));
        }
        execute(&mut connection, format!("CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4"))
            .await?;
        connection.close().await?;
        let url = address.with(&name).parse().map_err(|_| ScratchError::NotMySql)?;
        let scratch = Self { server, name, url };
        match Box::pin(scratch.migrate()).await {
            Ok(()) => Ok(scratch),
            Err(error) => {
                // The first error is the one to return.
                let _dropped = scratch.drop().await;
                Err(error.into())
            }
        }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let store = Store::connect(&self.url, StoreConfig::default()).await?;
        let migrated = Box::pin(store.migrate()).await;
        store.close().await;
        migrated
    }

    #[must_use]
    pub const fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection to it, separate from the store's.
    ///
    /// # Errors
    /// The driver's.
    pub async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        self.server.clone().database(&self.name).connect().await
    }

    /// Inserts a lease of one day, so that transactions check a fence as a worker's do.
    ///
    /// # Errors
    /// The driver's.
    pub async fn lease(&self) -> Result<Fence, sqlx::Error> {
        let lease = LeaseId::random();
        let mut connection = self.connect().await?;
        sqlx::query(
            "INSERT INTO drain_leases (group_id, lease_id, worker, share, wanted, changes, joined_us, expires_us, report) \
             VALUES ('scratch', ?, 'scratch', 0, 0, 0, 0, \
             TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + 86400000000, '{}')",
        )
        .bind(lease.to_string())
        .execute(&mut connection)
        .await?;
        sqlx::query("INSERT INTO drain_fences (lease_id) VALUES (?)")
            .bind(lease.to_string())
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Fence::of(lease))
    }

    /// Empties the order tables, so that each measurement finds tables of the same size.
    ///
    /// # Errors
    /// The driver's.
    pub async fn empty(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.connect().await?;
        for table in ["orders", "user_purchases", "order_conflicts", "dead_letters"] {
            execute(&mut connection, format!("TRUNCATE {table}")).await?;
        }
        connection.close().await
    }

    /// Drops the database.
    ///
    /// # Errors
    /// The driver's; the database still exists then.
    pub async fn drop(self) -> Result<(), sqlx::Error> {
        let mut connection = self.server.connect().await?;
        execute(&mut connection, format!("DROP DATABASE IF EXISTS {}", self.name)).await?;
        connection.close().await
    }
}

/// `text` consists of fixed parts and validated names.
async fn execute(connection: &mut MySqlConnection, text: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.map(drop)
}

/// True if a name has the prefix and needs no quoting.
fn is_named_for_it(name: &str) -> bool {
    name.starts_with(NAME_PREFIX)
        && name.len() <= NAME_CHARS_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    server: &'a str,
    database: &'a str,
    /// From the `?` on.
    options: &'a str,
}

impl<'a> Address<'a> {
    fn of(url: &'a DatabaseUrl) -> Result<Self, ScratchError> {
        let text = url.expose();
        if url.scheme() != "mysql" {
            return Err(ScratchError::NotMySql);
        }
        let (place, options) = text.split_at(text.find('?').unwrap_or(text.len()));
        let begin = place.find("://").map_or(0, |found| found + 3);
        let end = place[begin..].find('/').map_or(place.len(), |found| begin + found);
        Ok(Self { server: &place[..end], database: place[end..].trim_matches('/'), options })
    }

    fn with(&self, database: &str) -> String {
        format!("{}/{database}{}", self.server, self.options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> DatabaseUrl {
        text.parse().expect("an address")
    }

    #[test]
    fn a_url_round_trips_with_another_database() {
        for (text, database, scratch) in [
            ("mysql://u:p@h:3306/", "", "mysql://u:p@h:3306/x"),
            ("mysql://u:p@h:3306", "", "mysql://u:p@h:3306/x"),
            ("mysql://u:p@h/db", "db", "mysql://u:p@h/x"),
            ("mysql://u:p%2F@h/db?ssl-mode=DISABLED", "db", "mysql://u:p%2F@h/x?ssl-mode=DISABLED"),
            ("mysql://h?ssl-ca=/a/b", "", "mysql://h/x?ssl-ca=/a/b"),
        ] {
            let url = url(text);
            let address = Address::of(&url).expect("MySQL's");
            assert_eq!((address.database, address.with("x").as_str()), (database, scratch), "{text}");
        }
        assert!(matches!(Address::of(&url("sqlite:x.db")), Err(ScratchError::NotMySql)));
    }

    #[test]
    fn only_scratch_names_are_accepted() {
        for name in ["spillway_scratch", "spillway_scratch_7", "spillway_scratch_Ab_0"] {
            assert!(is_named_for_it(name), "{name}");
        }
        for name in ["spillway", "orders", "spillway_scratch;x", "spillway_scratch`", "my_spillway_scratch"] {
            assert!(!is_named_for_it(name), "{name}");
        }
        assert!(!is_named_for_it(&format!("{NAME_PREFIX}{}", "x".repeat(NAME_CHARS_MAX))));
    }

    #[tokio::test]
    async fn a_named_database_is_rejected_before_any_query() {
        // No server listens on this port.
        let refused = Scratch::create(&url("mysql://u:p@127.0.0.1:1/spillway")).await;
        assert!(matches!(refused, Err(ScratchError::NotNamedForIt(name)) if name == "spillway"));
    }
}
