//! What the two ports take, and for how long they wait.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use drain_worker::metrics;
use hyper_util::service::TowerToHyperService;
use shared::http::{ServeConfig, Timeouts, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::harness::{PATIENCE, WorkerFixture};

/// Short enough to wait for, and longer than anything takes that is not to be waited for.
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

    /// Asks it to stop; how long that takes.
    async fn stop(self) -> Duration {
        let began = Instant::now();
        self.stop.cancel();
        timeout(PATIENCE, self.running).await.expect("it ends in time").expect("it does not panic");
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

    /// Sends a request and reads the answer up to `end`.
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

    /// What still comes until the other side closes. A connection that is cut with something unread is reset.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _reset = timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await.expect("closed in time");
        String::from_utf8(bytes).expect("text")
    }
}

fn is_refusal(text: &str) -> bool {
    text.starts_with("HTTP/1.1 503 ") && text.contains("retry-after: 1\r\n")
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_closed() {
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
    // Those that are in stay in, and a place that is given up is given away.
    first.ask(ASK, "here").await;
    drop(second);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut next = served.connect().await;
        // A refusal may meet the request, and is a reset then.
        let _may_be_refused =
            next.0.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
        if next.rest().await.ends_with("here") {
            break;
        }
        assert!(Instant::now() < deadline, "no place is given away");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_head_is_not_waited_for_longer_because_more_of_it_comes() {
    let timeouts = Timeouts { head: SHORT, ..Timeouts::default() };
    let served = served(ServeConfig { timeouts, ..config("heads", 8) }).await;
    let began = Instant::now();
    let (mut silent, mut half, mut kept) =
        (served.connect().await, served.connect().await, served.connect().await);
    half.say(b"GET / HTTP/1.1\r\nhost:").await;
    kept.ask(ASK, "here").await;
    sleep(SHORT * 2).await;
    kept.ask(ASK, "here").await;
    assert_eq!((silent.rest().await, half.rest().await), (String::new(), String::new()));
    assert!(began.elapsed() >= SHORT);

    // Nor on a connection that has been of use.
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
async fn a_kept_connection_serves_until_it_is_idle_for_too_long() {
    let timeouts = Timeouts { idle: SHORT, ..Timeouts::default() };
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
async fn neither_a_body_nor_an_answer_is_waited_for_without_end() {
    let timeouts = Timeouts { answer: SHORT, ..Timeouts::default() };
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
async fn a_stop_waits_for_answers_but_not_for_idle_clients() {
    let served = served(ServeConfig { grace: PATIENCE, ..config("stops", 8) }).await;
    let (mut kept, mut fresh, mut slow) =
        (served.connect().await, served.connect().await, served.connect().await);
    kept.ask(ASK, "here").await;
    slow.say(b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await;
    // All three are taken: they were before this one.
    served.connect().await.ask(ASK, "here").await;
    let address = served.address;
    assert!(served.stop().await < PATIENCE / 2);
    assert_eq!((kept.rest().await, fresh.rest().await), (String::new(), String::new()));
    let answer = slow.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_stop_that_takes_too_long_cuts() {
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
async fn operators_and_probes_get_in_while_buyers_do_not() {
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

/// A worker that has no descriptors left goes on once it has, and does not fill its log until then.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn being_out_of_descriptors_is_survived() {
    let fixture = WorkerFixture::new().await;
    let [query, admin] = [(); 2].map(|()| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound")
    });
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
        assert!(began.elapsed() < PATIENCE, "it does not listen");
        sleep(Duration::from_millis(20)).await;
    }
    Client::connect(admin).await.ask(HEALTH, "ok\n").await;

    let (mut crowd, began) = (Vec::new(), Instant::now());
    for _ in 0..100 {
        crowd.push(TcpStream::connect(query).await.expect("the backlog takes it"));
    }
    sleep(Duration::from_secs(1)).await;
    drop(crowd);
    Client::connect(admin).await.ask(HEALTH, "ok\n").await;
    let pid = worker.id().expect("it runs");
    let signalled = tokio::process::Command::new("kill").arg(pid.to_string()).status().await;
    assert!(signalled.expect("it runs").success());
    let output = timeout(PATIENCE, worker.wait_with_output()).await.expect("it ends").expect("told");
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{log}");
    // One a second and port, however often it tries.
    let lines_max = 2 * (began.elapsed().as_secs() + 2);
    let lines = log.matches("accept_failed").count() as u64;
    assert!((1..=lines_max).contains(&lines), "{log}");
}
