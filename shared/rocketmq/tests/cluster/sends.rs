//! Sends while a broker fails.

use std::time::Duration;

use futures_util::FutureExt;
use spillway_broker::Call;
use spillway_rocketmq::protocol::Code;
use spillway_rocketmq::{CallKind, CallStatistics, FutureRecord, SendError};
use tokio::time::Instant;

use crate::fixture::{ClusterFixture, PATIENCE, TOPIC, until};

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
async fn a_payload_above_the_servers_maximum_is_not_sent() {
    let fixture = ClusterFixture::start_with(|config| config.masters = 1).await;
    let producer = fixture.producer_with(|config| config.body_bytes_max = 16 << 20);
    producer.warm_up().await.expect("warm");
    // The maximum that the server's settings name, as Apache's broker has it.
    let bytes_max = 4 << 20;
    let bytes = bytes_max + 1;
    let sent = producer.send(FutureRecord::to(TOPIC).payload(vec![7; bytes]), PATIENCE).await;
    assert_eq!(sent.expect_err("too large").0, SendError::TooLarge { bytes, bytes_max });
    assert_eq!(fixture.cluster.faults(0).calls(Call::Send), 0);
    producer.send(FutureRecord::to(TOPIC).payload(vec![7; bytes_max]), PATIENCE).await.expect("delivered");
}

#[tokio::test]
async fn after_throttling_the_servers_delays_apply() {
    let fixture = ClusterFixture::start_with(|config| config.masters = 1).await;
    let producer = fixture.producer_with(|config| {
        config.delivery_timeout = PATIENCE;
        config.retry.backoff_initial = PATIENCE;
        config.retry.backoff_max = PATIENCE;
    });
    producer.warm_up().await.expect("warm");
    fixture.cluster.faults(0).throttle_sends(2);
    let began = Instant::now();
    let delivery = producer.send(record(), PATIENCE).await.expect("delivered");
    let took = began.elapsed();
    assert_eq!(delivery.attempts, 3);
    // The server says: 10 ms, doubled before the second attempt and before the third.
    assert!((Duration::from_millis(60)..Duration::from_millis(600)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn statistics_name_topic_and_server_of_each_call() {
    let fixture = ClusterFixture::start().await;
    let producer = fixture.producer();
    producer.warm_up().await.expect("warm");
    let slow = fixture.cluster.faults(1);
    slow.set_latency(Duration::from_millis(60));
    for _ in 0..16 {
        producer.send(record(), PATIENCE).await.expect("delivered");
    }
    slow.throttle_sends(1);
    while slow.calls(Call::Send) < 10 {
        producer.send(record(), PATIENCE).await.expect("delivered");
    }
    let statistics = producer.statistics();
    for broker in [0, 1] {
        let address = fixture.cluster.local_addr(broker).to_string();
        let is_it = |calls: &&CallStatistics| calls.endpoints.to_string() == address;
        let calls = statistics.calls.iter().find(is_it).expect("sends to this broker");
        assert_eq!((calls.kind, calls.topic.as_str()), (CallKind::Send, TOPIC));
        let throttled = broker as u64;
        assert_eq!((calls.failures, calls.throttled), (throttled, throttled));
        let faults = fixture.cluster.faults(broker);
        assert_eq!(calls.latency.count() + throttled, faults.calls(Call::Send));
        let is_slow = calls.latency.quantile(0.0).expect("calls") > Duration::from_millis(50);
        assert!(is_slow || broker == 0, "{calls:?}");
    }
}

#[tokio::test]
async fn a_flush_takes_no_room_and_waits_for_earlier_messages_only() {
    let mut fixture = ClusterFixture::start_with(|config| config.masters = 1).await;
    fixture.client.request_timeout = PATIENCE;
    let faults = fixture.cluster.faults(0);
    let producer = fixture.producer_with(|config| {
        config.delivery_timeout = PATIENCE * 2;
        config.retry.attempts_max = u32::MAX;
    });
    producer.warm_up().await.expect("warm");
    faults.stall();
    let earlier = producer.send_result(record()).expect("room");
    until("the earlier message is sent", || faults.calls(Call::Send) == 1).await;
    // Every later one is in flight until the test ends.
    faults.throttle_all_sends(true);
    let mut flush = Box::pin(producer.flush(PATIENCE));
    assert_eq!((&mut flush).now_or_never(), None, "the earlier message is in flight");
    let later = [(); 2].map(|()| producer.send_result(record()).expect("a flush takes no room"));
    faults.resume();
    assert!(flush.await, "the earlier message was settled");
    earlier.await.expect("delivered");
    assert_eq!(producer.queued(), 2, "the later messages are in flight");
    drop(later);
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
