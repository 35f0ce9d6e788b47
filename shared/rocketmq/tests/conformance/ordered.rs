//! Message groups, on topics of type FIFO.

use std::time::Duration;

use spillway_rocketmq::{FutureRecord, Message};

use crate::brokers::BrokerFixture;
use crate::cases::{receive, text};
use crate::official_client::{OfficialClient, PlainMessage};

on_both!(
    spillway_rocketmq::TopicType::Fifo;
    a_message_group_is_blocked_while_a_message_of_it_is_held,
    a_message_group_keeps_its_order_with_official_clients,
);

const PATIENCE: Duration = Duration::from_secs(60);

fn numbered() -> Vec<String> {
    (0..12).map(|number| format!("message {number:02}")).collect()
}

async fn send_group(fixture: &BrokerFixture, group: &str, bodies: impl IntoIterator<Item = String>) {
    let producer = fixture.producer();
    for body in bodies {
        let record = FutureRecord::to(&fixture.topic).payload(body).group(group);
        producer.send(record, PATIENCE).await.expect("delivered");
    }
}

async fn a_message_group_is_blocked_while_a_message_of_it_is_held(fixture: BrokerFixture) {
    // On a busy machine the test can take more than the minimum.
    let consumer = fixture.new_consumer(|config| config.invisible_duration = PATIENCE).await;
    consumer.initialize_offsets().await.expect("initialized");
    send_group(&fixture, "buyer-7", (0..4).map(|number| number.to_string())).await;
    let first = loop {
        if let Some(message) = consumer.receive(1).await.expect("received").pop() {
            break message;
        }
    };
    assert_eq!((text(&first).as_str(), first.group()), ("0", Some("buyer-7")));
    assert!(consumer.receive(32).await.expect("received").is_empty(), "0 is held");
    first.nack(Duration::from_secs(1)).await.expect("nacked");
    let mut seen = Vec::new();
    while seen.len() < 4 {
        // One at a time: Apache's proxy gives a whole receive the attempts of its newest message
        // (`LocalMessageService.popMessage`).
        for message in consumer.receive(1).await.expect("received") {
            seen.push((text(&message), message.delivery_attempt()));
            message.ack().await.expect("acked");
        }
    }
    let expected = [("0", 2), ("1", 1), ("2", 1), ("3", 1)];
    assert_eq!(seen, expected.map(|(body, attempt)| (body.to_owned(), attempt)), "in order, 0 again first");
}

async fn a_message_group_keeps_its_order_with_official_clients(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    for mut official in OfficialClient::each(&fixture.client) {
        send_group(&fixture, "buyer-7", numbered()).await;
        official.subscribe(&fixture.group, &fixture.topic, "*").await;
        let read = official.receive(&fixture.group, 12).await;
        assert!(read.iter().all(|message| message.group.as_deref() == Some("buyer-7")));
        let read: Vec<_> =
            read.into_iter().map(|message| String::from_utf8(message.body).expect("text")).collect();
        assert_eq!(read, numbered(), "{:?}", official.language());
        for body in numbered() {
            let message = PlainMessage {
                group: Some("buyer-8".to_owned()),
                body: body.into_bytes(),
                ..PlainMessage::default()
            };
            official.send(&fixture.topic, &message, None).await;
        }
        let mut bodies = Vec::new();
        while bodies.len() < 12 {
            for message in receive(&consumer, 1).await {
                bodies.push(text(&message));
                Message::ack(message).await.expect("acked");
            }
        }
        assert_eq!(bodies, numbered(), "{:?}", official.language());
    }
}
