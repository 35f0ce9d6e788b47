//! The broker on a bad day.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use spillway_broker::FailAt;
use tokio::task::{JoinSet, yield_now};
use tokio::time::Instant;

use super::stage::{Client, Stage, order_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttling_broker_is_told_as_such_and_the_retry_is_accepted() {
    let stage = Stage::open().await;
    let mut client = Client::connect(stage.address).await;
    stage.broker.faults().throttle_all_sends(true);
    let refused = client.post("key", &order_of(1)).await.expect("an answer");
    assert!(refused.is_503_with_wait(), "{refused:?}");
    assert_eq!(refused.body["code"], "broker_throttled");
    assert_eq!(refused.body["retryable"], true);
    stage.broker.faults().throttle_all_sends(false);
    let accepted = client.post("key", &order_of(1)).await.expect("an answer");
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    assert_eq!(accepted.order_id(), refused.order_id());
    let received = stage.receive(1).await;
    assert_eq!(received[&accepted.order_id()].len(), 1, "what was throttled was not stored");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_throttle_is_ridden_out_before_anybody_notices() {
    let stage = Stage::open().await;
    let mut client = Client::connect(stage.address).await;
    stage.broker.faults().throttle_sends(2);
    let answer = client.post("key", &order_of(1)).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_answer_is_told_as_a_timeout_and_the_order_may_have_been_taken() {
    let stage = Stage::open_with(|settings| {
        settings.producer.delivery_timeout = Duration::from_millis(300);
        settings.client.request_timeout = Duration::from_millis(150);
    })
    .await;
    let mut client = Client::connect(stage.address).await;
    client.post_until_accepted("warm", &order_of(0)).await;
    stage.broker.faults().stall();
    let refused = client.post("key", &order_of(1)).await.expect("an answer");
    assert!(refused.is_503_with_wait(), "{refused:?}");
    assert_eq!(refused.body["code"], "publish_timeout");
    stage.broker.faults().resume();
    let (accepted, _refusals) = client.post_until_accepted("key", &order_of(1)).await;
    assert_eq!(accepted, refused.order_id());
    // The broker carried the first attempt out and only kept the answer: one order, several copies.
    assert!(stage.receive(2).await[&accepted].len() > 1);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_told_at_once() {
    let stage = Stage::open_with(|settings| {
        settings.producer.queue_messages_max = NonZeroUsize::MIN;
        settings.server.workers = NonZeroUsize::MIN;
    })
    .await;
    stage.broker.faults().stall();
    let mut first = Client::connect(stage.address).await;
    let first = tokio::spawn(async move { first.post("first", &order_of(1)).await.expect("an answer") });
    while stage.messages().await == 0 {
        yield_now().await;
    }
    let refused = Client::connect(stage.address).await.post("second", &order_of(2)).await.expect("an answer");
    assert!(refused.is_503_with_wait(), "{refused:?}");
    assert_eq!(refused.body["code"], "queue_full");
    assert!(!first.is_finished(), "the queue is still full");
    stage.broker.faults().resume();
    assert_eq!(first.await.expect("no panic").status, StatusCode::ACCEPTED);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_and_lost_answers_lose_no_order() {
    const ORDERS: u64 = 300;
    let stage = Stage::open_with(|settings| settings.producer.retry.attempts_max = 2).await;
    let faults = stage.broker.faults();
    // Sends are under way when connections break.
    faults.set_latency(Duration::from_millis(3));
    for nth in [2, 5, 6, 7, 20, 21, 40] {
        faults.fail_send(nth, FailAt::After);
    }
    for nth in [10, 11, 12, 13] {
        faults.fail_send(nth, FailAt::Before);
    }
    let done = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for worker in 0..10 {
        let (address, faults, done) = (stage.address, faults.clone(), done.clone());
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
    let refusals: u64 = answers.iter().map(|(_, refusals)| refusals).sum();
    assert!(refusals > 0, "the faults showed");
    let accepted: BTreeMap<_, _> = answers.into_iter().collect();
    assert_eq!(accepted.len() as u64, ORDERS, "each order has an id of its own");
    faults.set_latency(Duration::ZERO);
    let received = stage.receive(accepted.len()).await;
    assert!(accepted.keys().eq(received.keys()), "what was accepted is with the broker, and nothing else");
    for (order_id, copies) in received {
        assert!(copies.iter().all(|copy| copy.digest == copies[0].digest), "{order_id}");
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_broker_costs_no_order_more_than_its_time_however_many_wait() {
    const ORDERS: u64 = 100;
    let time_for_a_send = Duration::from_millis(600);
    let stage = Stage::open_with(|settings| {
        settings.producer.delivery_timeout = time_for_a_send;
        settings.client.request_timeout = time_for_a_send / 2;
        settings.producer.in_flight_max = NonZeroUsize::new(128).expect("positive");
        settings.batch.orders_max = NonZeroUsize::MIN;
    })
    .await;
    Client::connect(stage.address).await.post_until_accepted("warm", &order_of(0)).await;
    stage.broker.faults().stall();
    let mut clients = JoinSet::new();
    for number in 1..=ORDERS {
        let address = stage.address;
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            let started = Instant::now();
            let answer = client.post(&format!("key-{number}"), &order_of(number)).await.expect("an answer");
            assert_eq!(answer.body["code"], "publish_timeout", "{answer:?}");
            started.elapsed()
        });
    }
    // One after the other they would ask a silent broker for its route for half a minute.
    let slowest = clients.join_all().await.into_iter().max().expect("a hundred");
    assert!(slowest < time_for_a_send * 6, "{slowest:?}");
    stage.broker.faults().resume();
    let mut client = Client::connect(stage.address).await;
    for number in 1..=ORDERS {
        client.post_until_accepted(&format!("key-{number}"), &order_of(number)).await;
    }
    stage.close().await;
}
