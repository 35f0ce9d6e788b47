//! How much waits on the broker: as the embedded broker tells, and as Apache's does where
//! `SPILLWAY_TEST_ROCKETMQ_ENDPOINT`, `…_METRICS_URL` and `SPILLWAY_TEST_STACK` say where it is.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

mod faults;
mod fixture;
mod text;

use std::time::Duration;

use drain_worker::lag::{Lag, LagSource, LagSourceKind};
use shared::rocketmq::Message;
use tokio::time::{sleep, timeout};

use fixture::LagFixture;

/// Long enough for anything that is to happen.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_broker_tells_what_waits() {
    let fixture = fixture::embedded().await;
    what_waits_is_told(&fixture).await;
    let lag = lag(&fixture).await;
    assert_eq!((lag.kind, lag.messages_in_flight), (LagSourceKind::Embedded, Some(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_the_broker_tells_what_waits() {
    let Some(fixture) = fixture::real("lag").await else { return };
    what_waits_is_told(&fixture).await;
    let lag = lag(&fixture).await;
    assert_eq!((lag.kind, lag.messages_in_flight), (LagSourceKind::BrokerMetrics, None));
}

async fn lag(fixture: &LagFixture) -> Lag {
    fixture.source().lag().await.expect("told")
}

/// Asks until the figures are `ready` and `in_flight`, where the source can tell the second.
async fn told(fixture: &LagFixture, ready: u64, in_flight: u64) -> Lag {
    let source = fixture.source();
    let mut last = None;
    let reached = timeout(PATIENCE, async {
        loop {
            let lag = source.lag().await.expect("told");
            last = Some(lag);
            if lag.messages_ready == ready && lag.messages_in_flight.is_none_or(|told| told == in_flight) {
                return lag;
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    reached.unwrap_or_else(|_elapsed| panic!("not {ready} and {in_flight}: {last:?}"))
}

/// The known numbers: what was published, taken and acked.
async fn what_waits_is_told(fixture: &LagFixture) {
    let consumer = fixture.consumer().await;
    let none = told(fixture, 0, 0).await;
    assert_eq!(none.oldest_age, None);
    fixture.publish(100).await;
    let all = told(fixture, 100, 0).await;
    assert!(all.oldest_age.is_some_and(|age| age < PATIENCE), "{all:?}");
    let mut held: Vec<Message> = Vec::new();
    while held.len() < 30 {
        held.extend(consumer.receive(30 - held.len()).await.expect("received"));
    }
    told(fixture, 70, 30).await;
    for message in held.drain(..20) {
        message.ack().await.expect("acked");
    }
    let aged = told(fixture, 70, 10).await;
    assert!(aged.oldest_age > all.oldest_age, "{aged:?} after {all:?}");
    // What a killed worker held comes back, and waits again.
    held.into_iter().for_each(std::mem::forget);
    told(fixture, 80, 0).await;
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
    told(fixture, 0, 10).await;
    // And a second time.
    again.into_iter().for_each(std::mem::forget);
    told(fixture, 10, 0).await;
    let mut left = 10;
    while left > 0 {
        for message in consumer.receive(32).await.expect("received") {
            message.ack().await.expect("acked");
            left -= 1;
        }
    }
    told(fixture, 0, 0).await;
    consumer.close(PATIENCE).await;
    // Nobody is connected; what is published waits all the same.
    fixture.publish(5).await;
    told(fixture, 5, 0).await;
}
