//! The cases that both brokers must pass.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt;
use spillway_rocketmq::protocol::Code;
use spillway_rocketmq::{
    ClientError, ConsumerConfig, Credentials, CredentialsSource, DefaultContext, FutureRecord, Message,
    SendError, SettleError, StreamConsumer,
};
use tokio::time::{Instant, timeout};

use crate::brokers::{BrokerFixture, QUEUES};

on_both!(
    a_message_arrives_as_it_was_sent,
    an_unsettled_message_is_redelivered,
    a_nacked_message_is_redelivered_after_its_delay,
    a_dropped_message_is_nacked,
    an_extended_message_stays_hidden_and_its_new_receipt_is_valid,
    held_messages_stay_hidden,
    acks_share_calls_and_are_durable,
    messages_published_after_the_initialization_are_received,
    messages_on_added_queues_are_received,
    a_second_initialization_nacks_waiting_messages,
    missing_topics_and_groups_are_errors,
    a_wrong_signature_is_rejected,
    a_full_queue_returns_the_record,
    a_flush_waits_for_every_delivery,
    many_senders_lose_and_duplicate_nothing,
    the_stream_returns_every_message,
    a_closed_client_returns_closed,
);

/// Maximum wait for anything that a test expects.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn send(fixture: &BrokerFixture, bodies: impl IntoIterator<Item = String>) {
    let producer = fixture.producer();
    let sends = bodies
        .into_iter()
        .map(|body| producer.send(FutureRecord::to(&fixture.topic).payload(body), PATIENCE));
    for sent in futures_util::future::join_all(sends).await {
        sent.expect("delivered");
    }
    producer.close(PATIENCE).await;
}

pub(crate) fn text(message: &Message) -> String {
    String::from_utf8(message.payload().to_vec()).expect("text")
}

/// Receives until there are `count` messages.
pub(crate) async fn receive(consumer: &StreamConsumer, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    let receiving = async {
        while messages.len() < count {
            messages.extend(consumer.receive(32).await.expect("received"));
        }
    };
    let late = timeout(PATIENCE, receiving).await.is_err();
    assert!(!late, "{} of {count} messages came", messages.len());
    messages
}

/// An invisible duration whose end a test can await, and within which a busy machine receives and settles its messages.
fn invisible(fixture: &BrokerFixture) -> Duration {
    fixture.invisible.max(Duration::from_secs(5))
}

/// Asserts that no message arrives for `length`.
async fn expect_silence(consumer: &StreamConsumer, length: Duration) {
    let began = Instant::now();
    let until = Instant::now() + length;
    while Instant::now() < until {
        let messages = consumer.receive(32).await.expect("received");
        assert!(
            messages.is_empty(),
            "{messages:?} redelivered after {:?}; {:?}",
            began.elapsed(),
            consumer.statistics()
        );
    }
}

async fn a_message_arrives_as_it_was_sent(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    let producer = fixture.producer();
    producer.warm_up().await.expect("warm");
    let record = FutureRecord::to(&fixture.topic)
        .payload("täxt \u{1F4E6}")
        .keys(["key-1", "key-2"])
        .tag("tag")
        .property("colour", "blue");
    let delivery = producer.send(record, PATIENCE).await.expect("delivered");
    assert_eq!(delivery.attempts, 1);
    let message = receive(&consumer, 1).await.remove(0);
    assert_eq!(text(&message), "täxt \u{1F4E6}");
    assert_eq!(message.message_id(), delivery.message_id);
    assert_eq!(message.keys(), ["key-1", "key-2"]);
    assert_eq!(message.tag(), Some("tag"));
    assert_eq!(message.property("colour"), Some("blue"));
    assert_eq!(message.topic(), fixture.topic);
    assert_eq!(message.delivery_attempt(), 1);
    assert!(message.born_at().is_some() && message.stored_at().is_some());
    assert!(!format!("{message:?}").contains("täxt"), "a body may hold personal data");
    message.ack().await.expect("acked");
}

async fn an_unsettled_message_is_redelivered(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    send(&fixture, ["lost".to_owned()]).await;
    let message = receive(&consumer, 1).await.remove(0);
    // As a process that was killed would leave it: neither settled nor given back.
    std::mem::forget(message);
    let again = receive(&consumer, 1).await.remove(0);
    assert_eq!((text(&again).as_str(), again.delivery_attempt()), ("lost", 2));
    again.ack().await.expect("acked");
    expect_silence(&consumer, fixture.invisible + Duration::from_secs(2)).await;
}

async fn a_nacked_message_is_redelivered_after_its_delay(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    send(&fixture, ["later".to_owned()]).await;
    let message = receive(&consumer, 1).await.remove(0);
    let delay = Duration::from_secs(2);
    let nacked_at = Instant::now();
    message.nack(delay).await.expect("nacked");
    let again = receive(&consumer, 1).await.remove(0);
    // The broker's clock ticks in seconds here and there.
    assert!(nacked_at.elapsed() >= delay - Duration::from_secs(1), "after {:?}", nacked_at.elapsed());
    assert_eq!(again.delivery_attempt(), 2);
    again.ack().await.expect("acked");
    assert_eq!(consumer.statistics().nacked, 1);
}

async fn a_dropped_message_is_nacked(fixture: BrokerFixture) {
    let consumer = fixture.new_consumer(|config| config.invisible_duration = Duration::from_secs(120)).await;
    consumer.initialize_offsets().await.expect("initialized");
    send(&fixture, ["dropped".to_owned()]).await;
    drop(receive(&consumer, 1).await);
    // Far sooner than the two minutes it would have been hidden for.
    let again = receive(&consumer, 1).await.remove(0);
    assert_eq!(again.delivery_attempt(), 2);
    again.ack().await.expect("acked");
}

async fn an_extended_message_stays_hidden_and_its_new_receipt_is_valid(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    send(&fixture, ["held".to_owned()]).await;
    let mut message = receive(&consumer, 1).await.remove(0);
    message.extend(fixture.invisible * 4).await.expect("extended");
    message.extend(fixture.invisible * 5).await.expect("extended again, by the new receipt");
    expect_silence(&consumer, fixture.invisible * 3 / 2).await;
    message.ack().await.expect("acked by the newest receipt");
}

async fn held_messages_stay_hidden(fixture: BrokerFixture) {
    fixture.consumer().await.close(PATIENCE).await;
    let invisible = invisible(&fixture);
    let consumer = fixture
        .new_consumer(|config| {
            config.invisible_duration = invisible;
            config.extend_max = Some(PATIENCE);
        })
        .await;
    send(&fixture, (0..20).map(|number| number.to_string())).await;
    let held = receive(&consumer, 20).await;
    if fixture.is_exact_about_extensions() {
        expect_silence(&consumer, invisible * 5 / 2).await;
    } else {
        tokio::time::sleep_until(Instant::now() + invisible * 5 / 2).await;
    }
    let statistics = consumer.statistics();
    assert!(statistics.extended >= 40 && statistics.extend_failures == 0, "{statistics:?}");
    for message in held {
        message.ack().await.expect("acked by the newest receipt");
    }
}

async fn acks_share_calls_and_are_durable(fixture: BrokerFixture) {
    let invisible = invisible(&fixture);
    let consumer = fixture.new_consumer(|config| config.invisible_duration = invisible).await;
    consumer.initialize_offsets().await.expect("initialized");
    send(&fixture, (0..300).map(|number| number.to_string())).await;
    let messages = receive(&consumer, 300).await;
    let acks = futures_util::future::join_all(messages.into_iter().map(Message::ack)).await;
    assert!(acks.iter().all(Result::is_ok), "{acks:?}");
    assert_eq!(consumer.statistics().acked, 300);
    expect_silence(&consumer, invisible * 3 / 2).await;
}

async fn messages_published_after_the_initialization_are_received(fixture: BrokerFixture) {
    let preparing = fixture.new_consumer(|_| ()).await;
    let initialized = preparing.initialize_offsets().await.expect("initialized");
    assert_eq!((initialized.queues, initialized.waiting), (QUEUES, 0));
    preparing.close(PATIENCE).await;
    // No consumer runs while these are published.
    send(&fixture, (0..100).map(|number| number.to_string())).await;
    let consumer = fixture.new_consumer(|config| config.invisible_duration = PATIENCE).await;
    let found: HashSet<_> = receive(&consumer, 100).await.iter().map(text).collect();
    assert_eq!(found.len(), 100);
}

async fn messages_on_added_queues_are_received(fixture: BrokerFixture) {
    let preparing = fixture.consumer().await;
    fixture.extend_topic(QUEUES * 2).await;
    let seen = async {
        loop {
            let initialized = preparing.initialize_offsets().await.expect("initialized");
            if initialized.queues == QUEUES * 2 {
                break;
            }
        }
    };
    timeout(PATIENCE, seen).await.expect("the new queues show");
    preparing.close(PATIENCE).await;
    send(&fixture, (0..200).map(|number| number.to_string())).await;
    let consumer = fixture.new_consumer(|_| ()).await;
    let messages = receive(&consumer, 200).await;
    let queues: HashSet<_> = messages.iter().map(|message| message.position().1).collect();
    assert_eq!(queues.len(), QUEUES * 2, "messages lie on the new queues too");
}

async fn a_second_initialization_nacks_waiting_messages(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    send(&fixture, (0..40).map(|number| number.to_string())).await;
    let initialized = consumer.initialize_offsets().await.expect("initialized");
    assert!(initialized.waiting > 0);
    let found: HashSet<_> = receive(&consumer, 40).await.iter().map(text).collect();
    assert_eq!(found.len(), 40);
}

async fn missing_topics_and_groups_are_errors(fixture: BrokerFixture) {
    let producer = fixture.producer();
    let (error, record) = producer
        .send(FutureRecord::to("no_such_topic").payload("x"), PATIENCE)
        .await
        .expect_err("no such topic");
    let SendError::Delivery { attempts: 1, error } = error else { panic!("{error:?}: tried again in vain") };
    assert_eq!(error.code(), Some(Code::TOPIC_NOT_FOUND), "{error}");
    assert_eq!(record.topic(), "no_such_topic", "the error returns the record");
    let mut config = ConsumerConfig::new("no_such_group", [&fixture.topic]);
    config.invisible_duration = fixture.invisible;
    let refused = match StreamConsumer::connect(fixture.client.clone(), config, DefaultContext).await {
        Ok(consumer) => consumer.receive(1).await.map(drop).expect_err("no such group"),
        Err(error) => error,
    };
    assert!(!refused.is_retryable() && refused.code().is_some(), "{refused:?}");
}

async fn a_wrong_signature_is_rejected(fixture: BrokerFixture) {
    let Some(credentials) = fixture.client.credentials.as_ref().and_then(CredentialsSource::current) else {
        println!("skipped: this broker checks no signatures");
        return;
    };
    let mut unsigned = fixture.client.clone();
    unsigned.credentials = None;
    let mut wrong = fixture.client.clone();
    let wrong_key = Credentials { secret_key: "not the secret".to_owned(), ..credentials };
    wrong.credentials = Some(wrong_key.into());
    for client in [unsigned, wrong] {
        let config = spillway_rocketmq::ProducerConfig::default();
        let producer =
            spillway_rocketmq::FutureProducer::new(client, config, DefaultContext).expect("a producer");
        let (error, _record) = producer
            .send(FutureRecord::to(&fixture.topic).payload("x"), PATIENCE)
            .await
            .expect_err("the signature is not right");
        let SendError::Delivery { attempts: 1, error } = error else {
            panic!("{error:?}: tried again in vain")
        };
        assert_eq!(error.code(), Some(Code::UNAUTHORIZED), "{error}");
    }
}

async fn a_full_queue_returns_the_record(fixture: BrokerFixture) {
    let producer = fixture.producer_with(|config| {
        config.queue_messages_max = 1.try_into().expect("not zero");
    });
    producer.warm_up().await.expect("warm");
    // A busy machine may deliver a message before the test enqueues the next, so the test enqueues until there is no room.
    let mut deliveries = Vec::new();
    let (error, record) = loop {
        assert!(deliveries.len() < 1_000, "the queue has never been full");
        let record = FutureRecord::to(&fixture.topic).payload(deliveries.len().to_string());
        match producer.send_result(record) {
            Ok(delivery) => deliveries.push(delivery),
            Err(undelivered) => break undelivered,
        }
    };
    assert_eq!(error, SendError::QueueFull);
    assert_eq!(record.payload_bytes().as_ref(), deliveries.len().to_string().as_bytes());
    for delivery in deliveries {
        delivery.await.expect("delivered");
    }
    producer.send(*record, PATIENCE).await.expect("there is room again");
    let (error, _record) = producer
        .send_result(FutureRecord::to(&fixture.topic).payload(vec![0; 5 << 20]))
        .expect_err("too large");
    assert!(matches!(error, SendError::TooLarge { .. }), "{error:?}");
}

async fn a_flush_waits_for_every_delivery(fixture: BrokerFixture) {
    let producer = fixture.producer();
    let deliveries: Vec<_> = (0..200)
        .map(|number| {
            producer.send_result(FutureRecord::to(&fixture.topic).payload(number.to_string())).expect("room")
        })
        .collect();
    assert!(producer.flush(PATIENCE).await);
    assert_eq!((producer.queued(), producer.statistics().sent), (0, 200));
    for delivery in deliveries {
        delivery.await.expect("delivered");
    }
}

async fn many_senders_lose_and_duplicate_nothing(fixture: BrokerFixture) {
    const MESSAGES: usize = 2_000;
    fixture.consumer().await.close(PATIENCE).await;
    // On a busy machine an ack can take more than the minimum.
    let consumer = fixture.new_consumer(|config| config.invisible_duration = PATIENCE).await;
    let sending = send(&fixture, (0..MESSAGES).map(|number| number.to_string()));
    let receiving = async {
        let mut found: HashMap<String, usize> = HashMap::new();
        while found.len() < MESSAGES {
            let messages = consumer.receive(32).await.expect("received");
            for message in &messages {
                *found.entry(text(message)).or_default() += 1;
            }
            for acked in futures_util::future::join_all(messages.into_iter().map(Message::ack)).await {
                acked.expect("acked");
            }
        }
        found
    };
    let (found, ()) = timeout(PATIENCE, async { tokio::join!(receiving, sending) }).await.expect("in time");
    assert!(found.values().all(|times| *times == 1));
}

async fn the_stream_returns_every_message(fixture: BrokerFixture) {
    let consumer = fixture.new_consumer(|config| config.invisible_duration = PATIENCE).await;
    consumer.initialize_offsets().await.expect("initialized");
    send(&fixture, (0..150).map(|number| number.to_string())).await;
    let messages: Vec<_> = timeout(PATIENCE, consumer.stream().take(150).collect()).await.expect("in time");
    let found: HashSet<_> = messages.iter().map(text).collect();
    assert_eq!(found.len(), 150);
    for message in messages {
        message.ack().await.expect("acked");
    }
    assert!(consumer.close(PATIENCE).await);
    assert!(consumer.stream().next().await.is_none(), "a closed consumer's stream ends");
}

async fn a_closed_client_returns_closed(fixture: BrokerFixture) {
    let consumer = fixture.consumer().await;
    send(&fixture, ["held".to_owned()]).await;
    let message = receive(&consumer, 1).await.remove(0);
    consumer.close(Duration::MAX).await;
    assert_eq!(consumer.receive(1).await.map(drop), Err(ClientError::Closed));
    assert_eq!(message.ack().await, Err(SettleError::Client(ClientError::Closed)));
    let producer = fixture.producer();
    producer.close(PATIENCE).await;
    let (error, _record) =
        producer.send_result(FutureRecord::to(&fixture.topic).payload("x")).expect_err("closed");
    assert_eq!(error, SendError::Closed);
}
