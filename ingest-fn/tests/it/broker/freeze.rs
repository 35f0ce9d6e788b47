//! The platform freezes an instance between requests, for a second or for hours. SIGSTOP and SIGCONT simulate it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use shared::testkit::{PATIENCE, TOPIC, TestBroker, eventually};
use spillway_broker::Broker;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::fixture::{Client, connect_consumer, order_of};
use super::process::Process;

/// The network between instance and broker. It can drop a connection silently, as a NAT gateway drops one that was idle
/// for a long time.
struct Network {
    address: SocketAddr,
    broker: Arc<OnceLock<SocketAddr>>,
    forget: Arc<std::sync::Mutex<CancellationToken>>,
}

impl Network {
    /// Opens before the broker, which advertises this address.
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let forget = Arc::new(std::sync::Mutex::new(CancellationToken::new()));
        let current = forget.clone();
        let broker = Arc::new(OnceLock::new());
        let leads_to = broker.clone();
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let broker: SocketAddr = *leads_to.get().expect("it leads somewhere");
                let forgotten = current.lock().expect("not poisoned").clone();
                connections.spawn(async move {
                    let mut server = TcpStream::connect(broker).await.expect("the broker listens");
                    forgotten.run_until_cancelled(copy_bidirectional(&mut client, &mut server)).await;
                    // Both ends stay open, and no bytes pass.
                    std::future::pending::<()>().await;
                });
            }
        });
        Self { address, broker, forget }
    }

    fn lead_to(&self, broker: SocketAddr) {
        self.broker.set(broker).expect("once");
    }

    fn forget_connections(&self) {
        let old = std::mem::take(&mut *self.forget.lock().expect("not poisoned"));
        old.cancel();
    }
}

async fn messages(broker: &Broker) -> u64 {
    broker.stats().await.expect("stats").topic(TOPIC).expect("the topic").sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_order_after_a_freeze_succeeds_even_if_the_connection_is_dead() {
    let directory = tempfile::tempdir().expect("a directory");
    // The route names another address than the configured one, as it may in a real cluster, so two connections are
    // dead.
    let (access, route) = (Network::open().await, Network::open().await);
    let advertised = (route.address.ip().to_string(), route.address.port());
    let kit = TestBroker::start_with(|config| config.advertised = Some(advertised)).await;
    let broker = &kit.broker;
    access.lead_to(broker.local_addr());
    route.lead_to(broker.local_addr());
    let consumer = connect_consumer(&kit).await;
    // The publish time-out allows two attempts of three seconds each.
    let process = Process::start(access.address, directory.path(), &["--publish-timeout-ms=6000"]).await;
    let mut client = Client::connect(process.address).await;
    let mut number = 0;
    let mut post = async |client: &mut Client| {
        number += 1;
        let answer = client.post(&format!("key-{number}"), &order_of(number)).await.expect("an answer");
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    };
    post(&mut client).await;

    // A freeze alone.
    process.signal("-STOP");
    process.signal("-CONT");
    post(&mut client).await;

    // The broker closes the connection during the freeze.
    process.signal("-STOP");
    broker.faults().drop_connections();
    process.signal("-CONT");
    post(&mut client).await;

    // The network drops the connection silently during the freeze.
    process.signal("-STOP");
    access.forget_connections();
    route.forget_connections();
    process.signal("-CONT");
    post(&mut client).await;
    post(&mut client).await;
    assert!(consumer.close(PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_after_the_timeout_is_an_error_and_a_retry_is_the_same_order() {
    // Enough for a busy machine to send the order and to read its body.
    const PUBLISH: Duration = Duration::from_millis(1_500);
    const BODY: Duration = Duration::from_millis(500);
    let directory = tempfile::tempdir().expect("a directory");
    let kit = TestBroker::start().await;
    let broker = &kit.broker;
    let consumer = connect_consumer(&kit).await;
    let flags = [
        format!("--publish-timeout-ms={}", PUBLISH.as_millis()),
        format!("--body-timeout-ms={}", BODY.as_millis()),
    ];
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let process = Process::start(broker.local_addr(), directory.path(), &flags).await;
    let mut client = Client::connect(process.address).await;
    client.post_until_accepted("warm", &order_of(0)).await;
    let before = messages(broker).await;

    broker.faults().stall();
    let waiting = tokio::spawn(async move {
        let answer = client.post("key", &order_of(1)).await.expect("an answer");
        (client, answer)
    });
    eventually("the order is sent", async || messages(broker).await > before).await;
    process.signal("-STOP");
    // The acknowledgement arrives during the freeze, and all deadlines pass before the instance reads it.
    broker.faults().resume();
    sleep(PUBLISH + BODY + Duration::from_millis(100)).await;
    process.signal("-CONT");
    let (mut client, late) = timeout(PATIENCE, waiting).await.expect("in time").expect("no panic");
    assert!(late.is_503_with_wait(), "{late:?}");
    assert_eq!(late.body["code"], "publish_timeout");
    let (order_id, _rejections) = client.post_until_accepted("key", &order_of(1)).await;
    assert_eq!(order_id, late.order_id());
    assert!(consumer.close(PATIENCE).await);
}
