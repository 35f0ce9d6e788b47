//! Connections: their lifetime and their end.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use shared::http::{Timeouts, serve_connection};
use tokio::io::duplex;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A connection in memory to a service that answers after `takes`.
async fn connection(takes: Duration, stop: &CancellationToken, cut: &CancellationToken) -> Connection {
    let (client, server) = duplex(16 * 1024);
    let (stop, cut) = (stop.clone(), cut.clone());
    let serving = tokio::spawn(async move {
        let service = service_fn(move |_request| async move {
            sleep(takes).await;
            Ok::<_, Infallible>(Response::new(Body::from("done")))
        });
        let timeouts = Timeouts::head_only(Duration::from_secs(10));
        cut.run_until_cancelled(serve_connection(server, service, &timeouts, &stop)).await;
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
