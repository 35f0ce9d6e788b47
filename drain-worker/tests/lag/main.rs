//! The lag of the embedded broker and, where `SPILLWAY_TEST_ROCKETMQ_ENDPOINT`, `…_METRICS_URL` and
//! `SPILLWAY_TEST_STACK` name one, of Apache's broker.

#![allow(clippy::expect_used, reason = "tests use expect with the expectation")]

mod faults;
mod fixture;
mod openapi;
mod promql;
mod text;

use std::time::Duration;

use drain_worker::lag::{Lag, LagSource, LagSourceKind};
use shared::rocketmq::Message;
use tokio::time::{sleep, timeout};

use fixture::LagFixture;

use shared::testkit::PATIENCE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_broker_reports_its_lag() {
    let fixture = fixture::embedded().await;
    lag_equals_what_is_unsettled(&fixture).await;
    let lag = lag(&fixture).await;
    assert_eq!((lag.kind, lag.messages_in_flight), (LagSourceKind::Embedded, Some(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_the_broker_reports_its_lag() {
    let Some(fixture) = fixture::real("lag").await else { return };
    lag_equals_what_is_unsettled(&fixture).await;
    let lag = lag(&fixture).await;
    assert_eq!((lag.kind, lag.messages_in_flight), (LagSourceKind::BrokerMetrics, None));
}

async fn lag(fixture: &LagFixture) -> Lag {
    fixture.source().lag().await.expect("succeeds")
}

/// Polls until the lag is `ready` and `in_flight`, where the source reports the second.
async fn lag_is(fixture: &LagFixture, ready: u64, in_flight: u64) -> Lag {
    let source = fixture.source();
    let mut last = None;
    let reached = timeout(PATIENCE, async {
        loop {
            let lag = source.lag().await.expect("succeeds");
            last = Some(lag);
            if lag.messages_ready == ready
                && lag.messages_in_flight.is_none_or(|reported| reported == in_flight)
            {
                return lag;
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    reached.unwrap_or_else(|_elapsed| panic!("not {ready} and {in_flight}: {last:?}"))
}

/// Compares the lag with what was published, received and acked.
async fn lag_equals_what_is_unsettled(fixture: &LagFixture) {
    let consumer = fixture.consumer().await;
    let none = lag_is(fixture, 0, 0).await;
    assert_eq!(none.oldest_age, None);
    fixture.publish(100).await;
    let all = lag_is(fixture, 100, 0).await;
    assert!(all.oldest_age.is_some_and(|age| age < PATIENCE), "{all:?}");
    let mut held: Vec<Message> = Vec::new();
    while held.len() < 30 {
        held.extend(consumer.receive(30 - held.len()).await.expect("received"));
    }
    lag_is(fixture, 70, 30).await;
    for message in held.drain(..20) {
        message.ack().await.expect("acked");
    }
    let aged = lag_is(fixture, 70, 10).await;
    assert!(aged.oldest_age > all.oldest_age, "{aged:?} after {all:?}");
    // The messages of a killed worker are redelivered.
    held.into_iter().for_each(std::mem::forget);
    lag_is(fixture, 80, 0).await;
    let mut again: Vec<Message> = Vec::new();
    let mut acked = 0;
    while acked + again.len() < 80 {
        for message in consumer.receive(32).await.expect("received") {
            if message.delivery_attempt() == 1 {
                message.ack().await.expect("acked");
                acked += 1;
            } else {
                again.push(message);
            }
        }
    }
    assert_eq!((acked, again.len()), (70, 10));
    lag_is(fixture, 0, 10).await;
    // And once more.
    again.into_iter().for_each(std::mem::forget);
    lag_is(fixture, 10, 0).await;
    let mut left = 10;
    while left > 0 {
        for message in consumer.receive(32).await.expect("received") {
            message.ack().await.expect("acked");
            left -= 1;
        }
    }
    lag_is(fixture, 0, 0).await;
    consumer.close(PATIENCE).await;
    // Without a connected consumer, published messages still count.
    fixture.publish(5).await;
    lag_is(fixture, 5, 0).await;
}
