//! Sends while a broker fails.

use std::time::Duration;

use spillway_broker::Call;
use spillway_rocketmq::FutureRecord;
use spillway_rocketmq::protocol::Code;
use tokio::time::Instant;

use crate::fixture::{ClusterFixture, PATIENCE, TOPIC};

fn record() -> FutureRecord {
    FutureRecord::to(TOPIC).payload("x")
}

#[tokio::test]
async fn producers_start_at_random_queues() {
    let fixture = ClusterFixture::start().await;
    for _ in 0..24 {
        fixture.producer().send(record(), PATIENCE).await.expect("delivered");
    }
    let calls = [0, 1].map(|broker| fixture.cluster.faults(broker).calls(Call::Send));
    assert!(calls.iter().all(|calls| *calls > 0), "{calls:?} on each broker");
}

#[tokio::test]
async fn a_retry_goes_to_another_broker_and_the_failing_one_rests() {
    let fixture = ClusterFixture::start().await;
    let failing = fixture.cluster.faults(1);
    failing.reject(Call::Send, Some(Code::INTERNAL_SERVER_ERROR));
    // At low traffic: each producer sends a few, and every first choice may be the failing broker.
    for _ in 0..8 {
        let producer = fixture.producer();
        let calls = failing.calls(Call::Send);
        for _ in 0..16 {
            let delivery = producer.send(record(), PATIENCE).await.expect("delivered");
            assert!(delivery.attempts <= 2, "{delivery:?}");
        }
        // The first send that meets it makes it rest for longer than the others take.
        let calls = failing.calls(Call::Send) - calls;
        assert!(calls <= 2, "{calls} sends to the failing broker");
    }
}

#[tokio::test]
async fn sends_go_on_while_a_broker_is_dead_and_use_it_again_afterwards() {
    let mut fixture = ClusterFixture::start().await;
    let producer = fixture.producer();
    producer.warm_up().await.expect("warm");
    fixture.cluster.abort(1).await.expect("stopped");
    let began = Instant::now();
    for _ in 0..40 {
        producer.send(record(), PATIENCE).await.expect("delivered");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    fixture.cluster.restart(1).await.expect("opens again");
    let restarted = fixture.cluster.faults(1);
    while restarted.calls(Call::Send) == 0 {
        producer.send(record(), PATIENCE).await.expect("delivered");
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(began.elapsed() < PATIENCE, "the restarted broker gets no sends");
    }
}
