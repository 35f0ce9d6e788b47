//! Memory of a consumer over many messages. The broker runs in a process of its own, this one again, because its memory is not
//! the client's.
//!
//! `cargo test --locked -p spillway-rocketmq --test memory -- --ignored --nocapture` (`.ci/long memory`).

#![allow(clippy::expect_used, reason = "a test says what it expects")]

use std::process::Stdio;
use std::time::Duration;

use spillway_broker::{Broker, BrokerConfig, TopicConfig};
use spillway_rocketmq::{
    ClientConfig, ConsumerConfig, DefaultContext, FutureProducer, FutureRecord, ProducerConfig,
    StreamConsumer,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

const TOPIC: &str = "orders";
const GROUP: &str = "drain";
const DIRECTORY: &str = "SPILLWAY_TEST_MEMORY_DIRECTORY";

/// Messages sent before they are received.
const CHUNK: usize = 1_000;
const FEW: usize = 10_000;
const MANY: usize = 1_000_000;

#[tokio::test]
#[ignore = "serves the other test, in another process"]
async fn serve_a_broker() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let mut config = BrokerConfig::at(directory);
    config.topics = vec![TopicConfig::new(TOPIC, 4)];
    config.groups = vec![GROUP.to_owned()];
    config.long_polling_min = Duration::from_millis(100);
    let broker = Broker::open(config).await.expect("the broker opens");
    println!("\nlistening {}", broker.local_addr());
    // The parent ends it.
    let _end = tokio::io::stdin().read(&mut [0]).await;
}

/// Resident bytes of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

async fn send_and_ack(producer: &FutureProducer, consumer: &StreamConsumer, count: usize) {
    for _ in 0..count / CHUNK {
        let sends: Vec<_> = (0..CHUNK)
            .map(|_| producer.send_result(FutureRecord::to(TOPIC).payload("x")).expect("room"))
            .collect();
        for sent in sends {
            sent.await.expect("delivered");
        }
        let mut acked = 0;
        while acked < CHUNK {
            let messages = consumer.receive(32).await.expect("received");
            acked += messages.len();
            for result in consumer.ack_all(messages).await {
                result.expect("acked");
            }
        }
    }
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn acked_messages_leave_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(std::env::current_exe().expect("this file"))
        .args(["--ignored", "--exact", "serve_a_broker", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let address: std::net::SocketAddr = loop {
        let line = lines.next_line().await.expect("a pipe").expect("an address");
        if let Some(address) = line.strip_prefix("listening ") {
            break address.parse().expect("an address");
        }
    };
    let client = ClientConfig::new(address.into());
    let producer =
        FutureProducer::new(client.clone(), ProducerConfig::default(), DefaultContext).expect("a producer");
    let mut config = ConsumerConfig::new(GROUP, [TOPIC]);
    // The longest that Apache's broker accepts: a round of extensions comes every two hours.
    config.invisible_duration = Duration::from_secs(12 * 60 * 60);
    let consumer = StreamConsumer::connect(client, config, DefaultContext).await.expect("connected");
    consumer.initialize_offsets().await.expect("initialized");
    send_and_ack(&producer, &consumer, FEW).await;
    let few = resident_kib();
    send_and_ack(&producer, &consumer, MANY - FEW).await;
    let many = resident_kib();
    println!("{few} KiB after {FEW} acked messages, {many} KiB after {MANY}");
    assert!(many * 10 <= few * 11, "{few} KiB became {many} KiB");
}
