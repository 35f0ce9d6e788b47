//! An empty database of a test's own.

use std::env;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

use crate::config::DatabaseUrl;

/// Address of a MySQL server on which the account may create databases.
const MYSQL_URL: &str = "SPILLWAY_TEST_MYSQL_URL";

/// An empty database, without a schema.
#[derive(Debug)]
pub struct TestDatabase {
    /// Address of the database.
    pub url: DatabaseUrl,
    storage: Storage,
}

#[derive(Debug)]
enum Storage {
    File { _directory: TempDir },
    Server { name: String, connection: MySqlConnection },
}

impl TestDatabase {
    /// A SQLite file; dropping it removes the file.
    #[must_use]
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite:{}", directory.path().join("orders.sqlite").display());
        Self { url: url.parse().expect("valid"), storage: Storage::File { _directory: directory } }
    }

    /// A database on the server of `SPILLWAY_TEST_MYSQL_URL`; `None`, after a line that says so, if it is not set.
    /// Its character set is latin1: a schema that relies on the server's default fails.
    pub async fn mysql() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = test_variable(MYSQL_URL)?;
        let server = server.trim_end_matches('/');
        let name = format!("spillway_test_{}_{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut connection = MySqlConnection::connect(server).await.expect("the server answers");
        let create = format!("CREATE DATABASE {name} CHARACTER SET latin1");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.expect("may create a database");
        let url = format!("{server}/{name}").parse().expect("valid");
        Some(Self { url, storage: Storage::Server { name, connection } })
    }

    /// Removes the database.
    pub async fn remove(self) {
        if let Storage::Server { name, mut connection } = self.storage {
            let drop = format!("DROP DATABASE {name}");
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.expect("may drop its database");
        }
    }
}

/// Returns the environment variable `name`; `None`, after a line `skipped: …` that CI looks for, if it is not set.
#[must_use]
pub fn test_variable(name: &str) -> Option<String> {
    let value = env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        println!("skipped: {name} is not set");
    }
    value
}
