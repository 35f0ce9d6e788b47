//! Orderly endings, and endings that cannot be orderly.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Full;
use ingest_fn::publish::WarmUpError;
use ingest_fn::server::serve;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::support::StubPublisher;

use super::stage::{BOUND, Client, Stage, open_broker, order_of, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_what_is_under_way() {
    const ORDERS: u64 = 20;
    // A message for each order, so that the broker's count says when all of them are under way.
    let stage = Stage::open_with(|settings| settings.batch.orders_max = NonZeroUsize::MIN).await;
    stage.broker.faults().stall();
    let mut clients = JoinSet::new();
    for number in 0..ORDERS {
        let address = stage.address;
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            client.post(&format!("key-{number}"), &order_of(number)).await.expect("an answer")
        });
    }
    let all_sent = async {
        while stage.messages().await < ORDERS {
            yield_now().await;
        }
    };
    timeout(BOUND, all_sent).await.expect("all orders are under way");
    stage.shutdown.cancel();
    let no_longer_listening = async {
        while TcpStream::connect(stage.address).await.is_ok() {
            yield_now().await;
        }
    };
    timeout(BOUND, no_longer_listening).await.expect("it takes no new connections");
    assert!(!stage.running.is_finished(), "orders are under way");
    stage.broker.faults().resume();
    for answer in clients.join_all().await {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    }
    assert_eq!(stage.receive(ORDERS as usize).await.len() as u64, ORDERS);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_takes_no_longer_than_the_grace_period() {
    let grace = Duration::from_millis(1_500);
    let mut stage = Stage::open_with(|settings| settings.server.grace = grace).await;
    stage.broker.faults().stall();
    let mut client = Client::connect(stage.address).await;
    let waiting = tokio::spawn(async move { client.post("key", &order_of(1)).await });
    while stage.messages().await == 0 {
        yield_now().await;
    }
    let started = Instant::now();
    stage.shutdown.cancel();
    let ended = timeout(BOUND, &mut stage.running).await.expect("it ends").expect("no panic");
    assert!(ended.is_ok(), "{ended:?}");
    // The producer's goodbye comes on top, half a second at most. Waiting for connections and then as long again for
    // the producer would be too long.
    let took = started.elapsed();
    assert!((grace..grace * 2).contains(&took), "{took:?}");
    waiting.abort();
}

#[tokio::test]
async fn a_stop_while_waiting_for_the_broker_is_immediate() {
    // A port where nobody listens: bound, so that nobody else does, and closed to connections.
    let nobody = tokio::net::TcpSocket::new_v4().expect("a socket");
    nobody.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let settings = settings(nobody.local_addr().expect("an address"));
    let listener = TcpListener::bind(settings.listen).await.expect("a port");
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(ingest_fn::run(settings, listener, shutdown.clone()));
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(!running.is_finished(), "it waits for the broker");
    shutdown.cancel();
    // Far less than it would wait for the broker.
    let ended = timeout(Duration::from_secs(10), running).await.expect("at once").expect("no panic");
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn a_topic_that_does_not_exist_ends_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = open_broker(&directory).await;
    let mut settings = settings(broker.local_addr());
    settings.producer.topics = vec!["no-such-topic".to_owned()];
    let listener = TcpListener::bind(settings.listen).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let running = tokio::spawn(ingest_fn::run(settings, listener, CancellationToken::new()));
    let request = Request::post("/initialize").body(Full::default()).expect("a request");
    let told = Client::connect(address).await.send(request).await.expect("an answer");
    assert_eq!(told.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(told.headers.get("x-fc-status").and_then(|status| status.to_str().ok()), Some("500"));
    assert_eq!(told.body["code"], "initialize_failed");
    assert!(told.body["detail"].as_str().is_some_and(|detail| detail.contains("no-such-topic")), "{told:?}");
    let error = timeout(BOUND, running).await.expect("it ends").expect("no panic").expect_err("it fails");
    assert!(error.to_string().starts_with("RocketMQ at 127.0.0.1:"), "{error}");
    broker.shutdown().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_be_opened_ends_the_instance() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let settings = settings(nobody);
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
    let error = timeout(BOUND, running).await.expect("it ends").expect_err("it fails");
    assert_eq!(error.to_string(), "a certificate that is none");
}
