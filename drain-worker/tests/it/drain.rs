//! Orders without faults.

use std::collections::BTreeMap;

use drain_worker::store::DeadLetterReason;
use shared::order::{PayloadDigest, RejectReason};
use shared::testkit::eventually;

use crate::harness::{WorkerFixture, order, orders};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_published_before_the_first_run_are_drained() {
    let fixture = WorkerFixture::new().await;
    fixture.publish(&orders(0..500, "PLENTY")).await;
    let worker = fixture.worker().await;
    fixture.drained(500).await;
    assert_eq!(fixture.counts().await.confirmed, 500);
    worker.stop().await.expect("stops gracefully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_ends_in_a_state() {
    let fixture = WorkerFixture::new().await;
    let worker = fixture.worker().await;
    fixture.publish(&orders(0..30, "FEW")).await;
    fixture.publish(&orders(100..105, "ONE-EACH")).await;
    fixture.publish(&[order(200, "NOT-IN-THE-DATABASE")]).await;
    fixture.drained(36).await;
    let counts = fixture.counts().await;
    assert_eq!(counts.confirmed, 11);
    assert_eq!(
        counts.rejected,
        BTreeMap::from([(RejectReason::SoldOut, 20), (RejectReason::LimitExceeded, 4)])
    );
    assert_eq!(counts.dead_letters, BTreeMap::from([(DeadLetterReason::UnknownSku.as_str().to_owned(), 1)]));
    worker.stop().await.expect("stops gracefully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redelivery_changes_nothing_and_another_payload_is_a_conflict() {
    let fixture = WorkerFixture::new().await;
    let worker = fixture.worker().await;
    let first = orders(0..100, "PLENTY");
    fixture.publish(&first).await;
    fixture.publish(&first).await;
    let mut changed = order(1, "PLENTY");
    changed.digest = PayloadDigest::from_bytes([9; 32]);
    fixture.publish(&[changed.clone(), changed]).await;
    fixture.drained(100).await;
    let counts = fixture.counts().await;
    assert_eq!((counts.confirmed, counts.conflicts), (100, 1));
    let stock = fixture.store.stock().await.expect("stock");
    assert_eq!(stock.iter().find(|stock| stock.sku == "PLENTY").map(|stock| stock.reserved), Some(100));
    worker.stop().await.expect("stops gracefully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_messages_are_stored_and_delay_no_others() {
    let fixture = WorkerFixture::new().await;
    let worker = fixture.worker().await;
    fixture.publish_raw(b"not an envelope".to_vec()).await;
    fixture.publish_raw(vec![0xd9, 0xd9, 0xf7, 0x82, 0x17, 0x80]).await;
    fixture.publish(&orders(0..20, "PLENTY")).await;
    fixture.drained(22).await;
    let counts = fixture.counts().await;
    assert_eq!(counts.confirmed, 20);
    let letters = fixture.letters().await;
    let mut reasons: Vec<_> = letters.iter().map(|letter| letter.head.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["malformed_message", "unknown_version"]);
    assert!(letters.iter().any(|letter| letter.payload.as_ref() == b"not an envelope"), "kept whole");
    worker.stop().await.expect("stops gracefully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_commits_what_is_in_flight_and_the_next_run_the_rest() {
    let mut fixture = WorkerFixture::new().await;
    fixture.rate = 400;
    fixture.publish(&orders(0..5_000, "PLENTY")).await;
    let worker = fixture.worker().await;
    eventually("begun", async || fixture.counts().await.orders() > 0).await;
    worker.stop().await.expect("stops gracefully");
    let done = fixture.counts().await.orders();
    assert!((1..5_000).contains(&done), "stopped midway, at {done}");
    let stats = fixture.broker.broker.stats().await.expect("stats");
    let in_flight = stats.group("orders", "drain").map(|group| group.in_flight);
    assert_eq!(in_flight, Some(0), "no message stays invisible to the next worker");

    fixture.rate = 100_000;
    let worker = fixture.worker().await;
    fixture.drained(5_000).await;
    worker.stop().await.expect("stops gracefully");
}
