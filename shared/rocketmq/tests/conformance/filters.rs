//! Filters, and subscriptions that change while a consumer runs.

use std::time::Duration;

use spillway_rocketmq::{ClientError, FutureRecord, MessageFilter, StreamConsumer};

use crate::brokers::BrokerFixture;
use crate::cases::{receive, text};
use crate::official_client::{OfficialClient, PlainMessage};

on_both!(
    subscriptions_change_while_the_consumer_runs,
    a_consumer_starts_with_a_filter,
    filters_work_between_this_client_and_official_ones,
);

const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a message for each tag, which is its body too, and one without a tag.
async fn send_tagged(fixture: &BrokerFixture, tags: &[&str]) {
    let producer = fixture.producer();
    for tag in tags {
        let record = FutureRecord::to(&fixture.topic).payload((*tag).to_owned()).tag(*tag);
        producer.send(record, PATIENCE).await.expect("delivered");
    }
    let untagged = FutureRecord::to(&fixture.topic).payload("untagged");
    producer.send(untagged, PATIENCE).await.expect("delivered");
}

/// Receives and acks `count` messages; returns their bodies, sorted.
async fn received(consumer: &StreamConsumer, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for message in receive(consumer, count).await {
        bodies.push(text(&message));
        message.ack().await.expect("acked");
    }
    bodies.sort();
    bodies
}

async fn subscriptions_change_while_the_consumer_runs(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    consumer.subscribe(&fixture.topic, MessageFilter::tags("red || blue")).await.expect("subscribed");
    send_tagged(&fixture, &["red", "green", "blue"]).await;
    assert_eq!(received(&consumer, 2).await, ["blue", "red"]);
    assert!(consumer.receive(32).await.expect("received").is_empty());
    consumer.subscribe(&fixture.topic, MessageFilter::all()).await.expect("changed");
    assert!(consumer.receive(32).await.expect("received").is_empty(), "what did not pass is settled");
    send_tagged(&fixture, &["green"]).await;
    assert_eq!(received(&consumer, 2).await, ["green", "untagged"]);

    assert!(consumer.unsubscribe(&fixture.topic));
    assert!(!consumer.unsubscribe(&fixture.topic));
    let refused = consumer.receive(1).await.map(drop).expect_err("nothing is subscribed");
    assert!(matches!(refused, ClientError::Config(_)), "{refused:?}");
    let missing = consumer.subscribe("no_such_topic", MessageFilter::all()).await.expect_err("no such topic");
    assert!(!missing.is_retryable(), "{missing:?}");
    consumer.subscribe(&fixture.topic, MessageFilter::tags("red")).await.expect("subscribed again");
    send_tagged(&fixture, &["red", "green"]).await;
    assert_eq!(received(&consumer, 1).await, ["red"]);
}

async fn a_consumer_starts_with_a_filter(fixture: BrokerFixture) {
    fixture.consumer().await.close(PATIENCE).await;
    let consumer = fixture.new_consumer(|config| config.filter = MessageFilter::tags("green")).await;
    send_tagged(&fixture, &["red", "green", "blue"]).await;
    assert_eq!(received(&consumer, 1).await, ["green"]);
    assert!(consumer.receive(32).await.expect("received").is_empty());
}

async fn filters_work_between_this_client_and_official_ones(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    for mut official in OfficialClient::each(&fixture.client) {
        official.subscribe(&fixture.group, &fixture.topic, "red || blue").await;
        send_tagged(&fixture, &["red", "green", "blue"]).await;
        let mut tags: Vec<_> =
            official.receive(&fixture.group, 2).await.into_iter().filter_map(|message| message.tag).collect();
        tags.sort();
        assert_eq!(tags, ["blue", "red"], "{:?}", official.language());

        consumer.subscribe(&fixture.topic, MessageFilter::tags("green")).await.expect("subscribed");
        // The official client ends once it has its two messages, which leaves the green one where it did not look.
        for message in consumer.receive(32).await.expect("received") {
            message.ack().await.expect("acked");
        }
        for tag in ["red", "green", "blue"] {
            let message = PlainMessage {
                tag: Some(tag.to_owned()),
                body: tag.as_bytes().to_vec(),
                ..PlainMessage::default()
            };
            official.send(&fixture.topic, &message, None).await;
        }
        assert_eq!(received(&consumer, 1).await, ["green"], "{:?}", official.language());
        // The official client's consumer must find none of these.
        assert!(consumer.receive(32).await.expect("received").is_empty());
    }
}
