//! The binary: its log, and its end on a signal.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use shared::loopback::free_loopback_address;
use shared::testkit::{HttpClient, PATIENCE, TOPIC, TestBroker, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::fixture::{CATALOGUE, Client, connect_consumer, order_of};
use crate::support::KEYS;

/// Killed when dropped, even while it is frozen.
pub(super) struct Process {
    child: Child,
    pub(super) address: SocketAddr,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Process {
    /// Starts the binary for `broker`, its files in `directory`, and waits until it listens.
    pub(super) async fn start(broker: SocketAddr, directory: &Path, flags: &[&str]) -> Self {
        let catalogue = directory.join("sales.toml");
        std::fs::write(&catalogue, CATALOGUE).expect("written");
        let log = directory.join("log");
        let address = free_loopback_address().expect("a free port");
        let child = Command::new(env!("CARGO_BIN_EXE_ingest-fn"))
            .args([format!("--listen={address}"), format!("--catalogue={}", catalogue.display())])
            .arg(format!("--rocketmq-endpoint={broker}"))
            .arg("--log-format=json")
            .args(if flags.iter().any(|flag| flag.contains("gateway")) {
                None
            } else {
                Some("--insecure-dev")
            })
            .args(flags)
            .env_clear()
            .env("SPILLWAY_ORDER_ID_KEYS", KEYS)
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&log).expect("a file"))
            .spawn()
            .expect("it starts");
        let process = Self { child, address, log };
        eventually("the process listens", async || TcpStream::connect(address).await.is_ok()).await;
        process
    }

    pub(super) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill runs").success());
    }

    /// The JSON lines so far.
    pub(super) fn lines(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(&self.log).expect("the log");
        // The last line may be incomplete.
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the end of the process. Returns exit code and log.
    pub(super) async fn ended(mut self) -> (Option<i32>, String) {
        let status = tokio::task::spawn_blocking(move || self.child.wait().map(|status| (status, self)));
        let (status, process) =
            timeout(PATIENCE, status).await.expect("it stops").expect("no panic").expect("waited for");
        (status.code(), std::fs::read_to_string(&process.log).expect("the log"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_accepts_orders_logs_nothing_personal_and_stops_on_sigterm() {
    let directory = tempfile::tempdir().expect("a directory");
    let kit = TestBroker::start().await;
    let broker = &kit.broker;
    let consumer = connect_consumer(&kit).await;
    let process = Process::start(broker.local_addr(), directory.path(), &["--log=debug"]).await;

    let planted = |number: u64| {
        let mut order = order_of(number);
        order["user_id"] = json!("planted-user@example.com");
        order["shipping_address"]["phone"] = json!("+86 138 5551234");
        order
    };
    let mut client = Client::connect(process.address).await;
    let accepted = client.post("planted-key", &planted(1)).await.expect("an answer");
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{accepted:?}");
    broker.faults().throttle_all_sends(true);
    let rejected = client.post("planted-key-2", &planted(2)).await.expect("an answer");
    assert!(rejected.is_503_with_wait(), "{rejected:?}");
    broker.faults().throttle_all_sends(false);

    process.signal("-TERM");
    let (code, log) = process.ended().await;
    assert_eq!(code, Some(0));

    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let failed = lines.iter().find(|line| line["event"] == "request_failed").expect("a line");
    let expected = json!(["ERROR", "broker_throttled", rejected.body["order_id"]]);
    assert_eq!(json!([failed["level"], failed["errorCode"], failed["order_id"]]), expected, "{failed}");
    assert!(failed["requestId"].is_string() && failed["errorMessage"].is_string(), "{failed}");
    for event in
        ["authentication_disabled", "listening", "publish_failed", "metrics", "shutdown_requested", "stopped"]
    {
        assert!(lines.iter().any(|line| line["event"] == event), "{event} in {log}");
    }
    for personal in ["planted", "5551234"] {
        assert!(!log.contains(personal), "{personal} in {log}");
    }
    assert!(consumer.close(PATIENCE).await);
    kit.broker.shutdown().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_shed_requests_are_at_most_two_lines_a_second() {
    const SHED: u64 = 1_000;
    let directory = tempfile::tempdir().expect("a directory");
    let kit = TestBroker::start().await;
    let broker = &kit.broker;
    let _consumer = connect_consumer(&kit).await;
    // There is one permit, which an order holds until the broker answers.
    let flags = ["--requests-max=1", "--publish-timeout-ms=60000", "--grace-ms=60000"];
    let process = Process::start(broker.local_addr(), directory.path(), &flags).await;
    let mut client = Client::connect(process.address).await;
    client.post_until_accepted("warm", &order_of(0)).await;
    let messages = async || broker.stats().await.expect("stats").topic(TOPIC).expect("the topic").sent;
    let before = messages().await;
    broker.faults().stall();
    // This client retries until it has the permit, so that the other client is shed.
    let waiting = tokio::spawn(async move {
        let mut shed = 0;
        while client.post("key", &order_of(1)).await.expect("an answer").status
            == StatusCode::TOO_MANY_REQUESTS
        {
            shed += 1;
        }
        shed
    });
    eventually("the order is sent", async || messages().await > before).await;
    let mut others = Client::connect(process.address).await;
    let started = Instant::now();
    let mut shed = 0;
    while shed < SHED {
        assert!(started.elapsed() < PATIENCE, "{shed} of {SHED} requests are shed");
        let answer = others.post("other", &order_of(2)).await.expect("an answer");
        shed += u64::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    let seconds = started.elapsed().as_secs();
    broker.faults().resume();
    shed += waiting.await.expect("no panic");
    process.signal("-TERM");
    let (_code, log) = process.ended().await;
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .filter(|line: &Value| line["event"] == "requests_shed")
        .collect();
    let counted: u64 = lines.iter().map(|line| line["requests"].as_u64().expect("a number")).sum();
    assert_eq!(counted, shed, "every shed request is counted: {log}");
    assert!(lines.len() as u64 <= 2 * (seconds + 2), "{} lines in {seconds} s", lines.len());
}

/// Sum of `field` over the lines with `event`.
fn sum(lines: &[Value], event: &str, field: &str) -> u64 {
    lines.iter().filter(|line| line["event"] == event).filter_map(|line| line[field].as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_of_failed_orders_add_up_within_the_metrics_interval() {
    const FAILED: u64 = 200;
    let directory = tempfile::tempdir().expect("a directory");
    let kit = TestBroker::start().await;
    let broker = kit.broker.local_addr();
    let flags = ["--metrics-log-interval-s=1", "--publish-timeout-ms=500"];
    let process = Process::start(broker, directory.path(), &flags).await;
    kit.broker.faults().stall();
    let mut clients = JoinSet::new();
    for number in 0..FAILED {
        let address = process.address;
        clients.spawn(async move {
            let answer = Client::connect(address).await.post("key", &order_of(number)).await;
            assert!(answer.expect("an answer").is_503_with_wait());
        });
    }
    clients.join_all().await;
    sleep(Duration::from_millis(1_100)).await;
    let request = Request::get("/nowhere").body(Full::default()).expect("a request");
    Client::connect(process.address).await.send(request).await.expect("an answer");
    eventually("the lines add up", async || {
        let lines = process.lines();
        let logged = lines.iter().filter(|line| line["event"] == "request_failed").count() as u64;
        assert!(logged < FAILED / 2, "{logged} lines");
        logged + sum(&lines, "request_failures_suppressed", "requests") == FAILED
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_counts_of_unsigned_requests_add_up_within_the_metrics_interval() {
    const UNSIGNED: u64 = 500;
    let directory = tempfile::tempdir().expect("a directory");
    let kit = TestBroker::start().await;
    let flags = ["--metrics-log-interval-s=1", "--gateway-secrets=a=a-long-secret"];
    let process = Process::start(kit.broker.local_addr(), directory.path(), &flags).await;
    let mut client = Client::connect(process.address).await;
    for _ in 0..UNSIGNED {
        let answer = client.post("key", &order_of(1)).await.expect("an answer");
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    sleep(Duration::from_millis(1_100)).await;
    let request = Request::get("/nowhere").body(Full::default()).expect("a request");
    client.send(request).await.expect("an answer");
    let counted = || sum(&process.lines(), "requests_unauthenticated", "requests");
    eventually("the counts add up", async || counted() == UNSIGNED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_are_counted() {
    const CLIENTS: u64 = 20;
    let directory = tempfile::tempdir().expect("a directory");
    let kit = TestBroker::start().await;
    let broker = kit.broker.local_addr();
    let flags = ["--metrics-log-interval-s=1", "--publish-timeout-ms=60000", "--grace-ms=60000"];
    let process = Process::start(broker, directory.path(), &flags).await;
    kit.broker.faults().stall();
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let body = order_of(number).to_string();
        let request = format!(
            "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nidempotency-key: k\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut client = TcpStream::connect(process.address).await.expect("connected");
        client.write_all(request.as_bytes()).await.expect("written");
        clients.push(client);
    }
    eventually("all wait for the broker", async || {
        let metrics = HttpClient::get(process.address, "/metrics").await;
        metrics.text.contains(&format!("ingest_requests_in_flight {CLIENTS}\n"))
    })
    .await;
    drop(clients);
    let mut client = Client::connect(process.address).await;
    eventually("the counts add up", async || {
        let request = Request::get("/nowhere").body(Full::default()).expect("a request");
        client.send(request).await.expect("an answer");
        let lines = process.lines();
        let metrics = lines.iter().rfind(|line| line["event"] == "metrics");
        let counted = metrics.map(|line| &line["metrics"]["counters"]["ingest_requests_abandoned_total"]);
        assert_eq!(sum(&lines, "request_failed", "requests"), 0);
        sum(&lines, "requests_abandoned", "requests") == CLIENTS && counted == Some(&CLIENTS.into())
    })
    .await;
}
