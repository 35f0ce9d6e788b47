//! Faults of the database, the broker and the worker.

use std::sync::atomic::Ordering;
use std::time::Duration;

use drain_worker::pipeline::{BreakerState, PipelineError};
use drain_worker::store::StoreError;
use tokio::time::{Instant, sleep};

use shared::testkit::eventually;

use crate::faulty_store::FaultyStore;
use crate::harness::{WorkerFixture, orders};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_waits_for_a_database_that_is_down_without_delivery_attempts() {
    let mut fixture = WorkerFixture::new().await;
    fixture.rate = 200;
    let failing = FaultyStore::new(fixture.store.clone());
    failing.down.store(true, Ordering::SeqCst);
    fixture.publish(&orders(0..1_000, "PLENTY")).await;
    let worker = fixture.worker_on(failing.clone()).await;
    eventually("down", async || matches!(worker.breaker.state(), BreakerState::Open { .. })).await;
    // Receives in flight end; afterwards the worker receives nothing.
    let taken = async || {
        let stats = fixture.broker.broker.stats().await.expect("stats");
        stats.group("orders", "drain").map_or(0, |group| group.in_flight)
    };
    let mut before = taken().await;
    eventually("settled", async || {
        // Longer than the invisible duration: the worker must extend it for its messages.
        sleep(Duration::from_secs(3)).await;
        let now = taken().await;
        std::mem::replace(&mut before, now) == now
    })
    .await;
    assert!(before < 100, "{before} messages are held while the database takes nothing");
    assert!(failing.failed.load(Ordering::SeqCst) >= 3, "the worker retries");
    assert_eq!(fixture.counts().await.orders(), 0);

    failing.down.store(false, Ordering::SeqCst);
    fixture.drained(1_000).await;
    assert_eq!(worker.breaker.state(), BreakerState::Closed);
    worker.stop().await.expect("stops gracefully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_commit_response_duplicates_nothing() {
    let fixture = WorkerFixture::new().await;
    let failing = FaultyStore::new(fixture.store.clone());
    failing.answers_to_lose.store(5, Ordering::SeqCst);
    let worker = fixture.worker_on(failing.clone()).await;
    fixture.publish(&orders(0..500, "PLENTY")).await;
    fixture.drained(500).await;
    assert_eq!(failing.answers_to_lose.load(Ordering::SeqCst), 0);
    let stock = fixture.store.stock().await.expect("stock");
    assert_eq!(stock.iter().find(|stock| stock.sku == "PLENTY").map(|stock| stock.reserved), Some(500));
    worker.stop().await.expect("stops gracefully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permanent_fault_ends_the_worker_and_loses_nothing() {
    let fixture = WorkerFixture::new().await;
    let failing = FaultyStore::new(fixture.store.clone());
    failing.fatal.store(true, Ordering::SeqCst);
    fixture.publish(&orders(0..100, "PLENTY")).await;
    let worker = fixture.worker_on(failing).await;
    let ended = worker.ended().await;
    assert!(matches!(ended, Err(PipelineError::Store(StoreError::Fatal(_)))), "{ended:?}");
    let worker = fixture.worker().await;
    fixture.drained(100).await;
    worker.stop().await.expect("stops gracefully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_larger_than_the_cap_is_committed_in_parts() {
    let mut fixture = WorkerFixture::new().await;
    fixture.rate = 4;
    let failing = FaultyStore::new(fixture.store.clone());
    fixture.publish(&orders(0..10, "PLENTY")).await;
    let began = Instant::now();
    let worker = fixture.worker_on(failing.clone()).await;
    fixture.drained(10).await;
    assert!(failing.largest.load(Ordering::SeqCst) <= 4);
    assert!(began.elapsed() >= Duration::from_secs(2), "4, 4 and 2 orders, a second apart");
    worker.stop().await.expect("stops gracefully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_a_killed_worker_are_redelivered_to_the_next() {
    let mut fixture = WorkerFixture::new().await;
    fixture.rate = 400;
    fixture.publish(&orders(0..800, "PLENTY")).await;
    let worker = fixture.worker().await;
    eventually("begun", async || fixture.counts().await.orders() > 0).await;
    worker.crash().await;
    fixture.rate = 100_000;
    let worker = fixture.worker().await;
    fixture.drained(800).await;
    worker.stop().await.expect("stops gracefully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_reconnects_after_the_broker_closes_every_connection() {
    let mut fixture = WorkerFixture::new().await;
    fixture.rate = 400;
    fixture.publish(&orders(0..800, "PLENTY")).await;
    let worker = fixture.worker().await;
    for _ in 0..3 {
        let before = fixture.counts().await.orders();
        eventually("going on", async || fixture.counts().await.orders() > before).await;
        fixture.broker.broker.faults().drop_connections();
        fixture.broker.broker.faults().forget_settings();
    }
    fixture.drained(800).await;
    worker.stop().await.expect("stops gracefully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_redelivered_while_in_flight_change_nothing() {
    let mut fixture = WorkerFixture::new().await;
    fixture.rate = 300;
    fixture.publish(&orders(0..600, "PLENTY")).await;
    let worker = fixture.worker().await;
    for _ in 0..3 {
        let before = fixture.counts().await.orders();
        eventually("going on", async || fixture.counts().await.orders() > before).await;
        fixture.broker.broker.faults().redeliver().await.expect("redelivered");
    }
    fixture.drained(600).await;
    assert_eq!(fixture.counts().await.confirmed, 600);
    worker.stop().await.expect("stops gracefully");
}
