//! Cases for the real broker only. The stack is shared, so they run in a process of their own (the
//! `broker_restart` filter of `.ci/run`), not beside the other cases.

use std::collections::HashSet;
use std::time::Duration;

use spillway_rocketmq::{FutureRecord, MessageFilter};
use tokio::time::timeout;

use crate::brokers::{self, stack_call};
use crate::cases::{receive, text};

const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_consumer_filters_by_sql() {
    let Some(fixture) = brokers::real("sql").await else { return };
    fixture.consumer().await.close(PATIENCE).await;
    let filter = MessageFilter::sql("colour = 'blue' AND size > 3");
    let consumer = fixture.new_consumer(|config| config.filter = filter).await;
    let producer = fixture.producer();
    for (body, colour, size) in [("red 5", "red", "5"), ("blue 2", "blue", "2"), ("blue 4", "blue", "4")] {
        let record = FutureRecord::to(&fixture.topic).payload(body);
        let record = record.property("colour", colour).property("size", size);
        producer.send(record, PATIENCE).await.expect("delivered");
    }
    let message = receive(&consumer, 1).await.remove(0);
    assert_eq!(text(&message), "blue 4");
    message.ack().await.expect("acked");
    assert!(consumer.receive(32).await.expect("received").is_empty());
}

/// Runs only with `SPILLWAY_TEST_DISRUPTIVE`: it disturbs every other test of the stack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_restart_loses_nothing_and_the_clients_recover() {
    if std::env::var_os("SPILLWAY_TEST_DISRUPTIVE").is_none() {
        println!("skipped: SPILLWAY_TEST_DISRUPTIVE is not set");
        return;
    }
    let Some(fixture) = brokers::real("restart").await else { return };
    let consumer = fixture.consumer().await;
    let producer = fixture.producer_with(|config| config.delivery_timeout = Duration::from_secs(60));
    let mut expected = HashSet::new();
    let mut found = HashSet::new();
    for round in 0..2 {
        for number in 0..200 {
            let body = format!("{round}-{number}");
            producer
                .send(FutureRecord::to(&fixture.topic).payload(body.clone()), PATIENCE)
                .await
                .expect("delivered");
            expected.insert(body);
        }
        if round == 0 {
            stack_call(fixture.stack(), &["kill", "broker"]).await;
            stack_call(fixture.stack(), &["start", "broker"]).await;
        }
    }
    let receiving = async {
        while !found.is_superset(&expected) {
            for message in consumer.receive(32).await.unwrap_or_default() {
                found.insert(String::from_utf8(message.payload().to_vec()).expect("text"));
                let _comes_again = message.ack().await;
            }
        }
    };
    let late = timeout(PATIENCE, receiving).await.is_err();
    assert!(!late, "{} messages missing", expected.difference(&found).count());
}
