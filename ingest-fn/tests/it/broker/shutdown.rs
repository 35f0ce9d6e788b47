//! Graceful stops, and stops that reach the grace period.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Full;
use ingest_fn::publish::WarmUpError;
use ingest_fn::server::serve;
use shared::testkit::{PATIENCE, TestBroker, eventually};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::support::StubPublisher;

use super::fixture::{Client, Fixture, order_of, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_orders_in_flight() {
    const ORDERS: u64 = 20;
    // One message per order, so that the broker's count shows when all of them are in flight.
    let fixture = Fixture::open_with(|settings| settings.batch.orders_max = NonZeroUsize::MIN).await;
    fixture.faults().stall();
    let mut clients = JoinSet::new();
    for number in 0..ORDERS {
        let address = fixture.address;
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            client.post(&format!("key-{number}"), &order_of(number)).await.expect("an answer")
        });
    }
    eventually("all orders are in flight", async || fixture.messages().await >= ORDERS).await;
    fixture.shutdown.cancel();
    eventually("it accepts no new connections", async || TcpStream::connect(fixture.address).await.is_err())
        .await;
    assert!(!fixture.running.is_finished(), "orders are in flight");
    fixture.faults().resume();
    for answer in clients.join_all().await {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    }
    assert_eq!(fixture.receive(ORDERS as usize).await.len() as u64, ORDERS);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_within_the_grace_period() {
    let grace = Duration::from_secs(5);
    let mut fixture = Fixture::open_with(|settings| {
        settings.server.grace = grace;
        // The order is in flight for longer than both grace periods would take.
        settings.producer.delivery_timeout = PATIENCE;
        settings.client.request_timeout = PATIENCE;
    })
    .await;
    fixture.faults().stall();
    let mut client = Client::connect(fixture.address).await;
    let waiting = tokio::spawn(async move { client.post("key", &order_of(1)).await });
    eventually("the order is in flight", async || fixture.messages().await > 0).await;
    let started = Instant::now();
    fixture.shutdown.cancel();
    let ended = timeout(PATIENCE, &mut fixture.running).await.expect("it ends").expect("no panic");
    assert!(ended.is_ok(), "{ended:?}");
    // The producer's termination notice adds at most half a second. A grace period for connections and another one for
    // the producer would be too long.
    let took = started.elapsed();
    assert!((grace..grace * 2).contains(&took), "{took:?}");
    waiting.abort();
}

#[tokio::test]
async fn a_stop_during_the_start_is_immediate() {
    // Bound but not listening: no other process gets the port, and connections are refused.
    let closed_port = tokio::net::TcpSocket::new_v4().expect("a socket");
    closed_port.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let settings = settings(closed_port.local_addr().expect("an address"));
    let listener = TcpListener::bind(settings.listen).await.expect("a port");
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(ingest_fn::run(settings, listener, shutdown.clone()));
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(!running.is_finished(), "it waits for the broker");
    shutdown.cancel();
    // Far less than the start timeout.
    let ended = timeout(Duration::from_secs(10), running).await.expect("at once").expect("no panic");
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn a_missing_topic_fails_the_start() {
    let kit = TestBroker::start().await;
    let broker = &kit.broker;
    let mut settings = settings(broker.local_addr());
    settings.producer.topics = vec!["no-such-topic".to_owned()];
    let listener = TcpListener::bind(settings.listen).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let running = tokio::spawn(ingest_fn::run(settings, listener, CancellationToken::new()));
    let request = Request::post("/initialize")
        .header("x-fc-request-id", "1-6744f3a5")
        .body(Full::default())
        .expect("a request");
    let answer = Client::connect(address).await.send(request).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.body["instance"], "urn:spillway:request:1-6744f3a5");
    assert_eq!(answer.headers.get("x-fc-status").and_then(|status| status.to_str().ok()), Some("500"));
    assert_eq!(answer.body["code"], "initialize_failed");
    assert!(
        answer.body["detail"].as_str().is_some_and(|detail| detail.contains("no-such-topic")),
        "{answer:?}"
    );
    let error = timeout(PATIENCE, running).await.expect("it ends").expect("no panic").expect_err("it fails");
    assert!(error.to_string().starts_with("RocketMQ at 127.0.0.1:"), "{error}");
    kit.broker.shutdown().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_be_opened_stops_the_instance() {
    let settings = settings(SocketAddr::from(([127, 0, 0, 1], 1)));
    let listener = TcpListener::bind(settings.listen).await.expect("a port");
    let opened = Arc::new(AtomicUsize::new(0));
    let open = move || {
        // The second of two.
        if opened.fetch_add(1, Ordering::SeqCst) == 0 {
            return Ok(StubPublisher::accepting());
        }
        Err(WarmUpError { reason: "a certificate that is none".to_owned(), retryable: false })
    };
    let running = serve(settings.server, listener, CancellationToken::new(), open);
    let error = timeout(PATIENCE, running).await.expect("it ends").expect_err("it fails");
    assert_eq!(error.to_string(), "a certificate that is none");
}
