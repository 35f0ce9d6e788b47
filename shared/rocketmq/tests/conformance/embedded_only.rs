//! Faults that only the embedded broker can script.

use std::collections::HashSet;
use std::time::Duration;

use spillway_broker::{Broker, FailAt};
use spillway_rocketmq::protocol::Code;
use spillway_rocketmq::{ClientConfig, ClientError, FutureRecord, MessageFilter, SendError};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::brokers::{self, BrokerFixture, credentials, embedded_config};
use crate::cases::{receive, send};
use crate::loopback::free_loopback_address;

const PATIENCE: Duration = Duration::from_secs(30);

fn record(fixture: &BrokerFixture) -> FutureRecord {
    FutureRecord::to(&fixture.topic).payload("x")
}

#[tokio::test]
async fn throttling_has_its_own_error() {
    let fixture = brokers::embedded().await;
    fixture.embedded_broker().faults().throttle_all_sends(true);
    let producer = fixture.producer_with(|config| config.retry.attempts_max = 3);
    let (error, _record) = producer.send(record(&fixture), PATIENCE).await.expect_err("throttled");
    assert!(error.is_throttled(), "{error:?}");
    assert!(matches!(error, SendError::Delivery { attempts: 3, .. }), "{error:?}");
    assert_eq!(producer.statistics().throttled, 3);
}

#[tokio::test]
async fn transient_failures_are_retried() {
    let fixture = brokers::embedded().await;
    let producer = fixture.producer();
    fixture.embedded_broker().faults().throttle_sends(1);
    assert_eq!(producer.send(record(&fixture), PATIENCE).await.expect("delivered").attempts, 2);
    fixture.embedded_broker().faults().fail_send(1, FailAt::Before);
    assert_eq!(producer.send(record(&fixture), PATIENCE).await.expect("delivered").attempts, 2);
    fixture.embedded_broker().faults().drop_connections();
    producer.send(record(&fixture), PATIENCE).await.expect("delivered over a new connection");
}

#[tokio::test]
async fn a_lost_response_duplicates_the_message_under_one_id() {
    let fixture = brokers::embedded().await;
    let consumer = fixture.consumer().await;
    let producer = fixture.producer();
    fixture.embedded_broker().faults().fail_send(1, FailAt::After);
    let delivery = producer.send(record(&fixture), PATIENCE).await.expect("delivered");
    assert_eq!(delivery.attempts, 2);
    let ids: HashSet<_> =
        receive(&consumer, 2).await.iter().map(|message| message.message_id().to_owned()).collect();
    assert_eq!(ids, HashSet::from([delivery.message_id]));
}

#[tokio::test]
async fn a_dead_connection_is_replaced_within_the_deadline() {
    let mut fixture = brokers::embedded().await;
    fixture.client.request_timeout = Duration::from_millis(300);
    let producer = fixture.producer();
    producer.warm_up().await.expect("warm");
    // Answers no more on what is open, as after a silent network failure; new calls are answered again later.
    fixture.embedded_broker().faults().stall_for(Duration::from_millis(700));
    let began = Instant::now();
    let delivery = producer.send(record(&fixture), PATIENCE).await.expect("delivered");
    assert!(delivery.attempts > 1 && began.elapsed() < Duration::from_secs(3), "{delivery:?}");
}

#[tokio::test]
async fn a_silent_broker_ends_in_a_timeout_under_the_deadline() {
    let mut fixture = brokers::embedded().await;
    fixture.client.request_timeout = Duration::from_millis(200);
    let producer = fixture.producer_with(|config| config.delivery_timeout = Duration::from_millis(700));
    producer.warm_up().await.expect("warm");
    fixture.embedded_broker().faults().stall();
    let began = Instant::now();
    let (error, _record) = producer.send(record(&fixture), PATIENCE).await.expect_err("no answer");
    assert!(matches!(error, SendError::Delivery { error: ClientError::Timeout { .. }, .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    fixture.embedded_broker().faults().resume();
}

#[tokio::test]
async fn a_lost_session_is_reopened() {
    let fixture = brokers::embedded().await;
    let consumer = fixture.consumer().await;
    send(&fixture, ["x".to_owned()]).await;
    fixture.embedded_broker().faults().forget_settings();
    // The first receive fails, the next one reopens the session.
    let messages = timeout(PATIENCE, async {
        loop {
            match consumer.receive(1).await {
                Ok(messages) if !messages.is_empty() => break messages,
                Ok(_) | Err(_) => {}
            }
        }
    })
    .await
    .expect("received again");
    assert_eq!(messages.len(), 1);
    assert!(consumer.statistics().sessions >= 2);
}

#[tokio::test]
async fn a_filter_by_sql_is_refused_at_once() {
    let fixture = brokers::embedded().await;
    let consumer = fixture.new_consumer(|config| config.filter = MessageFilter::sql("size > 3")).await;
    let refused = consumer.receive(1).await.map(drop).expect_err("not supported");
    assert_eq!(refused.code(), Some(Code::NOT_IMPLEMENTED), "{refused}");
    assert!(!refused.is_retryable(), "{refused}");
}

#[tokio::test]
async fn an_ack_is_retried_while_the_receipt_is_valid() {
    let fixture = brokers::embedded().await;
    let consumer = fixture.new_consumer(|config| config.invisible_duration = Duration::from_secs(30)).await;
    consumer.initialize_offsets().await.expect("initialized");
    send(&fixture, ["x".to_owned()]).await;
    let message = receive(&consumer, 1).await.remove(0);
    fixture.embedded_broker().faults().fail_ack(1, FailAt::Before);
    fixture.embedded_broker().faults().fail_ack(2, FailAt::After);
    message.ack().await.expect("acked in the end");
}

#[tokio::test]
async fn a_killed_and_restarted_broker_lost_nothing() {
    let directory = TempDir::new().expect("a directory");
    let mut config = embedded_config(&directory);
    // No outgoing connection gets the port while the broker is down.
    config.listen = free_loopback_address().expect("a free port");
    let broker = Broker::open(config.clone()).await.expect("opens");
    let mut client = ClientConfig::new(config.listen.into());
    client.credentials = Some(credentials().into());
    client.request_timeout = Duration::from_millis(500);

    let mut fixture = brokers::embedded().await;
    fixture.client = client;
    let consumer = fixture.consumer().await;
    let producer = fixture.producer();
    for number in 0..50 {
        producer
            .send(FutureRecord::to(&fixture.topic).payload(format!("before {number}")), PATIENCE)
            .await
            .expect("delivered");
    }
    broker.abort().await.expect("aborted");
    let down =
        producer.send_result(FutureRecord::to(&fixture.topic).payload("while it is down")).expect("room");
    let broker = Broker::open(config).await.expect("opens again");
    let mut expected: HashSet<_> = (0..50).map(|number| format!("before {number}")).collect();
    if down.await.is_ok() {
        expected.insert("while it is down".to_owned());
    }
    producer.send(FutureRecord::to(&fixture.topic).payload("after"), PATIENCE).await.expect("delivered");
    expected.insert("after".to_owned());

    let mut found = HashSet::new();
    let receiving = async {
        while found.len() < expected.len() {
            // The first receives may meet the broken connection.
            for message in consumer.receive(32).await.unwrap_or_default() {
                found.insert(String::from_utf8(message.payload().to_vec()).expect("text"));
                let _comes_again = message.ack().await;
            }
        }
    };
    let late = timeout(PATIENCE, receiving).await.is_err();
    assert!(!late && found.is_superset(&expected), "{:?} missing", expected.difference(&found));
    broker.shutdown().await.expect("stopped");
}
