//! Lines of the events that alerts and saved queries ask for, as the worker writes them: `log_samples.json` has their levels,
//! and the types of their fields. `infra/tests/logs` holds the queries to that file.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use drain_worker::admin::AdminAccess;
use drain_worker::dead_letters::broker_dlq::BrokerDlqConfig;
use drain_worker::dead_letters::retention;
use drain_worker::pool::WorkerSignals;
use drain_worker::rate::RateGate;
use http::Request;
use shared::telemetry::Capture;
use shared::testkit::{TOPIC, assert_lines_match, eventually};
use tower::ServiceExt as _;

use crate::admin::port;
use crate::dead_letters::TakingOver;
use crate::faulty_store::FaultyStore;
use crate::harness::{WorkerFixture, orders};
use crate::pool::Membership;
use crate::query_access::guarded;

async fn logged(capture: &Capture, event: &str) {
    eventually(event, async || capture.lines().iter().any(|line| line["event"] == event)).await;
}

/// Runs on one thread, so that its lines are captured.
#[tokio::test]
async fn the_samples_are_what_the_worker_writes() {
    let capture = Capture::current_thread("drain_worker=info").expect("a filter");
    let fixture = WorkerFixture::new().await;

    // An unsigned lookup. The budget of these lines is the process's.
    let lookups = guarded(&fixture, false);
    eventually("an unsigned lookup is logged", async || {
        let request = Request::get("/v1/orders/x").body(Body::empty()).expect("a request");
        lookups.clone().oneshot(request).await.expect("infallible");
        capture.lines().iter().any(|line| line["event"] == "lookups_unauthenticated")
    })
    .await;

    // The oldest message is older than half of the broker's retention.
    let warning = retention::warning(Duration::from_hours(40), retention::RETENTION_H_DEFAULT);
    warning.expect("a warning").log();

    // A worker whose database is down for a while, and more orders of an unknown SKU than have a line each.
    let failing = FaultyStore::new(fixture.store.clone());
    failing.down.store(true, Ordering::SeqCst);
    let worker = fixture.worker_on(failing.clone()).await;
    fixture.publish(&orders(100..101, "PLENTY")).await;
    logged(&capture, "database_unavailable").await;
    failing.down.store(false, Ordering::SeqCst);
    logged(&capture, "database_recovered").await;
    fixture.drained(1).await;
    // The budget of these lines is the process's too: another test's worker may take it, or log what it left out.
    let mut settled = 1;
    eventually("orders are logged, and more are left out", async || {
        fixture.publish(&orders(200 + settled..230 + settled, "NONE")).await;
        settled += 30;
        fixture.drained(settled).await;
        shared::telemetry::log_suppressed();
        let lines = capture.lines();
        ["order_settled", "orders_settled_suppressed"]
            .iter()
            .all(|event| lines.iter().any(|line| line["event"] == **event))
    })
    .await;
    worker.stop().await.expect("stops gracefully");

    // A message of the dead-letter queue.
    let mut config = BrokerDlqConfig::for_group("drain");
    config.topic = TOPIC.to_owned();
    let taking_over = TakingOver::start_with(fixture.store.clone(), fixture.client.clone(), config);
    let mut number = 2;
    eventually("a message is stored", async || {
        // The group starts at the newest message once it has subscribed.
        fixture.publish(&orders(number..number + 1, "PLENTY")).await;
        number += 1;
        capture.lines().iter().any(|line| line["event"] == "broker_dlq_message_stored")
    })
    .await;
    taking_over.stop().await;

    // A worker that does not hear from the database for longer than its lease, and one that does.
    let member =
        |store, name| Membership::start(store, name, 900, RateGate::closed(), WorkerSignals::default(), None);
    let deaf = member(failing.clone(), "deaf");
    logged(&capture, "pool_joined").await;
    failing.is_deaf.store(true, Ordering::SeqCst);
    let other = member(FaultyStore::new(fixture.store.clone()), "other");
    logged(&capture, "lease_expired").await;
    failing.is_deaf.store(false, Ordering::SeqCst);
    logged(&capture, "lease_lost").await;
    deaf.end().await;
    other.end().await;

    let whole = fixture.whole_worker(&[]).await;
    logged(&capture, "pool_status").await;
    whole.stop().await;

    let admin = port(&fixture, AdminAccess::Loopback);
    fixture.store.close().await;
    let request =
        Request::get("/v1/sales").header("host", "localhost").body(Body::empty()).expect("a request");
    admin.oneshot(request).await.expect("infallible");

    assert_lines_match(include_str!("log_samples.json"), &capture.lines());
}
