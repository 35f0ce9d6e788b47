//! The binary itself: what it logs, and how it ends on a signal.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::stage::{BOUND, CATALOGUE, Client, connect_consumer, open_broker, order_of};
use crate::support::KEYS;

/// Ended with the test, however that ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_takes_orders_logs_nothing_personal_and_stops_on_sigterm() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalogue = directory.path().join("sales.toml");
    std::fs::write(&catalogue, CATALOGUE).expect("written");
    let broker = open_broker(&directory).await;
    let consumer = connect_consumer(broker.local_addr()).await;
    let log_path = directory.path().join("log");
    let log = std::fs::File::create(&log_path).expect("a file");
    let address = free_address();
    let mut process = Process(
        Command::new(env!("CARGO_BIN_EXE_ingest-fn"))
            .args([format!("--listen={address}"), format!("--catalogue={}", catalogue.display())])
            .args([format!("--rocketmq-endpoint={}", broker.local_addr()), "--log=debug".to_owned()])
            .args(["--log-format=json", "--insecure-dev"])
            .env_clear()
            .env("SPILLWAY_ORDER_ID_KEYS", KEYS)
            .stdin(Stdio::null())
            .stdout(log)
            .spawn()
            .expect("it starts"),
    );
    let listening = async {
        while TcpStream::connect(address).await.is_err() {
            sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    timeout(BOUND, listening).await.expect("it listens");

    let planted = |number: u64| {
        let mut order = order_of(number);
        order["user_id"] = json!("planted-user@example.com");
        order["shipping_address"]["phone"] = json!("+86 138 5551234");
        order
    };
    let mut client = Client::connect(address).await;
    let accepted = client.post("planted-key", &planted(1)).await.expect("an answer");
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{accepted:?}");
    broker.faults().throttle_all_sends(true);
    let refused = client.post("planted-key-2", &planted(2)).await.expect("an answer");
    assert!(refused.is_503_with_wait(), "{refused:?}");
    broker.faults().throttle_all_sends(false);

    let pid = process.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    let status = tokio::task::spawn_blocking(move || process.0.wait().map(|status| (status, process)));
    let (status, _process) =
        timeout(BOUND, status).await.expect("it stops").expect("no panic").expect("waited for");
    assert_eq!(status.code(), Some(0));

    let log = std::fs::read_to_string(&log_path).expect("the log");
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let failed = lines.iter().find(|line| line["message"] == "request failed").expect("a line");
    let expected = json!(["ERROR", "broker_throttled", refused.body["order_id"]]);
    assert_eq!(json!([failed["level"], failed["errorCode"], failed["order_id"]]), expected, "{failed}");
    assert!(failed["requestId"].is_string() && failed["errorMessage"].is_string(), "{failed}");
    let insecure =
        "insecure: --insecure-dev lets anybody order in anybody's name; never use it in production";
    for message in [insecure, "taking orders", "publishing fails", "metrics", "shutdown requested", "stopped"]
    {
        assert!(lines.iter().any(|line| line["message"] == message), "{message} in {log}");
    }
    for personal in ["planted", "5551234"] {
        assert!(!log.contains(personal), "{personal} in {log}");
    }
    assert!(consumer.close(BOUND).await);
    broker.shutdown().await.expect("stopped in order");
}
