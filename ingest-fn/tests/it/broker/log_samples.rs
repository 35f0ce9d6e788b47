//! Lines of the events that alerts and saved queries ask for, as the binary writes them: `log_samples.json` has their levels,
//! and the types of their fields. `infra/tests/logs` holds the queries to that file.

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use shared::testkit::{TestBroker, assert_lines_match, eventually};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::fixture::{Client, order_of};
use super::process::Process;

fn has(process: &Process, event: &str) -> bool {
    process.lines().iter().any(|line| line["event"] == event)
}

/// Sends an order a second, which completes a request, until the binary logs `event`.
async fn logged(process: &Process, event: &str) {
    eventually(event, async || {
        let mut client = Client::connect(process.address).await;
        let _answer = client.post("key", &order_of(1)).await;
        sleep(Duration::from_millis(200)).await;
        has(process, event)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_samples_are_what_ingest_fn_writes() {
    let directories: [_; 3] = std::array::from_fn(|_| tempfile::tempdir().expect("a directory"));
    let kit = TestBroker::start().await;
    let broker = kit.broker.local_addr();
    let flags = ["--metrics-log-interval-s=1", "--publish-timeout-ms=500", "--requests-max=2"];
    let process = Process::start(broker, directories[0].path(), &flags).await;
    logged(&process, "metrics").await;

    // More failures than have a line each.
    kit.broker.faults().throttle_all_sends(true);
    let mut client = Client::connect(process.address).await;
    for number in 0..100 {
        client.post("key", &order_of(number)).await.expect("an answer");
    }
    logged(&process, "request_failures_suppressed").await;
    kit.broker.faults().throttle_all_sends(false);

    // More orders than may be in flight.
    kit.broker.faults().stall();
    let mut clients = JoinSet::new();
    for number in 0..20 {
        let address = process.address;
        clients.spawn(async move { Client::connect(address).await.post("key", &order_of(number)).await });
    }
    clients.join_all().await;
    kit.broker.faults().resume();
    logged(&process, "requests_shed").await;

    std::fs::write(directories[0].path().join("sales.toml"), "no catalogue").expect("written");
    logged(&process, "catalogue_rejected").await;

    let flags = ["--gateway-secrets=a=a-long-secret"];
    let signed = Process::start(broker, directories[1].path(), &flags).await;
    logged(&signed, "requests_unauthenticated").await;

    let broken = Process::start(broker, directories[2].path(), &["--orders-topic=no-such-topic"]).await;
    let request = Request::post("/initialize").body(Full::default()).expect("a request");
    let answer = Client::connect(broken.address).await.send(request).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    eventually("it ends", async || has(&broken, "start_failed")).await;

    let lines: Vec<Value> = [&process, &signed, &broken].iter().flat_map(|process| process.lines()).collect();
    assert_lines_match(include_str!("log_samples.json"), &lines);
}
