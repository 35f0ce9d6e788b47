//! Orders whose stock another transaction has locked.

use std::time::Duration;

use drain_worker::pipeline::BreakerState;
use shared::order::AcceptedOrder;
use shared::testkit::{accepted_order, eventually};
use tokio::time::sleep;

use crate::faulty_store::FaultyStore;
use crate::harness::{WorkerFixture, order, orders};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_sku_delays_its_own_orders_alone() {
    let fixture = WorkerFixture::new().await;
    let store = FaultyStore::new(fixture.store.clone());
    store.locked.lock().expect("no panic").insert("FEW".to_owned());
    // In each message two orders need the locked stock: one alone, one with another SKU.
    let both = |number| {
        let order = accepted_order(number).line("FEW", 1).line("PLENTY", 1).build();
        AcceptedOrder { traceparent: None, ..order }
    };
    for first in [0, 10, 20] {
        let mut message = orders(first..first + 8, "PLENTY");
        message.insert(0, order(first + 8, "FEW"));
        message.push(both(first + 9));
        fixture.publish(&message).await;
    }
    let worker = fixture.worker_on(store.clone()).await;
    eventually("the others are committed", async || fixture.counts().await.orders() == 24).await;
    sleep(Duration::from_secs(2)).await;
    let counts = fixture.counts().await;
    assert_eq!((counts.orders(), counts.dead_letters_total()), (24, 0));
    assert_eq!(worker.breaker.state(), BreakerState::Closed);
    assert_eq!(fixture.broker.unacked().await, 3, "no message is complete");

    store.locked.lock().expect("no panic").clear();
    fixture.drained(30).await;
    assert_eq!(fixture.counts().await.confirmed, 30);
    worker.stop().await.expect("stops gracefully");
}

/// Six messages need locked stock; the worker may hold 20 orders, and half of them may wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_beyond_half_of_what_a_worker_holds_go_back_to_the_broker() {
    let mut fixture = WorkerFixture::new().await;
    fixture.rate = 20;
    let store = FaultyStore::new(fixture.store.clone());
    store.locked.lock().expect("no panic").insert("ONE-EACH".to_owned());
    let stuck: Vec<_> = (0..6).map(|message| 100 + message * 10..110 + message * 10).collect();
    for numbers in stuck {
        fixture.publish(&orders(numbers, "ONE-EACH")).await;
    }
    fixture.publish(&orders(0..40, "PLENTY")).await;
    let worker = fixture.worker_on(store.clone()).await;
    eventually("the others are committed", async || fixture.counts().await.orders() == 40).await;
    let stats = fixture.broker.broker.stats().await.expect("stats");
    let held = stats.group("orders", "drain").map_or(0, |group| group.in_flight);
    assert!(held >= 1, "{held} messages");
    assert_eq!(fixture.counts().await.dead_letters_total(), 0);

    store.locked.lock().expect("no panic").clear();
    fixture.rate = 100_000;
    let second = fixture.worker().await;
    fixture.drained(100).await;
    assert_eq!(fixture.counts().await.dead_letters_total(), 0, "no order is dead for a lock");
    worker.stop().await.expect("stops gracefully");
    second.stop().await.expect("stops gracefully");
}
