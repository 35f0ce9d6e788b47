//! What happens when something breaks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use drain_worker::pipeline::{DatabaseHealth, DrainError};
use drain_worker::store::{OrderStore, StoreError};
use tokio::time::{Instant, sleep};

use crate::failing::Failing;
use crate::harness::{World, orders};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_down_is_waited_for_and_costs_no_attempt() {
    let mut world = World::new().await;
    world.rate = 200;
    let failing = Failing::new(world.store.clone());
    failing.down.store(true, Ordering::SeqCst);
    world.publish(&orders(0..1_000, "PLENTY")).await;
    let worker = world.worker_on(failing.clone()).await;
    world.until("down", async || matches!(worker.health.database(), DatabaseHealth::Down { .. })).await;
    // Receives under way end; from then on nothing more is taken.
    let taken = async || {
        let stats = world.broker.stats().await.expect("told");
        stats.group("orders", "drain").map_or(0, |group| group.in_flight)
    };
    let mut before = taken().await;
    world
        .until("settled", async || {
            // Longer than what is received is hidden for: what is held must be kept hidden all the while.
            sleep(Duration::from_secs(3)).await;
            let now = taken().await;
            std::mem::replace(&mut before, now) == now
        })
        .await;
    assert!(before < 100, "{before} messages are held while the database takes nothing");
    assert!(failing.failed.load(Ordering::SeqCst) >= 3, "it is asked again");
    assert_eq!(world.counts().await.orders(), 0);

    failing.down.store(false, Ordering::SeqCst);
    world.drained(1_000).await;
    assert_eq!(worker.health.database(), DatabaseHealth::Up);
    worker.stop().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_commit_doubles_nothing() {
    let world = World::new().await;
    let failing = Failing::new(world.store.clone());
    failing.answers_to_lose.store(5, Ordering::SeqCst);
    let worker = world.worker_on(failing.clone()).await;
    world.publish(&orders(0..500, "PLENTY")).await;
    world.drained(500).await;
    assert_eq!(failing.answers_to_lose.load(Ordering::SeqCst), 0);
    let stock = world.store.stock().await.expect("told");
    assert_eq!(stock.iter().find(|stock| stock.sku == "PLENTY").map(|stock| stock.reserved), Some(500));
    worker.stop().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_no_waiting_mends_ends_the_worker_and_loses_nothing() {
    let world = World::new().await;
    let failing = Failing::new(world.store.clone());
    failing.fatal.store(true, Ordering::SeqCst);
    world.publish(&orders(0..100, "PLENTY")).await;
    let worker = world.worker_on(failing).await;
    let ended = worker.ended().await;
    assert!(matches!(ended, Err(DrainError::Store(StoreError::Fatal(_)))), "{ended:?}");
    let worker = world.worker().await;
    world.drained(100).await;
    worker.stop().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_larger_than_the_cap_is_committed_in_parts() {
    let mut world = World::new().await;
    world.rate = 4;
    let failing = Failing::new(world.store.clone());
    world.publish(&orders(0..10, "PLENTY")).await;
    let began = Instant::now();
    let worker = world.worker_on(failing.clone()).await;
    world.drained(10).await;
    assert!(failing.largest.load(Ordering::SeqCst) <= 4);
    assert!(began.elapsed() >= Duration::from_secs(2), "4, 4 and 2 orders, a second apart");
    worker.stop().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_vanishes_leaves_its_orders_to_the_next() {
    let mut world = World::new().await;
    world.rate = 400;
    world.publish(&orders(0..800, "PLENTY")).await;
    let worker = world.worker().await;
    world.until("begun", async || world.counts().await.orders() > 0).await;
    worker.crash().await;
    world.rate = 100_000;
    let worker = world.worker().await;
    world.drained(800).await;
    worker.stop().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_breaks_every_connection_is_found_again() {
    let mut world = World::new().await;
    world.rate = 400;
    world.publish(&orders(0..800, "PLENTY")).await;
    let worker = world.worker().await;
    for _ in 0..3 {
        let before = world.counts().await.orders();
        world.until("going on", async || world.counts().await.orders() > before).await;
        world.broker.faults().drop_connections();
        world.broker.faults().forget_settings();
    }
    world.drained(800).await;
    worker.stop().await.expect("stopped in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_delivered_again_while_held_change_nothing() {
    let mut world = World::new().await;
    world.rate = 300;
    world.publish(&orders(0..600, "PLENTY")).await;
    let worker = world.worker().await;
    for _ in 0..3 {
        let before = world.counts().await.orders();
        world.until("going on", async || world.counts().await.orders() > before).await;
        world.broker.faults().redeliver().await.expect("redelivered");
    }
    world.drained(600).await;
    assert_eq!(world.counts().await.confirmed, 600);
    worker.stop().await.expect("stopped in order");
}
