//! A fresh database for each test, with connections that bypass the store.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use drain_worker::store::{
    DeadLetterSelection, DeadLetterStatus, PageRequest, Store, StoreConfig, StoredDeadLetter,
};
use futures_util::FutureExt;
use shared::config::DatabaseUrl;
use shared::testkit::{TestDatabase, test_variable};
use sqlx::mysql::{MySqlConnection, MySqlPool, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Connection, MySql, Sqlite};

/// Matches sessions that wait for the stock's lock, for [`Harness::until_at`].
pub(crate) const AT_THE_STOCK: &str = "UPDATE sale_skus%";

const PASSTHROUGH_URL: &str = "SPILLWAY_TEST_MYSQL_PASSTHROUGH_URL";
const PROXY_URL: &str = "SPILLWAY_TEST_MYSQL_PROXY_URL";
const PROXY_DIRECT_URL: &str = "SPILLWAY_TEST_MYSQL_PROXY_DIRECT_URL";

/// A store on an empty, migrated database.
pub(crate) struct Harness {
    pub(crate) store: Arc<Store>,
    pub(crate) url: DatabaseUrl,
    behind: Behind,
    is_behind_proxy: bool,
}

/// Connections to the database that bypass the store.
enum Behind {
    Sqlite(SqlitePool),
    MySql(MySqlPool),
}

/// Enough writers for eight committers.
pub(crate) fn config() -> StoreConfig {
    StoreConfig { writers_max: 8.try_into().expect("not 0"), ..StoreConfig::default() }
}

impl Harness {
    /// Runs a statement outside the store.
    pub(crate) async fn run(&self, text: &str) {
        let text = sqlx::raw_sql(AssertSqlSafe(text));
        match &self.behind {
            Behind::Sqlite(pool) => drop(text.execute(pool).await.expect("runs")),
            Behind::MySql(pool) => drop(text.execute(pool).await.expect("runs")),
        }
    }

    /// Returns the number that a query returns.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        match &self.behind {
            Behind::Sqlite(pool) => {
                sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(pool).await.expect("a number")
            }
            Behind::MySql(pool) => {
                sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(pool).await.expect("a number")
            }
        }
    }

    /// Waits until another session of this database runs a statement like `statement`, which is where a lock blocks
    /// it. MySQL only.
    pub(crate) async fn until_at(&self, statement: &str) {
        let query = format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() \
             AND info LIKE '{statement}'"
        );
        while self.number(&query).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns the text that a query returns.
    pub(crate) async fn text(&self, query: &str) -> String {
        match &self.behind {
            Behind::Sqlite(pool) => {
                sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(pool).await.expect("a text")
            }
            Behind::MySql(pool) => {
                sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(pool).await.expect("a text")
            }
        }
    }

    /// Runs a statement that the database must reject.
    pub(crate) async fn refuses(&self, text: &str) {
        let query = sqlx::raw_sql(AssertSqlSafe(text));
        let result = match &self.behind {
            Behind::Sqlite(pool) => query.execute(pool).await.map(drop),
            Behind::MySql(pool) => query.execute(pool).await.map(drop),
        };
        assert!(result.is_err(), "{text}");
    }

    /// Begins a transaction with `text`, as another program would.
    pub(crate) async fn begin(&self, text: &str) -> Other {
        let mut other = match &self.behind {
            Behind::Sqlite(pool) => Other::Sqlite(pool.acquire().await.expect("a connection")),
            Behind::MySql(pool) => Other::MySql(pool.acquire().await.expect("a connection")),
        };
        other.run(&format!("BEGIN; {text}")).await;
        other
    }

    /// Returns the number of the harness's own connections.
    pub(crate) fn connections(&self) -> i64 {
        match &self.behind {
            Behind::Sqlite(pool) => pool.size().into(),
            Behind::MySql(pool) => pool.size().into(),
        }
    }

    pub(crate) const fn is_behind_proxy(&self) -> bool {
        self.is_behind_proxy
    }

    pub(crate) const fn is_sqlite(&self) -> bool {
        matches!(self.behind, Behind::Sqlite(_))
    }

    pub(crate) async fn letters(&self) -> Vec<StoredDeadLetter> {
        let page = PageRequest { after: 0, letters_max: NonZeroU32::MAX };
        let heads = self
            .store
            .list_dead_letters(&DeadLetterSelection::All, DeadLetterStatus::Any, page)
            .await
            .expect("reads");
        let ids: Vec<_> = heads.iter().map(|head| head.id).collect();
        self.store.get_dead_letters(&ids).await.expect("reads")
    }

    /// Opens another store on the same database.
    pub(crate) async fn open(&self, config: StoreConfig) -> Store {
        Store::connect(&self.url, config).await.expect("a valid address")
    }

    /// Runs the case, closes all connections, and then returns a panic of the case.
    async fn examine(self, case: impl AsyncFnOnce(&Self)) -> Result<(), Box<dyn std::any::Any + Send>> {
        let result = AssertUnwindSafe(case(&self)).catch_unwind().await;
        self.store.close().await;
        match &self.behind {
            Behind::Sqlite(pool) => pool.close().await,
            Behind::MySql(pool) => pool.close().await,
        }
        result
    }
}

/// A connection of another program.
pub(crate) enum Other {
    Sqlite(PoolConnection<Sqlite>),
    MySql(PoolConnection<MySql>),
}

impl Other {
    pub(crate) async fn run(&mut self, text: &str) {
        let text = sqlx::raw_sql(AssertSqlSafe(text));
        match self {
            Self::Sqlite(connection) => drop(text.execute(&mut **connection).await.expect("runs")),
            Self::MySql(connection) => drop(text.execute(&mut **connection).await.expect("runs")),
        }
    }
}

async fn store(url: &DatabaseUrl) -> Arc<Store> {
    Arc::new(Store::connect(url, config()).await.expect("a valid address"))
}

pub(crate) fn address(text: &str) -> DatabaseUrl {
    text.parse().expect("a database's address")
}

pub(crate) async fn on_sqlite(case: impl AsyncFnOnce(&Harness)) {
    let database = TestDatabase::sqlite();
    let store = store(&database.url).await;
    store.migrate().await.expect("migrates");
    let options = SqliteConnectOptions::from_str(database.url.expose()).expect("valid");
    let behind = Behind::Sqlite(SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options));
    Harness { store, url: database.url.clone(), behind, is_behind_proxy: false }
        .examine(case)
        .await
        .unwrap_or_else(|panic| resume_unwind(panic));
}

pub(crate) async fn on_mysql(case: impl AsyncFnOnce(&Harness)) {
    on_server(None, case).await;
}

/// Through a proxy that passes each session through to the server.
pub(crate) async fn on_passthrough(case: impl AsyncFnOnce(&Harness)) {
    let Some(proxy) = test_variable(PASSTHROUGH_URL) else { return };
    on_server(Some(proxy), case).await;
}

/// On MariaDB, which the store reaches through the proxy with the URL `proxy`, if there is one.
pub(crate) async fn on_server(proxy: Option<String>, case: impl AsyncFnOnce(&Harness)) {
    let Some(database) = TestDatabase::mysql().await else { return };
    let direct = database.url.expose();
    let url = match proxy {
        Some(proxy) => {
            let (_, name) = direct.rsplit_once('/').expect("a database");
            address(&format!("{}/{name}", proxy.trim_end_matches('/')))
        }
        None => database.url.clone(),
    };
    let store = store(&url).await;
    store.migrate().await.expect("migrates");
    let behind = Behind::MySql(MySqlPoolOptions::new().connect_lazy(direct).expect("valid"));
    let result = Harness { store, url, behind, is_behind_proxy: false }.examine(case).await;
    database.remove().await;
    result.unwrap_or_else(|panic| resume_unwind(panic));
}

/// The proxy has one schema, so its tests run one after the other: a lock on the server serializes them across
/// processes.
pub(crate) async fn on_proxy(case: impl AsyncFnOnce(&Harness)) {
    let (Some(proxy), Some(direct)) = (test_variable(PROXY_URL), test_variable(PROXY_DIRECT_URL)) else {
        return;
    };
    let mut turn = MySqlConnection::connect(&direct).await.expect("the server answers");
    let lock = sqlx::query_scalar::<_, i64>("SELECT GET_LOCK('spillway_proxy', 600)");
    assert_eq!(lock.fetch_one(&mut turn).await.expect("a lock"), 1, "the lock on the proxy's schema");

    let migrated = store(&address(&direct)).await;
    migrated.migrate().await.expect("migrates");
    migrated.close().await;
    let behind = MySqlPoolOptions::new().connect_lazy(&direct).expect("valid");
    // A test that was aborted during a statement may have left a transaction open in the proxy; a restart ends it.
    sqlx::raw_sql(
        "SET lock_wait_timeout = 20; DROP TRIGGER IF EXISTS poison; TRUNCATE sale_skus; TRUNCATE user_purchases; TRUNCATE orders; \
         TRUNCATE order_conflicts; TRUNCATE dead_letters; TRUNCATE drain_audit; \
         TRUNCATE drain_groups; TRUNCATE drain_leases; TRUNCATE drain_fences",
    )
    .execute(&behind)
    .await
    .expect("may empty the schema, unless the proxy holds a lock on it");

    let url = address(&proxy);
    let harness =
        Harness { store: store(&url).await, url, behind: Behind::MySql(behind), is_behind_proxy: true };
    harness.examine(case).await.unwrap_or_else(|panic| resume_unwind(panic));
    turn.close().await.expect("releases the lock");
}
