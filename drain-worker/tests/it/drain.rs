//! The way of orders that nothing stands in.

use std::collections::BTreeMap;

use drain_worker::store::{DeadLetterReason, OrderStore};
use shared::order::{PayloadDigest, RejectReason};

use crate::harness::{World, order, orders};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_before_the_first_run_is_drained() {
    let world = World::new().await;
    world.publish(&orders(0..500, "PLENTY")).await;
    let worker = world.worker().await;
    world.drained(500).await;
    assert_eq!(world.counts().await.confirmed, 500);
    worker.stop().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_ends_in_a_state() {
    let world = World::new().await;
    let worker = world.worker().await;
    world.publish(&orders(0..30, "FEW")).await;
    world.publish(&orders(100..105, "ONE-EACH")).await;
    world.publish(&[order(200, "NOT-IN-THE-DATABASE")]).await;
    world.drained(36).await;
    let counts = world.counts().await;
    assert_eq!(counts.confirmed, 11);
    assert_eq!(
        counts.rejected,
        BTreeMap::from([(RejectReason::SoldOut, 20), (RejectReason::LimitExceeded, 4)])
    );
    assert_eq!(counts.dead_letters, BTreeMap::from([(DeadLetterReason::UnknownSku.as_str().to_owned(), 1)]));
    worker.stop().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redelivery_changes_nothing_and_another_payload_is_a_conflict() {
    let world = World::new().await;
    let worker = world.worker().await;
    let first = orders(0..100, "PLENTY");
    world.publish(&first).await;
    world.publish(&first).await;
    let mut changed = order(1, "PLENTY");
    changed.digest = PayloadDigest::from_bytes([9; 32]);
    world.publish(&[changed.clone(), changed]).await;
    world.drained(100).await;
    let counts = world.counts().await;
    assert_eq!((counts.confirmed, counts.conflicts), (100, 1));
    let stock = world.store.stock().await.expect("told");
    assert_eq!(stock.iter().find(|stock| stock.sku == "PLENTY").map(|stock| stock.reserved), Some(100));
    worker.stop().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_cannot_be_read_are_kept_and_hold_nobody_up() {
    let world = World::new().await;
    let worker = world.worker().await;
    world.publish_raw(b"not an envelope".to_vec()).await;
    world.publish_raw(vec![0xd9, 0xd9, 0xf7, 0x82, 0x17, 0x80]).await;
    world.publish(&orders(0..20, "PLENTY")).await;
    world.drained(22).await;
    let counts = world.counts().await;
    assert_eq!(counts.confirmed, 20);
    let letters = world.letters().await;
    let mut reasons: Vec<_> = letters.iter().map(|letter| letter.head.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["malformed_message", "unknown_version"]);
    assert!(letters.iter().any(|letter| letter.payload.as_ref() == b"not an envelope"), "kept whole");
    worker.stop().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_what_is_held_and_the_next_run_the_rest() {
    let mut world = World::new().await;
    world.rate = 400;
    world.publish(&orders(0..1_000, "PLENTY")).await;
    let worker = world.worker().await;
    world.until("begun", async || world.counts().await.orders() > 0).await;
    worker.stop().await.expect("stopped in order");
    let done = world.counts().await.orders();
    assert!((1..1_000).contains(&done), "stopped in the middle, at {done}");
    let stats = world.broker.stats().await.expect("told");
    let in_flight = stats.group("orders", "drain").map(|group| group.in_flight);
    assert_eq!(in_flight, Some(0), "nothing is left hidden from the next worker");

    world.rate = 100_000;
    let worker = world.worker().await;
    world.drained(1_000).await;
    worker.stop().await.expect("stopped in order");
}
