//! Messages with a delivery time, on topics of type DELAY.

use std::time::{Duration, SystemTime};

use spillway_rocketmq::FutureRecord;
use tokio::time::Instant;

use crate::brokers::BrokerFixture;
use crate::cases::{receive, text};
use crate::official_client::{OfficialClient, PlainMessage};

on_both!(
    spillway_rocketmq::TopicType::Delay;
    a_topic_takes_messages_of_its_type_only,
    a_delayed_message_comes_at_its_time,
    a_delayed_message_comes_at_its_time_with_official_clients,
);

const DELAY: Duration = Duration::from_secs(4);
/// Apache's clock for delays has steps of a second.
const STEP: Duration = Duration::from_secs(1);

fn later(fixture: &BrokerFixture, due: SystemTime) -> FutureRecord {
    FutureRecord::to(&fixture.topic).payload("later").deliver_at(due)
}

/// Asserts that `due` is past, or nearly.
fn expect_due(due: SystemTime) {
    let early = due.duration_since(SystemTime::now()).unwrap_or_default();
    assert!(early <= STEP, "{early:?} early");
}

async fn a_topic_takes_messages_of_its_type_only(fixture: BrokerFixture) {
    let producer = fixture.producer();
    let wrong = FutureRecord::to(&fixture.topic).payload("now");
    let (error, _record) = producer.send(wrong, Duration::ZERO).await.expect_err("of another type");
    assert_eq!(
        error.to_string(),
        format!(
            "not delivered after 1 attempts: topic {} takes messages of type DELAY, not NORMAL",
            fixture.topic
        )
    );
    let error = producer.warm_up().await.expect_err("of another type");
    assert!(!error.is_retryable() && error.to_string().contains("DELAY, not NORMAL"), "{error}");
}

async fn a_delayed_message_comes_at_its_time(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    let producer = fixture.producer();
    let due = SystemTime::now() + DELAY;
    producer.send(later(&fixture, due), Duration::ZERO).await.expect("sent");
    let message = receive(&consumer, 1).await.remove(0);
    expect_due(due);
    assert_eq!((text(&message).as_str(), message.delivery_attempt()), ("later", 1));
    assert!(message.deliver_at().is_some());
    message.ack().await.expect("acked");
    let past = SystemTime::now() - DELAY;
    producer.send(later(&fixture, past), Duration::ZERO).await.expect("sent");
    receive(&consumer, 1).await.remove(0).ack().await.expect("acked");
    // Further ahead than any server allows.
    let far = SystemTime::now() + Duration::from_secs(365 * 24 * 60 * 60);
    let (error, _record) =
        producer.send(later(&fixture, far), Duration::ZERO).await.expect_err("too far ahead");
    let text = error.to_string();
    assert!(text.contains("40012"), "ILLEGAL_DELIVERY_TIME: {text}");
}

async fn a_delayed_message_comes_at_its_time_with_official_clients(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    let producer = fixture.producer();
    for mut official in OfficialClient::each(&fixture.client) {
        official.subscribe(&fixture.group, &fixture.topic, "*").await;
        let due = SystemTime::now() + DELAY;
        producer.send(later(&fixture, due), Duration::ZERO).await.expect("sent");
        assert_eq!(official.receive(&fixture.group, 1).await[0].body, b"later");
        expect_due(due);

        let sent = Instant::now();
        let message = PlainMessage { body: b"later too".to_vec(), ..PlainMessage::default() };
        official.send(&fixture.topic, &message, Some(DELAY)).await;
        let message = receive(&consumer, 1).await.remove(0);
        assert!(sent.elapsed() >= DELAY - STEP, "{:?}: {:?}", official.language(), sent.elapsed());
        assert_eq!(text(&message), "later too");
        message.ack().await.expect("acked");
    }
}
