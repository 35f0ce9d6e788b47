//! Sends a message:
//!
//! `cargo run -p spillway-rocketmq --example producer -- 127.0.0.1:8081 orders hello`

use std::error::Error;
use std::time::Duration;

use spillway_rocketmq::{
    ClientConfig, DefaultContext, Delivery, FutureProducer, FutureRecord, ProducerConfig,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoints, topic, payload] = arguments.as_slice() else {
        return Err("usage: producer HOST:PORT[;HOST:PORT…] TOPIC PAYLOAD".into());
    };
    let delivery = send(endpoints, topic, payload).await?;
    println!("message {} at offset {}", delivery.message_id, delivery.queue_offset);
    Ok(())
}

pub(crate) async fn send(endpoints: &str, topic: &str, payload: &str) -> Result<Delivery, Box<dyn Error>> {
    let client = ClientConfig::new(endpoints.parse()?);
    let config = ProducerConfig { topics: vec![topic.to_owned()], ..ProducerConfig::default() };
    let producer = FutureProducer::new(client, config, DefaultContext)?;
    // Fails now if the topic or its type is wrong, not at the first message.
    producer.warm_up().await?;
    let record = FutureRecord::to(topic).payload(payload.to_owned()).key("example-1");
    let delivery = producer.send(record, Duration::from_secs(1)).await.map_err(|(error, _record)| error)?;
    producer.close(Duration::from_secs(5)).await;
    Ok(delivery)
}
