//! Receives and acks messages:
//!
//! `cargo run -p spillway-rocketmq --example consumer -- 127.0.0.1:8081 drain orders 1`

use std::error::Error;
use std::time::Duration;

use spillway_rocketmq::{ClientConfig, ConsumerConfig, DefaultContext, Message, StreamConsumer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoints, group, topic, count] = arguments.as_slice() else {
        return Err("usage: consumer HOST:PORT[;HOST:PORT…] GROUP TOPIC COUNT".into());
    };
    for payload in receive(endpoints, group, topic, count.parse()?).await? {
        println!("{}", String::from_utf8_lossy(&payload));
    }
    Ok(())
}

pub(crate) async fn receive(
    endpoints: &str,
    group: &str,
    topic: &str,
    count: usize,
) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let client = ClientConfig::new(endpoints.parse()?);
    let consumer =
        StreamConsumer::connect(client, ConsumerConfig::new(group, [topic]), DefaultContext).await?;
    let mut payloads = Vec::new();
    while payloads.len() < count {
        let message = consumer.recv().await?;
        payloads.push(work_on(&message));
        // Acked after the work, so that a crash in between redelivers the message.
        message.ack().await?;
    }
    consumer.close(Duration::from_secs(5)).await;
    Ok(payloads)
}

fn work_on(message: &Message) -> Vec<u8> {
    message.payload().to_vec()
}
