//! Connections, timeouts and shutdown of the two ports.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use drain_worker::metrics;
use hyper_util::service::TowerToHyperService;
use shared::http::{ServeConfig, Timeouts, serve};
use shared::loopback::free_loopback_address;
use shared::testkit::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::harness::WorkerFixture;

/// Bounds each wait of these tests, and is longer than any response that is not delayed on purpose.
const SHORT: Duration = Duration::from_millis(500);

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

fn config(port: &'static str, connections_max: usize) -> ServeConfig {
    ServeConfig::new(port, NonZeroUsize::new(connections_max).expect("not zero"))
}

async fn served(config: ServeConfig) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/body", post(|body: String| async { body }))
        .route("/slow", get(|| async { sleep(SHORT).await }))
        .route("/never", get(std::future::pending::<()>));
    let stop = CancellationToken::new();
    let running = tokio::spawn(serve(listener, TowerToHyperService::new(router), config, stop.clone()));
    Served { address, stop, running }
}

impl Served {
    async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Requests the stop and returns its duration.
    async fn stop(self) -> Duration {
        let began = Instant::now();
        self.stop.cancel();
        timeout(PATIENCE, self.running).await.expect("ends in time").expect("does not panic");
        began.elapsed()
    }
}

struct Client(TcpStream);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("connected"))
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("written");
    }

    /// Sends a request and reads the response up to `end`.
    async fn ask(&mut self, request: &[u8], end: &str) -> String {
        self.say(request).await;
        let mut text = String::new();
        while !text.ends_with(end) {
            let mut bytes = [0; 1_024];
            let read = timeout(PATIENCE, self.0.read(&mut bytes)).await.expect("in time").expect("read");
            assert_ne!(read, 0, "closed after {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        text
    }

    /// Reads until the peer closes. A connection that is closed with unread bytes is reset.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _reset = timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await.expect("closed in time");
        String::from_utf8(bytes).expect("text")
    }
}

/// True if a problem document has the id of its header as `instance`.
fn names_its_request(text: &str) -> bool {
    let id = text.lines().find_map(|line| line.strip_prefix("x-request-id: "));
    id.is_some_and(|id| text.contains(&format!("\"instance\":\"urn:spillway:request:{id}\"")))
}

fn is_refusal(text: &str) -> bool {
    text.starts_with("HTTP/1.1 503 ") && text.contains("retry-after: 1\r\n") && names_its_request(text)
}

#[tokio::test]
async fn a_connection_above_the_bound_is_rejected_and_closed() {
    let metrics = shared::telemetry::metrics();
    let on_reject = || metrics::connection_rejected("bounded");
    let served = served(ServeConfig { on_reject, ..config("bounded", 2) }).await;
    let (mut first, mut second) = (served.connect().await, served.connect().await);
    for client in [&mut first, &mut second] {
        client.ask(ASK, "here").await;
    }
    for _ in 0..3 {
        assert!(is_refusal(&served.connect().await.rest().await));
    }
    let metrics = metrics.render();
    assert!(metrics.contains("drain_connections_rejected_total{port=\"bounded\"} 3\n"), "{metrics}");
    // Open connections stay open, and a slot that is released is reused.
    first.ask(ASK, "here").await;
    drop(second);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut next = served.connect().await;
        // A rejection may cross the request, and arrives as a reset then.
        let _may_be_refused =
            next.0.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
        if next.rest().await.ends_with("here") {
            break;
        }
        assert!(Instant::now() < deadline, "no slot is free");
    }
    served.stop().await;
}

#[tokio::test]
async fn the_head_timeout_does_not_restart_with_more_bytes() {
    let timeouts = Timeouts { head: SHORT, ..Timeouts::default() };
    let served = served(ServeConfig { timeouts, ..config("heads", 8) }).await;
    let began = Instant::now();
    let (mut silent, mut half, mut kept) =
        (served.connect().await, served.connect().await, served.connect().await);
    half.say(b"GET / HTTP/1.1\r\nhost:").await;
    kept.ask(ASK, "here").await;
    sleep(SHORT * 2).await;
    kept.ask(ASK, "here").await;
    assert_eq!(silent.rest().await, "");
    let answer = half.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"code\":\"head_timeout\""), "{answer}");
    assert!(names_its_request(&answer), "{answer}");
    assert!(began.elapsed() >= SHORT);

    // The same on a connection that has served a request.
    let began = Instant::now();
    kept.say(b"GET / HTTP/1.1\r\nhost: ").await;
    loop {
        if kept.0.write_all(b"x").await.is_err() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "a head without an end");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() >= SHORT);
    served.stop().await;
}

#[tokio::test]
async fn a_kept_connection_serves_until_its_idle_timeout() {
    let timeouts = Timeouts { idle: Some(SHORT), ..Timeouts::default() };
    let served = served(ServeConfig { timeouts, ..config("idle", 8) }).await;
    let mut client = served.connect().await;
    for _ in 0..20 {
        let answer = client.ask(ASK, "here").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let began = Instant::now();
    assert_eq!(client.rest().await, "");
    assert!(began.elapsed() >= SHORT / 2, "{:?}", began.elapsed());
    served.stop().await;
}

#[tokio::test]
async fn bodies_and_responses_time_out() {
    let timeouts = Timeouts { answer: Some(SHORT), ..Timeouts::default() };
    let served = served(ServeConfig { timeouts, ..config("answers", 8) }).await;
    let (mut body, mut never) = (served.connect().await, served.connect().await);
    let began = Instant::now();
    body.say(b"POST /body HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf").await;
    never.say(b"GET /never HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!((body.rest().await, never.rest().await), (String::new(), String::new()));
    assert!(began.elapsed() >= SHORT);
    served.stop().await;
}

#[tokio::test]
async fn a_stop_waits_for_responses_but_not_for_idle_clients() {
    let served = served(ServeConfig { grace: PATIENCE, ..config("stops", 8) }).await;
    let (mut kept, mut fresh, mut slow) =
        (served.connect().await, served.connect().await, served.connect().await);
    kept.ask(ASK, "here").await;
    slow.say(b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await;
    // All three connections are accepted: they were opened before this one.
    served.connect().await.ask(ASK, "here").await;
    let address = served.address;
    assert!(served.stop().await < PATIENCE / 2);
    assert_eq!((kept.rest().await, fresh.rest().await), (String::new(), String::new()));
    let answer = slow.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn a_stop_closes_connections_after_its_grace_period() {
    let served = served(ServeConfig { grace: SHORT, ..config("cut", 8) }).await;
    let mut never = served.connect().await;
    never.say(b"GET /never HTTP/1.1\r\nhost: test\r\n\r\n").await;
    served.connect().await.ask(ASK, "here").await;
    let took = served.stop().await;
    assert!((SHORT..PATIENCE / 2).contains(&took), "{took:?}");
    assert_eq!(never.rest().await, "");
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_port_serves_while_the_query_port_is_full() {
    let fixture = WorkerFixture::new().await;
    let worker = fixture.whole_worker(&["--query-connections-max", "2", "--grace-ms", "10000"]).await;
    let (query, admin) = (worker.query, worker.admin);

    let mut buyers = [Client::connect(query).await, Client::connect(query).await];
    for buyer in &mut buyers {
        let answer = buyer.ask(b"GET /v1/orders/x HTTP/1.1\r\nhost: test\r\n\r\n", "}").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert!(is_refusal(&Client::connect(query).await.rest().await));
    let mut probe = Client::connect(admin).await;
    probe.ask(HEALTH, "ok\n").await;
    let mut scraper = Client::connect(admin).await;
    scraper.say(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    let metrics = scraper.rest().await;
    assert!(metrics.contains("drain_connections_rejected_total{port=\"query\"} 1\n"), "{metrics}");

    // Neither buyers nor the probe have closed theirs.
    worker.stop().await;
    assert_eq!(buyers[0].rest().await, "");
}

/// A worker without free descriptors resumes as soon as it has one, and does not flood its log until then.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_survives_running_out_of_descriptors() {
    let fixture = WorkerFixture::new().await;
    let [query, admin] = [(); 2].map(|()| free_loopback_address().expect("a free port"));
    let flags = ["--query-listen", &query.to_string(), "--admin-listen", &admin.to_string()];
    let worker = tokio::process::Command::new("sh")
        .args(["-c", "ulimit -n 80; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_drain-worker")])
        .args(fixture.flags(&flags))
        .args(["--log-format", "json"])
        .env_remove("SPILLWAY_ADMIN_TOKEN")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the worker starts");
    let began = Instant::now();
    while TcpStream::connect(admin).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "does not listen");
        sleep(Duration::from_millis(20)).await;
    }
    Client::connect(admin).await.ask(HEALTH, "ok\n").await;

    let (mut crowd, began) = (Vec::new(), Instant::now());
    for _ in 0..100 {
        crowd.push(TcpStream::connect(query).await.expect("the backlog accepts it"));
    }
    sleep(Duration::from_secs(1)).await;
    drop(crowd);
    Client::connect(admin).await.ask(HEALTH, "ok\n").await;
    let pid = worker.id().expect("it runs");
    let signalled = tokio::process::Command::new("kill").arg(pid.to_string()).status().await;
    assert!(signalled.expect("it runs").success());
    let output = timeout(PATIENCE, worker.wait_with_output()).await.expect("it ends").expect("succeeds");
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{log}");
    // One line a second and port, however often accepting fails.
    let lines_max = 2 * (began.elapsed().as_secs() + 2);
    let lines = log.matches("accept_failed").count() as u64;
    assert!((1..=lines_max).contains(&lines), "{log}");
}
