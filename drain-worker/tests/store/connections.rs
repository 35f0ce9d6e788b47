//! The connections that the server counts while 32 workers start at once, restart, and lose the database.
//!
//! The workers are processes of this program, each with its own store; an observer polls the server.

use std::env;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use drain_worker::store::{Fence, OrderStore, StoreConfig};
use futures_util::future::join_all;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use shared::testkit::test_variable;

use crate::harness::{address, on_mysql, on_proxy};
use crate::orders::{catalogue, order};

/// Passes a worker its database and its number.
const URL: &str = "SPILLWAY_TEST_WORKER_URL";
const NUMBER: &str = "SPILLWAY_TEST_WORKER_NUMBER";

const WORKERS: u32 = 32;

/// Backend connections of the stack's proxy: its pool, and one by which it has read the schema at its start.
const PROXY_BACKENDS_MAX: i64 = 8 + 1;

fn config() -> StoreConfig {
    let two = std::num::NonZeroU32::MIN.saturating_add(1);
    StoreConfig {
        writers_max: two,
        readers_max: std::num::NonZeroU32::MIN,
        // 64 writers take turns at one SKU. On a busy machine a turn takes longer than a worker waits for an answer, and the
        // server counts the connection that the worker has closed beside its successor for a moment.
        lock_timeout: Duration::from_secs(30),
        ..StoreConfig::default()
    }
}

/// Commits with all its connections, without a pause, until its standard input ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as a separate process, started by the other tests"]
async fn worker() {
    let (Ok(url), Ok(number)) = (env::var(URL), env::var(NUMBER)) else { return };
    let number: u64 = number.parse().expect("a number");
    let store = drain_worker::store::Store::connect(&address(&url), config()).await.expect("a valid address");
    let stop = AtomicBool::new(false);
    let committed = AtomicI64::new(0);
    let commit = async |writer: u64| {
        for batch in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let first = (number << 48) + (writer << 40) + batch * 5;
            let orders: Vec<_> = (first..first + 5).map(|id| order(id, "ann", &[("a", 1)])).collect();
            // The test cuts the database off.
            match store.commit(Fence::Open, &orders).await {
                Ok(_) if committed.fetch_add(1, Ordering::Relaxed) == 0 => println!("working"),
                Ok(_) => {}
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
            if writer == 0 {
                let _found = store.find(orders[0].order_id).await;
            }
        }
    };
    let wait = async {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(_)) = lines.next_line().await {
            // Each line requires one more commit from now on.
            let before = committed.load(Ordering::Relaxed);
            while committed.load(Ordering::Relaxed) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            println!("alive");
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(wait, commit(0), commit(1));
    store.close().await;
    println!("closed");
}

/// A worker's process.
struct Worker {
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(url: &str, number: u32) -> Self {
        let mut process = Command::new(env::current_exe().expect("this program"))
            .args(["connections::worker", "--exact", "--ignored", "--nocapture"])
            .envs([(URL, url), (NUMBER, &number.to_string())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        let commands = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { process, commands, answers }
    }

    async fn says(&mut self, what: &str) {
        while let Some(line) = self.answers.next_line().await.expect("text") {
            if line.ends_with(what) {
                return;
            }
        }
        panic!("the worker ended before it said {what:?}");
    }

    async fn is_alive(&mut self) {
        self.commands.write_all(b"?\n").await.expect("asks");
        self.says("alive").await;
    }

    /// Stops the worker gracefully, and waits until its connections are closed.
    async fn stop(self) {
        let Self { mut process, commands, mut answers } = self;
        drop(commands);
        while let Some(line) = answers.next_line().await.expect("text") {
            if line.ends_with("closed") {
                break;
            }
        }
        process.wait().await.expect("ends");
    }
}

async fn start(url: &str) -> Vec<Worker> {
    let mut workers: Vec<_> = (0..WORKERS).map(|number| Worker::start(url, number)).collect();
    join_all(workers.iter_mut().map(|worker| worker.says("working"))).await;
    workers
}

/// Counts connections to a database at the server repeatedly, and keeps the maximum.
struct Observer {
    most: Arc<AtomicI64>,
    samples: Arc<AtomicI64>,
    watching: tokio::task::JoinHandle<()>,
}

impl Observer {
    async fn watch(server: &str, database: &str) -> Self {
        let mut connection = MySqlConnection::connect(server).await.expect("the server answers");
        let query = format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{database}' AND id <> CONNECTION_ID() \
             AND command <> 'Killed'"
        );
        let (most, samples) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
        let (maximum, count) = (most.clone(), samples.clone());
        let watching = tokio::spawn(async move {
            loop {
                let seen: i64 = sqlx::query_scalar(AssertSqlSafe(query.as_str()))
                    .fetch_one(&mut connection)
                    .await
                    .expect("the server answers");
                maximum.fetch_max(seen, Ordering::Relaxed);
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self { most, samples, watching }
    }

    /// Returns the maximum since the last call.
    fn take(&self, what: &str) -> i64 {
        let (most, samples) = (self.most.swap(0, Ordering::Relaxed), self.samples.swap(0, Ordering::Relaxed));
        println!("{what}: at most {most} connections in {samples} samples");
        most
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Starts, restarts and cuts off the workers; returns the maximum of connections in each phase.
async fn play(server: &str, url: &str, observer: &Observer, database: &str) -> Vec<(&'static str, i64)> {
    let mut most = Vec::new();
    let mut workers = start(url).await;
    join_all(workers.iter_mut().map(Worker::is_alive)).await;
    most.push(("start", observer.take("32 workers start at once")));

    join_all(workers.into_iter().map(Worker::stop)).await;
    let mut workers = start(url).await;
    most.push(("restart", observer.take("graceful restart")));

    // Without a database, so that this connection is not counted.
    let mut connection = MySqlConnection::connect(server).await.expect("the server answers");
    for _ in 0..3 {
        kill_connections(&mut connection, database).await;
        join_all(workers.iter_mut().map(Worker::is_alive)).await;
    }
    most.push(("loss", observer.take("the server kills all sessions, three times")));
    join_all(workers.into_iter().map(Worker::stop)).await;
    most
}

/// Ends the sessions of a database, as a shutdown of the server does.
async fn kill_connections(server: &mut MySqlConnection, database: &str) {
    let list = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = ?";
    let sessions: Vec<i64> =
        sqlx::query_scalar(list).bind(database).fetch_all(&mut *server).await.expect("the server answers");
    for session in sessions {
        // The session may have ended already.
        let _gone = sqlx::raw_sql(AssertSqlSafe(format!("KILL {session}"))).execute(&mut *server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_never_exceed_the_configured_pools() {
    on_mysql(async |harness| {
        harness.store.apply_catalogue(&catalogue(&[("a", 900_000_000, None)])).await.expect("applies");
        // The harness's store is not a worker.
        harness.store.close().await;
        let (server, database) = harness.url.expose().rsplit_once('/').expect("a database");
        let observer = Observer::watch(server, database).await;
        let most = play(server, harness.url.expose(), &observer, database).await;
        // No pool member runs here, so the coordination connection is not opened.
        let bound = i64::from(WORKERS * (config().connections_max() - 1));
        assert_eq!(harness.connections(), 0, "the harness has no connections of its own");
        for (what, most) in most {
            assert!(most <= bound, "{what}: {most} of {bound}");
            assert!(most >= i64::from(WORKERS), "{what}: the observer saw the workers");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_the_database_has_only_connections_of_the_proxy() {
    let Some(direct) = test_variable("SPILLWAY_TEST_MYSQL_PROXY_DIRECT_URL") else { return };
    on_proxy(async |harness| {
        harness.store.apply_catalogue(&catalogue(&[("a", 900_000_000, None)])).await.expect("applies");
        harness.store.close().await;
        let (server, database) = direct.rsplit_once('/').expect("a database");
        let observer = Observer::watch(server, database).await;
        let mut workers = start(harness.url.expose()).await;
        join_all(workers.iter_mut().map(Worker::is_alive)).await;
        let most = observer.take("32 workers through the proxy");
        join_all(workers.into_iter().map(Worker::stop)).await;
        // The harness connects to the server behind the proxy, and holds the lock that serializes the proxy's tests.
        let bound = PROXY_BACKENDS_MAX + harness.connections() + 1;
        assert!(most <= bound, "{most} of {bound}");
    })
    .await;
}
