//! Messages exchanged with the official clients, both ways.

use std::time::Duration;

use spillway_rocketmq::{FutureRecord, Message};
use tokio::time::timeout;

use crate::brokers::BrokerFixture;
use crate::official_client::{OfficialClient, PlainMessage};

on_both!(official_clients_read_what_this_client_sends, this_client_reads_what_official_clients_send,);

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
    // The Python client sends the keys of a set.
    let mut keys = message.keys().to_vec();
    keys.sort();
    PlainMessage {
        tag: message.tag().map(str::to_owned),
        keys: text(keys.join(",")),
        properties: text(properties.join(",")),
        group: message.group().map(str::to_owned),
        body: message.payload().to_vec(),
    }
}

fn sorted(mut messages: Vec<PlainMessage>) -> Vec<PlainMessage> {
    messages.sort_by(|one, other| one.body.cmp(&other.body));
    messages
}

async fn official_clients_read_what_this_client_sends(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    for mut official in OfficialClient::each(&fixture.client) {
        official.subscribe(&fixture.group, &fixture.topic, "*").await;
        let producer = fixture.producer_with(|config| config.compress_above_bytes = Some(1_024));
        for message in messages() {
            producer.send(record(&fixture.topic, &message), Duration::ZERO).await.expect("sent");
        }
        let read = official.receive(&fixture.group, 3).await;
        assert_eq!(sorted(read), sorted(messages().to_vec()), "{:?}", official.language());
    }
    consumer.close(Duration::from_secs(5)).await;
}

async fn this_client_reads_what_official_clients_send(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    for mut official in OfficialClient::each(&fixture.client) {
        for message in messages() {
            official.send(&fixture.topic, &message, None).await;
        }
        let mut received = Vec::new();
        while received.len() < 3 {
            let message = timeout(SOON, consumer.recv()).await.expect("in time").expect("a message");
            received.push(plain(&message));
            message.ack().await.expect("acked");
        }
        assert_eq!(sorted(received), sorted(messages().to_vec()), "{:?}", official.language());
    }
}
