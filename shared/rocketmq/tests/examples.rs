//! Runs the examples against the embedded broker.

#![allow(clippy::expect_used, reason = "a test says what it expects")]
#![allow(dead_code, reason = "the examples' own main functions")]

use std::time::Duration;

use spillway_broker::{Broker, BrokerConfig, TopicConfig};
use spillway_rocketmq::{ClientConfig, ConsumerConfig, DefaultContext, StreamConsumer};

#[path = "../examples/consumer.rs"]
mod consumer;
#[path = "../examples/producer.rs"]
mod producer;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_consumer_receives_what_the_producer_sends() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = BrokerConfig::at(directory.path());
    config.topics = vec![TopicConfig::new("orders", 4)];
    config.groups = vec!["drain".to_owned()];
    config.long_polling_min = Duration::from_millis(100);
    let broker = Broker::open(config).await.expect("the broker opens");
    let mut config = ConsumerConfig::new("drain", ["orders"]);
    config.long_polling_timeout = Duration::from_millis(100);
    let first =
        StreamConsumer::connect(ClientConfig::new(broker.local_addr().into()), config, DefaultContext);
    first.await.expect("connects").initialize_offsets().await.expect("initialized");

    let endpoints = broker.local_addr().to_string();
    let delivery = producer::send(&endpoints, "orders", "hello").await.expect("delivered");
    assert_eq!(delivery.attempts, 1);
    let receiving = consumer::receive(&endpoints, "drain", "orders", 1);
    let payloads = tokio::time::timeout(PATIENCE, receiving).await.expect("in time").expect("received");
    assert_eq!(payloads, [b"hello"]);
    let stats = broker.stats().await.expect("the broker runs");
    let group = stats.group("orders", "drain").expect("the group");
    assert_eq!((group.ready, group.in_flight), (0, 0), "acked");
}
