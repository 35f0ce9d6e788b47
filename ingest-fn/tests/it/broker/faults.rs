//! Faults of the broker.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use shared::testkit::eventually;
use spillway_broker::FailAt;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::fixture::{Client, Fixture, order_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttling_broker_is_reported_and_the_retry_is_accepted() {
    let fixture = Fixture::open().await;
    let mut client = Client::connect(fixture.address).await;
    fixture.faults().throttle_all_sends(true);
    let rejected = client.post("key", &order_of(1)).await.expect("an answer");
    assert!(rejected.is_503_with_wait(), "{rejected:?}");
    assert_eq!(rejected.body["code"], "broker_throttled");
    assert_eq!(rejected.body["retryable"], true);
    fixture.faults().throttle_all_sends(false);
    let accepted = client.post("key", &order_of(1)).await.expect("an answer");
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    assert_eq!(accepted.order_id(), rejected.order_id());
    let received = fixture.receive(1).await;
    assert_eq!(received[&accepted.order_id()].len(), 1, "the throttled attempt was not stored");
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_throttle_is_retried_and_the_order_is_accepted() {
    let fixture = Fixture::open().await;
    let mut client = Client::connect(fixture.address).await;
    fixture.faults().throttle_sends(2);
    let answer = client.post("key", &order_of(1)).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_broker_is_reported_as_a_timeout_and_may_have_stored_the_order() {
    let fixture = Fixture::open_with(|settings| {
        settings.producer.delivery_timeout = Duration::from_millis(300);
        settings.client.request_timeout = Duration::from_millis(150);
    })
    .await;
    let mut client = Client::connect(fixture.address).await;
    client.post_until_accepted("warm", &order_of(0)).await;
    fixture.faults().stall();
    let rejected = client.post("key", &order_of(1)).await.expect("an answer");
    assert!(rejected.is_503_with_wait(), "{rejected:?}");
    assert_eq!(rejected.body["code"], "publish_timeout");
    fixture.faults().resume();
    let (accepted, _rejections) = client.post_until_accepted("key", &order_of(1)).await;
    assert_eq!(accepted, rejected.order_id());
    // The broker stored the first attempt and withheld only the answer: one order, several copies.
    assert!(fixture.receive(2).await[&accepted].len() > 1);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_reported_at_once() {
    let fixture = Fixture::open_with(|settings| {
        settings.producer.queue_messages_max = NonZeroUsize::MIN;
        settings.server.workers = NonZeroUsize::MIN;
    })
    .await;
    fixture.faults().stall();
    let mut first = Client::connect(fixture.address).await;
    let first = tokio::spawn(async move { first.post("first", &order_of(1)).await.expect("an answer") });
    eventually("the queue is full", async || fixture.messages().await > 0).await;
    let rejected =
        Client::connect(fixture.address).await.post("second", &order_of(2)).await.expect("an answer");
    assert!(rejected.is_503_with_wait(), "{rejected:?}");
    assert_eq!(rejected.body["code"], "queue_full");
    assert!(!first.is_finished(), "the queue is still full");
    fixture.faults().resume();
    assert_eq!(first.await.expect("no panic").status, StatusCode::ACCEPTED);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_is_lost_with_broken_connections_and_lost_answers() {
    const ORDERS: u64 = 300;
    let fixture = Fixture::open_with(|settings| settings.producer.retry.attempts_max = 2).await;
    let faults = fixture.faults();
    // Sends are in flight when connections break.
    faults.set_latency(Duration::from_millis(3));
    for nth in [2, 5, 6, 7, 20, 21, 25] {
        faults.fail_send(nth, FailAt::After);
    }
    // Ten orders at most are outstanding, so that at most ten of the 31 sends are first attempts: another one is a second
    // and last attempt, and its orders are rejected. A message has ten orders at most, so that there are 30 sends at least
    // that succeed, and fewer before these.
    for nth in (10..=13).chain(30..=60) {
        faults.fail_send(nth, FailAt::Before);
    }
    let done = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for worker in 0..10 {
        let (address, faults, done) = (fixture.address, faults.clone(), done.clone());
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            let mut accepted = Vec::new();
            for number in (0..ORDERS).filter(|number| number % 10 == worker) {
                accepted.push(client.post_until_accepted(&format!("key-{number}"), &order_of(number)).await);
                if done.fetch_add(1, Ordering::Relaxed) % 25 == 24 {
                    faults.drop_connections();
                }
            }
            accepted
        });
    }
    let answers: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    let rejections: u64 = answers.iter().map(|(_, rejections)| rejections).sum();
    assert!(rejections > 0, "the faults showed");
    let accepted: BTreeMap<_, _> = answers.into_iter().collect();
    assert_eq!(accepted.len() as u64, ORDERS, "each order has its own id");
    faults.set_latency(Duration::ZERO);
    let received = fixture.receive(accepted.len()).await;
    assert!(accepted.keys().eq(received.keys()), "the broker has exactly the accepted orders");
    for (order_id, copies) in received {
        assert!(copies.iter().all(|copy| copy.digest == copies[0].digest), "{order_id}");
    }
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_silent_broker_every_order_times_out_in_its_own_time() {
    const ORDERS: u64 = 100;
    let time_for_a_send = Duration::from_millis(600);
    let fixture = Fixture::open_with(|settings| {
        settings.producer.delivery_timeout = time_for_a_send;
        settings.client.request_timeout = time_for_a_send / 2;
        settings.producer.in_flight_max = NonZeroUsize::new(128).expect("positive");
        settings.batch.orders_max = NonZeroUsize::MIN;
    })
    .await;
    Client::connect(fixture.address).await.post_until_accepted("warm", &order_of(0)).await;
    fixture.faults().stall();
    let mut clients = JoinSet::new();
    for number in 1..=ORDERS {
        let address = fixture.address;
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            let started = Instant::now();
            let answer = client.post(&format!("key-{number}"), &order_of(number)).await.expect("an answer");
            assert_eq!(answer.body["code"], "publish_timeout", "{answer:?}");
            started.elapsed()
        });
    }
    // Sequential route queries to a silent broker would take half a minute.
    let slowest = clients.join_all().await.into_iter().max().expect("a hundred");
    assert!(slowest < time_for_a_send * 6, "{slowest:?}");
    fixture.faults().resume();
    let mut client = Client::connect(fixture.address).await;
    for number in 1..=ORDERS {
        client.post_until_accepted(&format!("key-{number}"), &order_of(number)).await;
    }
    fixture.close().await;
}
