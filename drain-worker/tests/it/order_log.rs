//! The log lines about an order, found by its trace.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use drain_worker::query::{self, LookupAccess};
use http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use shared::lookup::OrderView;
use shared::order::{AcceptedOrder, PayloadDigest, TraceParent};
use shared::telemetry::Capture;
use shared::testkit::eventually;
use tower::ServiceExt;

use crate::harness::{WorkerFixture, order};

fn traceparent(number: u64) -> String {
    format!("00-4bf92f3577b34da6a3ce929d0e0e{number:04}-00f067aa0ba902b7-01")
}

fn traced(number: u64, sku: &str) -> AcceptedOrder {
    let mut order = order(number, sku);
    order.traceparent = TraceParent::parse(&traceparent(number));
    assert!(order.traceparent.is_some());
    order
}

/// Returns the lines about settled orders as level, trace, outcome and reason. On a slow machine the broker may
/// redeliver.
fn settled(capture: &Capture) -> BTreeSet<String> {
    let lines = capture.lines();
    let about_one = lines.iter().filter(|line| line["message"] == "order settled");
    about_one
        .filter(|line| line["outcome"] != "duplicate")
        .map(|line| json!(["level", "traceparent", "outcome", "reason"].map(|name| &line[name])).to_string())
        .collect()
}

/// Returns `answered_us` of the orders decided then, microseconds since 1970.
fn answered_us(capture: &Capture) -> Vec<u64> {
    let lines = capture.lines();
    let decided = lines.iter().filter(|line| line["message"] == "order settled" && line["level"] == "DEBUG");
    decided
        .filter(|line| line["outcome"] != "duplicate")
        .filter_map(|line| line["answered_us"].as_u64())
        .collect()
}

fn wall_clock_us() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    u64::try_from(since_1970.as_micros()).expect("a time of this age")
}

/// Alerts read this line where no metrics are collected.
#[tokio::test]
async fn a_worker_logs_the_pool_status() {
    let capture = Capture::current_thread("drain_worker=info").expect("a filter");
    let fixture = WorkerFixture::new().await;
    let worker = fixture.whole_worker(&[]).await;
    let line = loop {
        let status = capture.lines().into_iter().find(|line| line["message"] == "pool status");
        if let Some(line) = status {
            break line;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    worker.stop().await;
    assert_eq!((&line["level"], &line["workers"]), (&json!("INFO"), &json!(1)), "{line}");
    assert!(line["cap"].as_u64().is_some_and(|cap| cap > 0), "{line}");
    assert!(line["committed_per_second"].is_number(), "{line}");
    assert!(line["adaptive_limit"].is_null(), "no adaptive limit: {line}");
}

/// Runs the worker on one thread, so that its log lines are captured.
#[tokio::test]
async fn the_outcome_of_an_order_is_logged_with_its_trace() {
    let capture = Capture::current_thread("drain_worker=debug").expect("a filter");
    let began_us = wall_clock_us();
    let fixture = WorkerFixture::new().await;
    let worker = fixture.worker().await;
    fixture.publish(&[traced(1, "PLENTY"), traced(2, "ONE-EACH"), traced(3, "ONE-EACH")]).await;
    fixture.drained(3).await;
    let mut changed = traced(1, "PLENTY");
    changed.digest = PayloadDigest::from_bytes([9; 32]);
    fixture.publish(&[changed.clone(), traced(4, "NOT-IN-THE-DATABASE"), order(5, "PLENTY")]).await;
    fixture.drained(5).await;
    // The lines a second are those of the process, and another test may have used them up.
    eventually("the conflict and the dead letter are logged", async || {
        fixture.publish(&[changed.clone(), traced(4, "NOT-IN-THE-DATABASE")]).await;
        let lines = settled(&capture);
        ["conflict", "dead_lettered"].iter().all(|outcome| lines.iter().any(|line| line.contains(outcome)))
    })
    .await;
    worker.stop().await.expect("stops gracefully");

    let trace = |number| json!(traceparent(number));
    let expected = [
        [json!("DEBUG"), trace(1), json!("confirmed"), json!(null)],
        [json!("DEBUG"), trace(2), json!("confirmed"), json!(null)],
        [json!("DEBUG"), trace(3), json!("limit_exceeded"), json!(null)],
        [json!("INFO"), trace(1), json!("conflict"), json!(null)],
        [json!("WARN"), trace(4), json!("dead_lettered"), json!("unknown_sku")],
        [json!("DEBUG"), json!(null), json!("confirmed"), json!(null)],
    ];
    let expected = expected.map(|line| json!(line).to_string()).into();
    assert_eq!(settled(&capture), expected, "{}", capture.text());
    assert!(
        answered_us(&capture).iter().all(|at| (began_us..=wall_clock_us()).contains(at)),
        "{}",
        capture.text()
    );
    assert_eq!(answered_us(&capture).len(), 4, "each order decided then has its time");

    let path = format!("/v1/orders/{}", order(1, "PLENTY").order_id);
    let request = Request::get(path).body(axum::body::Body::empty()).expect("a request");
    let response = query::router(fixture.store.clone(), Arc::new(LookupAccess::Open))
        .oneshot(request)
        .await
        .expect("infallible");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let view: OrderView = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(view.traceparent, Some(traceparent(1)), "the lookup returns it as well");
    for personal in ["张伟", "Nanjing", "上海"] {
        assert!(!capture.text().contains(personal), "{personal}");
    }
}

#[tokio::test]
async fn confirmed_orders_are_not_logged_one_by_one() {
    let capture = Capture::current_thread("info").expect("a filter");
    let fixture = WorkerFixture::new().await;
    let worker = fixture.worker().await;
    fixture.publish(&[traced(1, "PLENTY"), traced(2, "ONE-EACH"), traced(3, "ONE-EACH")]).await;
    fixture.drained(3).await;
    worker.stop().await.expect("stops gracefully");
    assert_eq!(settled(&capture), BTreeSet::new());
}
