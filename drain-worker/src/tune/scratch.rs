//! A database of a measurement's own: made for it, named for it, and dropped after it.

use std::str::FromStr;

use shared::config::DatabaseUrl;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::store::{Fence, LeaseId, Store, StoreConfig, StoreError};

/// How the name of every scratch database begins: nothing that is named otherwise is ever written to or dropped.
pub const NAME_PREFIX: &str = "spillway_scratch";

/// Longest name of a database that MySQL takes, characters.
const NAME_CHARS_MAX: usize = 64;

/// Why there is no scratch database.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The address is another database system's.
    #[error("a scratch database needs a mysql:// address: SQLite has one writer, and nothing to tune")]
    NotMySql,
    /// The address names a database that is somebody's.
    #[error(
        "the address names the database {0:?}; leave the name out, or name one that begins with {NAME_PREFIX}: \
         it is dropped at the end"
    )]
    NotNamedForIt(String),
    /// There are tables in it.
    #[error(
        "the database {0:?} is not empty; drop it yourself if it is left over from a run that was killed"
    )]
    NotEmpty(String),
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The store.
    #[error("database: {0}")]
    Store(#[from] StoreError),
}

/// A scratch database with the schema in it.
#[derive(Debug)]
pub struct Scratch {
    /// Where the server is, without a database.
    server: MySqlConnectOptions,
    name: String,
    url: DatabaseUrl,
}

impl Scratch {
    /// Makes one on the server of `url`. If that names a database, it must be named for this and be empty or missing.
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
                // What went wrong first is what is told.
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

    /// Its address.
    #[must_use]
    pub const fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection to it beside the store's.
    ///
    /// # Errors
    /// The driver's.
    pub async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        self.server.clone().database(&self.name).connect().await
    }

    /// A lease that holds for a day, so that transactions are fenced as a worker's are.
    ///
    /// # Errors
    /// The driver's.
    pub async fn lease(&self) -> Result<Fence, sqlx::Error> {
        let lease = LeaseId::random();
        let mut connection = self.connect().await?;
        sqlx::query(
            "INSERT INTO drain_leases (group_id, lease_id, worker, share, wanted, joined_us, expires_us, report) \
             VALUES ('scratch', ?, 'scratch', 0, 0, 0, \
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
        Ok(Fence::Lease(lease))
    }

    /// Forgets all orders, so that each measurement finds tables of the same size.
    ///
    /// # Errors
    /// The driver's.
    pub async fn empty(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.connect().await?;
        for table in ["orders", "order_items", "user_purchases", "order_conflicts", "dead_letters"] {
            execute(&mut connection, format!("TRUNCATE {table}")).await?;
        }
        connection.close().await
    }

    /// Drops it.
    ///
    /// # Errors
    /// The driver's; it is still there then.
    pub async fn drop(self) -> Result<(), sqlx::Error> {
        let mut connection = self.server.connect().await?;
        execute(&mut connection, format!("DROP DATABASE IF EXISTS {}", self.name)).await?;
        connection.close().await
    }
}

/// `text` is made here, of names that were checked or made here.
async fn execute(connection: &mut MySqlConnection, text: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.map(drop)
}

/// Whether a name begins as it must and needs no quoting anywhere.
fn is_named_for_it(name: &str) -> bool {
    name.starts_with(NAME_PREFIX)
        && name.len() <= NAME_CHARS_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A MySQL address in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    /// Up to the host and port.
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
    fn an_address_is_taken_apart_and_put_together() {
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
    fn only_names_made_for_it_are_taken() {
        for name in ["spillway_scratch", "spillway_scratch_7", "spillway_scratch_Ab_0"] {
            assert!(is_named_for_it(name), "{name}");
        }
        for name in ["spillway", "orders", "spillway_scratch;x", "spillway_scratch`", "my_spillway_scratch"] {
            assert!(!is_named_for_it(name), "{name}");
        }
        assert!(!is_named_for_it(&format!("{NAME_PREFIX}{}", "x".repeat(NAME_CHARS_MAX))));
    }

    #[tokio::test]
    async fn somebody_s_database_is_refused_before_anything_is_asked_of_the_server() {
        // Nobody listens there.
        let refused = Scratch::create(&url("mysql://u:p@127.0.0.1:1/spillway")).await;
        assert!(matches!(refused, Err(ScratchError::NotNamedForIt(name)) if name == "spillway"));
    }
}
