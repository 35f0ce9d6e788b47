//! Messages exchanged with the official Java client, both ways.

use std::time::{Duration, SystemTime};

use spillway_rocketmq::{FutureRecord, Message, StreamConsumer};
use tokio::time::{Instant, timeout};

use crate::brokers::{BrokerFixture, real_of_type};
use crate::java_client::{JavaClient, PlainMessage};

on_both!(java_reads_what_this_client_sends, this_client_reads_what_java_sends);

const SOON: Duration = Duration::from_secs(60);

fn messages() -> [PlainMessage; 3] {
    let text = |text: &str| Some(text.to_owned());
    [
        PlainMessage { body: b"plain".to_vec(), ..PlainMessage::default() },
        PlainMessage {
            tag: text("red"),
            keys: text("one,two"),
            properties: text("a=1,b=2"),
            body: "ünïcödé".as_bytes().to_vec(),
            ..PlainMessage::default()
        },
        // Above the producer's threshold of compression.
        PlainMessage { body: b"long ".repeat(2_000), ..PlainMessage::default() },
    ]
}

fn record(topic: &str, message: &PlainMessage) -> FutureRecord {
    let mut record = FutureRecord::to(topic).payload(message.body.clone());
    if let Some(tag) = &message.tag {
        record = record.tag(tag);
    }
    if let Some(keys) = &message.keys {
        record = record.keys(keys.split(','));
    }
    for (name, value) in
        message.properties.iter().flat_map(|all| all.split(',')).filter_map(|one| one.split_once('='))
    {
        record = record.property(name, value);
    }
    record
}

fn plain(message: &Message) -> PlainMessage {
    let mut properties: Vec<_> =
        message.properties().iter().map(|(name, value)| format!("{name}={value}")).collect();
    properties.sort();
    assert_eq!(message.body_fault(), None);
    let text = |text: String| (!text.is_empty()).then_some(text);
    PlainMessage {
        tag: message.tag().map(str::to_owned),
        keys: text(message.keys().join(",")),
        properties: text(properties.join(",")),
        group: message.group().map(str::to_owned),
        body: message.payload().to_vec(),
    }
}

fn sorted(mut messages: Vec<PlainMessage>) -> Vec<PlainMessage> {
    messages.sort_by(|one, other| one.body.cmp(&other.body));
    messages
}

async fn java_reads_what_this_client_sends(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    let Some(mut java) = JavaClient::start(&fixture.client) else { return };
    java.subscribe(&fixture.group, &fixture.topic, "*").await;
    let producer = fixture.producer_with(|config| config.compress_above_bytes = Some(1_024));
    for message in messages() {
        producer.send(record(&fixture.topic, &message), Duration::ZERO).await.expect("sent");
    }
    assert_eq!(sorted(java.receive(&fixture.group, 3).await), sorted(messages().to_vec()));
    consumer.close(Duration::from_secs(5)).await;
}

async fn this_client_reads_what_java_sends(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    let Some(mut java) = JavaClient::start(&fixture.client) else { return };
    for message in messages() {
        java.send(&fixture.topic, &message, None).await;
    }
    let mut received = Vec::new();
    while received.len() < 3 {
        let message = timeout(SOON, consumer.recv()).await.expect("in time").expect("a message");
        received.push(plain(&message));
        message.ack().await.expect("acked");
    }
    assert_eq!(sorted(received), sorted(messages().to_vec()));
}

/// The bodies of `count` messages, acked, in the order in which they came.
async fn bodies(consumer: &StreamConsumer, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    while bodies.len() < count {
        let message = timeout(SOON, consumer.recv()).await.expect("in time").expect("a message");
        bodies.push(String::from_utf8(message.payload().to_vec()).expect("text"));
        message.ack().await.expect("acked");
    }
    bodies
}

fn numbered() -> Vec<String> {
    (0..12).map(|number| format!("message {number:02}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_message_group_keeps_its_order_in_both_directions() {
    let Some(fixture) = real_of_type("fifo", "FIFO").await else { return };
    let consumer = fixture.consumer().await;
    let Some(mut java) = JavaClient::start(&fixture.client) else { return };
    let producer = fixture.producer();
    for body in numbered() {
        let record = FutureRecord::to(&fixture.topic).payload(body).group("buyer-7");
        producer.send(record, Duration::ZERO).await.expect("sent");
    }
    java.subscribe(&fixture.group, &fixture.topic, "*").await;
    let read: Vec<_> = java.receive(&fixture.group, 12).await;
    assert!(read.iter().all(|message| message.group.as_deref() == Some("buyer-7")));
    let read: Vec<_> =
        read.into_iter().map(|message| String::from_utf8(message.body).expect("text")).collect();
    assert_eq!(read, numbered());
    for body in numbered() {
        let message = PlainMessage {
            group: Some("buyer-8".to_owned()),
            body: body.into_bytes(),
            ..PlainMessage::default()
        };
        java.send(&fixture.topic, &message, None).await;
    }
    assert_eq!(bodies(&consumer, 12).await, numbered());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_delayed_message_comes_at_its_time_in_both_directions() {
    const DELAY: Duration = Duration::from_secs(4);
    let Some(fixture) = real_of_type("delay", "DELAY").await else { return };
    let consumer = fixture.consumer().await;
    let Some(mut java) = JavaClient::start(&fixture.client) else { return };
    java.subscribe(&fixture.group, &fixture.topic, "*").await;
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
    let due = SystemTime::now() + DELAY;
    let record = FutureRecord::to(&fixture.topic).payload("later").deliver_at(due);
    producer.send(record, Duration::ZERO).await.expect("sent");
    assert_eq!(java.receive(&fixture.group, 1).await[0].body, b"later");
    // The broker's clock for delays has steps of a second.
    let early = due.duration_since(SystemTime::now()).unwrap_or_default();
    assert!(early <= Duration::from_secs(1), "{early:?} early");

    let sent = Instant::now();
    let message = PlainMessage { body: b"later too".to_vec(), ..PlainMessage::default() };
    java.send(&fixture.topic, &message, Some(DELAY)).await;
    let message = timeout(SOON, consumer.recv()).await.expect("in time").expect("a message");
    assert!(sent.elapsed() >= DELAY - Duration::from_secs(1), "{:?}", sent.elapsed());
    assert!(message.deliver_at().is_some());
    assert_eq!(message.payload().as_ref(), b"later too");
    message.ack().await.expect("acked");
}
