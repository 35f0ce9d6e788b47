//! A pool for the operator's tests: a broker, a database, workers as processes, and a queue of orders.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use drain_worker::control::AuditContext;
use drain_worker::init::init;
use drain_worker::store::{Store, StoreConfig};
use shared::envelope::{EncodedOrder, encode_batch};
use shared::loopback::free_loopback_address;
use shared::order::AcceptedOrder;
use shared::rocketmq::{ClientConfig, DefaultContext, FutureProducer, FutureRecord, ProducerConfig};
use shared::testkit::{GROUP, PATIENCE, TOPIC, TestBroker, TestDatabase};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::orders::{SkuTerms, catalogue, order};

/// Orders in the queue when the workers start; a picture of a long run needs more (`CONSOLE_ORDERS`).
pub(crate) fn orders() -> u64 {
    std::env::var("CONSOLE_ORDERS").ok().and_then(|text| text.parse().ok()).unwrap_or(60_000)
}

/// The SKU that the first catalogue lacks, and the number of orders for it.
pub(crate) const FORGOTTEN: (&str, u64) = ("LATE", 3);

const TERMS: [SkuTerms<'static>; 3] =
    [("PLENTY", 1_000_000, None), ("FEW", 500, None), ("ONE-EACH", 1_000_000, Some(1))];

pub(crate) struct PoolFixture {
    pub(crate) url: String,
    database: TestDatabase,
    workers: Vec<Child>,
    broker: Option<TestBroker>,
}

impl PoolFixture {
    pub(crate) async fn new(workers: usize) -> Self {
        let broker = TestBroker::start().await;
        let client = broker.client();
        let database = TestDatabase::sqlite();
        init(&database.url, &catalogue(&TERMS), client.clone(), GROUP, TOPIC, &AuditContext::default())
            .await
            .expect("prepared");
        publish(client).await;
        let admin: Vec<_> = (0..workers).map(|_| free_loopback_address().expect("a free port")).collect();
        let broker_at = broker.broker.local_addr().to_string();
        let file = database.url.expose();
        let running =
            (1..).zip(&admin).map(|(number, admin)| worker(number, file, &broker_at, *admin)).collect();
        for address in &admin {
            timeout(PATIENCE, listening(*address)).await.expect("the worker listens in time");
        }
        Self { url: format!("http://{}/", admin[0]), database, workers: running, broker: Some(broker) }
    }

    /// Kills the last worker, and stops the broker.
    pub(crate) async fn break_down(&mut self) {
        if let Some(worker) = self.workers.last_mut() {
            worker.kill().await.expect("it runs");
        }
        self.broker = None;
    }

    /// Applies a catalogue that has the missing SKU.
    pub(crate) async fn apply_the_complete_catalogue(&self) {
        let store = Store::connect(&self.database.url, StoreConfig::default()).await.expect("it opens");
        let mut terms = TERMS.to_vec();
        terms.push((FORGOTTEN.0, 100, None));
        store.apply_catalogue(&catalogue(&terms)).await.expect("applied");
        store.close().await;
    }
}

/// Publishes each order once, 20 in a message: most are in stock, some sell out, some exceed a buyer's limit.
async fn publish(client: ClientConfig) {
    let config = ProducerConfig { topics: vec![TOPIC.to_owned()], ..ProducerConfig::default() };
    let producer = FutureProducer::new(client, config, DefaultContext).expect("a producer");
    let orders: Vec<AcceptedOrder> = (0..orders())
        .map(|number| match number {
            _ if number < FORGOTTEN.1 => order(number, "ann", &[(FORGOTTEN.0, 1)]),
            _ if number % 10 == 3 => order(number, "ann", &[("FEW", 1)]),
            _ if number % 20 == 7 => order(number, "ann", &[("ONE-EACH", 1)]),
            _ => order(number, "ann", &[("PLENTY", 1)]),
        })
        .collect();
    let mut sends = orders.chunks(20).map(|chunk| {
        let encoded: Vec<_> = chunk.iter().map(EncodedOrder::new).collect();
        let body = encode_batch(encoded.iter()).to_vec();
        producer.send(FutureRecord::to(TOPIC).payload(body), PATIENCE)
    });
    // Alone, since later sends overtake each other: its dead letters are the first that the workers make.
    if let Some(first) = sends.next() {
        first.await.expect("published");
    }
    for sent in futures_util::future::join_all(sends).await {
        sent.expect("published");
    }
    producer.close(PATIENCE).await;
}

fn worker(number: usize, database: &str, broker: &str, admin: SocketAddr) -> Child {
    Command::new(PathBuf::from(env!("CARGO_BIN_EXE_drain-worker")))
        .args(["run", "--migrate-on-start", "--database-url", database, "--rocketmq-endpoint", broker])
        .args(["--worker-name", &format!("drain-{number}")])
        .args(["--initial-rate", "100", "--query-listen", "127.0.0.1:0", "--admin-listen"])
        .arg(admin.to_string())
        .env_remove("SPILLWAY_ADMIN_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .expect("the worker starts")
}

async fn listening(address: SocketAddr) {
    while TcpStream::connect(address).await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
}
