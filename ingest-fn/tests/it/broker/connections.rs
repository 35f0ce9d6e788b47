//! Connections: their lifetime, their end, and their maximum.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use shared::http::serve_connection;
use shared::testkit::PATIENCE;
use tokio::io::{AsyncReadExt, duplex};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::fixture::{Client, Fixture, order_of};

/// A connection in memory to a service that answers after `takes`.
async fn connection(takes: Duration, stop: &CancellationToken, cut: &CancellationToken) -> Connection {
    let (client, server) = duplex(16 * 1024);
    let (stop, cut) = (stop.clone(), cut.clone());
    let serving = tokio::spawn(async move {
        let service = service_fn(move |_request| async move {
            sleep(takes).await;
            Ok::<_, Infallible>(Response::new(Body::from("done")))
        });
        cut.run_until_cancelled(serve_connection(server, service, &stop)).await;
    });
    let (sender, driver) = handshake(TokioIo::new(client)).await.expect("HTTP");
    tokio::spawn(driver);
    Connection { sender, serving }
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    serving: JoinHandle<()>,
}

impl Connection {
    async fn ask(&mut self) -> Option<StatusCode> {
        let request = Request::get("/").header("host", "ingest").body(Full::default()).expect("a request");
        self.sender.ready().await.ok()?;
        Some(self.sender.send_request(request).await.ok()?.status())
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_idle_for_a_day() {
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    let mut connection = connection(Duration::ZERO, &stop, &cut).await;
    // Before the first request too: a platform opens connections ahead.
    for idle in [Duration::from_secs(16 * 60), Duration::from_secs(24 * 3_600)] {
        sleep(idle).await;
        assert_eq!(connection.ask().await, Some(StatusCode::OK), "after {idle:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_an_idle_connection_at_once_and_a_busy_one_after_its_answer() {
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    let mut idle = connection(Duration::ZERO, &stop, &cut).await;
    assert_eq!(idle.ask().await, Some(StatusCode::OK));
    let mut busy = connection(Duration::from_secs(5), &stop, &cut).await;
    let asking = tokio::spawn(async move { (busy.ask().await, busy.serving) });
    sleep(Duration::from_secs(1)).await;
    stop.cancel();
    idle.serving.await.expect("no panic");
    let (status, serving) = asking.await.expect("no panic");
    assert_eq!(status, Some(StatusCode::OK));
    serving.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_forced_shutdown_closes_a_busy_connection() {
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    let mut busy = connection(Duration::from_secs(3_600), &stop, &cut).await;
    let asking = tokio::spawn(async move { (busy.ask().await, busy.serving) });
    sleep(Duration::from_secs(1)).await;
    stop.cancel();
    cut.cancel();
    let (status, serving) = asking.await.expect("no panic");
    assert_eq!(status, None);
    serving.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_beyond_the_limit_gets_503_and_the_others_still_work() {
    let fixture = Fixture::open_with(|settings| {
        settings.server.connections_max = NonZeroUsize::new(2).expect("positive");
    })
    .await;
    let mut client = Client::connect(fixture.address).await;
    let answer = client.post("one", &order_of(1)).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let rejected = async {
        let mut held = Vec::new();
        loop {
            // The connection that opened the fixture may have closed, which makes room for one.
            let mut stream = TcpStream::connect(fixture.address).await.expect("connected");
            let mut text = String::new();
            if timeout(Duration::from_millis(200), stream.read_to_string(&mut text)).await.is_ok() {
                return text;
            }
            held.push(stream);
        }
    };
    let text = timeout(PATIENCE, rejected).await.expect("in time");
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("retry-after: 1\r\n"), "{text}");
    let answer = client.post("two", &order_of(2)).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    fixture.shutdown.cancel();
}
