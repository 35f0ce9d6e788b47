//! A worker's health, as the platform and operators see it from outside.

use std::net::SocketAddr;

use drain_worker::control::{AuditContext, SettingsChange};
use drain_worker::init::init;
use serde_json::Value;
use shared::testkit::{GROUP, TOPIC, TestDatabase, catalogue, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Duration, sleep};

use crate::harness::{SKUS, WholeWorker, WorkerFixture, orders};

/// Returns the status and the body of a response of the admin port.
pub(crate) async fn get(admin: SocketAddr, path: &str) -> (u16, String) {
    ask(admin, "GET", path).await
}

/// The same for any method, without a body.
pub(crate) async fn ask(admin: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).await.expect("it listens");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("a response");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, body.to_owned())
}

pub(crate) async fn json(admin: SocketAddr, path: &str) -> Value {
    serde_json::from_str(&get(admin, path).await.1).expect("JSON")
}

pub(crate) async fn until_ready(admin: SocketAddr) {
    eventually("ready", async || get(admin, "/readyz").await.0 == 200).await;
}

async fn until_not_ready(admin: SocketAddr, state: &str) {
    eventually(state, async || {
        let (status, body) = get(admin, "/readyz").await;
        status == 503 && body.contains(&format!("\"{state}\""))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_notices_that_the_broker_is_gone() {
    let fixture = WorkerFixture::new().await;
    let worker = fixture.whole_worker(&[]).await;
    until_ready(worker.admin).await;
    eventually("the lag is known", async || json(worker.admin, "/v1/status").await["lag"]["orders"] == 0)
        .await;
    assert!(get(worker.admin, "/metrics").await.1.contains("\ndrain_lag_orders 0\n"));

    fixture.broker.broker.shutdown().await.expect("stops");
    until_not_ready(worker.admin, "broker_down").await;
    assert_eq!(get(worker.admin, "/readyz/lookups").await.0, 200, "lookups need no broker");
    eventually("reported to the pool", async || {
        let status = json(worker.admin, "/v1/status").await;
        status["workers"][0]["state"] == "broker_down" && status["lag"]["orders"].is_null()
    })
    .await;
    let status = json(worker.admin, "/v1/status").await;
    assert!(status["lag"]["error"].is_string(), "{status:#}");
    assert!(status["eta"].is_null(), "{status:#}");
    assert_eq!(status["warnings"][0]["text"], "broker unavailable for 1 of 1 workers");
    assert_eq!(status["warnings"][0]["code"], "broker_down");
    let metrics = get(worker.admin, "/metrics").await.1;
    assert!(!metrics.contains("\ndrain_lag_orders"), "an unknown lag is left out");
    assert!(!metrics.contains("NaN"), "{metrics}");
}

/// A paused worker receives nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_worker_notices_that_the_broker_is_gone() {
    let fixture = WorkerFixture::new().await;
    let worker = fixture.whole_worker(&[]).await;
    until_ready(worker.admin).await;
    let change = SettingsChange::PauseUntil { until_us: None };
    let context =
        AuditContext { who: "ann".to_owned(), reason: "test".to_owned(), ..AuditContext::default() };
    fixture.store.change_settings(GROUP, &change, None, &context).await.expect("paused");
    eventually("paused", async || get(worker.admin, "/readyz").await.1.contains("\"paused\"")).await;
    fixture.broker.broker.shutdown().await.expect("stops");
    until_not_ready(worker.admin, "broker_down").await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_worker_is_not_ready() {
    let fixture = WorkerFixture::new().await;
    let worker = fixture.whole_worker(&["--initial-rate", "20"]).await;
    until_ready(worker.admin).await;
    fixture.publish(&orders(0..200, "PLENTY")).await;
    eventually("it commits", async || fixture.counts().await.orders() > 0).await;
    // What it has received takes it seconds.
    worker.request_stop();
    let (status, body) = get(worker.admin, "/readyz").await;
    assert_eq!((status, body.contains("\"stopping\"")), (503, true), "{body}");
    worker.stop().await;
}

/// A way to the database that can be cut.
struct Way {
    address: SocketAddr,
    is_open: watch::Sender<bool>,
}

impl Way {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (is_open, mut cut) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !*cut.borrow_and_update() {
                    continue;
                }
                let Ok(mut server) = TcpStream::connect(&server).await else { continue };
                let mut cut = cut.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = cut.wait_for(|is_open| !is_open) => {}
                    }
                });
            }
        });
        Self { address, is_open }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_notices_that_the_database_is_gone() {
    let Some(database) = TestDatabase::mysql().await else { return };
    let fixture = WorkerFixture::new().await;
    init(&database.url, &catalogue(&SKUS), fixture.client.clone(), GROUP, TOPIC, &AuditContext::default())
        .await
        .expect("prepared");
    let (account, place) = database.url.expose().rsplit_once('@').expect("an account");
    let (server, name) = place.split_once('/').expect("a database");
    let way = Way::to(server.to_owned()).await;
    let url = format!("{account}@{}/{name}?ssl-mode=disabled", way.address);
    let endpoint = fixture.client.endpoints.to_string();
    let flags = ["run", "--database-url", &url, "--rocketmq-endpoint", &endpoint].map(str::to_owned);
    let worker = WholeWorker::start(flags.to_vec()).await;
    until_ready(worker.admin).await;
    eventually("the lag is known", async || json(worker.admin, "/v1/status").await["lag"]["orders"] == 0)
        .await;

    way.is_open.send_replace(false);
    until_not_ready(worker.admin, "database_down").await;
    assert_eq!(get(worker.admin, "/readyz/lookups").await.0, 503);
    let samples = async || {
        let history = json(worker.admin, "/v1/history").await;
        history["samples"].as_array().map_or(0, Vec::len)
    };
    let status = json(worker.admin, "/v1/status").await;
    assert_eq!(status["workers"][0]["state"], "database_down");
    for unknown in ["/committed_per_second", "/lag/orders", "/lag/oldest_age_s", "/eta", "/dead_letters"] {
        assert!(status.pointer(unknown).is_none_or(Value::is_null), "{unknown}: {status:#}");
    }
    let metrics = get(worker.admin, "/metrics").await.1;
    for unknown in ["drain_lag_orders", "drain_cap_orders_per_second", "drain_share_orders_per_second"] {
        assert!(!metrics.contains(&format!("\n{unknown} ")), "{unknown}: {metrics}");
    }
    assert!(metrics.contains("\ndrain_ready 0\n"), "{metrics}");
    let before = samples().await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(samples().await, before, "the history has a gap");

    way.is_open.send_replace(true);
    until_ready(worker.admin).await;
    let status = json(worker.admin, "/v1/status").await;
    assert!(status["committed_per_second"].is_number(), "{status:#}");
    worker.stop().await;
    database.remove().await;
}
