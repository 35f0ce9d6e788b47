//! A RocketMQ client that sends or receives without end. It prints the number of messages so far for each line that it reads.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use shared::rocketmq::{
    ClientConfig, ConsumerConfig, Credentials, DefaultContext, FutureProducer, FutureRecord, ProducerConfig,
    StreamConsumer,
};
use tokio::task::JoinSet;

use crate::minimal_client::{MinimalConsumer, MinimalProducer};

const BODY: Bytes = Bytes::from_static(&[b'x'; 300]);
const SEND_BOUND: Duration = Duration::from_secs(30);
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientWork {
    Send,
    /// Receive one message a call, and ack it.
    Receive,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum RustClient {
    Spillway,
    /// The bare gRPC calls.
    Bare,
}

/// The access key and the secret are in the environment, which other users of the machine cannot read.
#[derive(Debug, clap::Args)]
pub(crate) struct ClientLoadArgs {
    #[arg(long)]
    client: RustClient,
    #[arg(long)]
    work: ClientWork,
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    topic: String,
    #[arg(long)]
    group: String,
    #[arg(long)]
    concurrency: usize,
    #[arg(long, env = "SPILLWAY_BENCH_ACCESS_KEY", hide_env_values = true)]
    access_key: Option<String>,
    #[arg(long, env = "SPILLWAY_BENCH_SECRET_KEY", hide_env_values = true)]
    secret_key: Option<String>,
}

#[tokio::main(worker_threads = 2)]
pub(super) async fn run(args: ClientLoadArgs) -> anyhow::Result<()> {
    let ClientLoadArgs { client, work, endpoint, topic, group, concurrency, access_key, secret_key } = args;
    let mut config = ClientConfig::new(endpoint.parse()?);
    config.credentials = access_key
        .zip(secret_key)
        .map(|(access_key, secret_key)| Credentials { access_key, secret_key, session_token: None }.into());
    let count = Arc::new(AtomicU64::new(0));
    let mut loops = JoinSet::new();
    match (client, work) {
        (RustClient::Spillway, ClientWork::Send) => {
            let settings = ProducerConfig { topics: vec![topic.clone()], ..ProducerConfig::default() };
            let producer = FutureProducer::new(config, settings, DefaultContext)?;
            producer.warm_up().await?;
            for _ in 0..concurrency {
                let (producer, topic, count) = (producer.clone(), topic.clone(), count.clone());
                loops.spawn(async move {
                    loop {
                        let record = FutureRecord::to(&topic).payload(BODY);
                        producer.send(record, SEND_BOUND).await.map_err(|(error, _record)| error)?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
        (RustClient::Bare, ClientWork::Send) => {
            let producer = Arc::new(MinimalProducer::connect(&config, &topic).await?);
            for _ in 0..concurrency {
                let (producer, count) = (producer.clone(), count.clone());
                loops.spawn(async move {
                    loop {
                        producer.send(BODY).await?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
        (RustClient::Spillway, ClientWork::Receive) => {
            let consumer =
                StreamConsumer::connect(config, ConsumerConfig::new(&group, [&topic]), DefaultContext)
                    .await?;
            for _ in 0..concurrency {
                let (consumer, count) = (consumer.clone(), count.clone());
                loops.spawn(async move {
                    loop {
                        for message in consumer.receive(1).await? {
                            message.ack().await?;
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        }
        (RustClient::Bare, ClientWork::Receive) => {
            let consumer = Arc::new(MinimalConsumer::connect(&config, &topic, &group).await?);
            for _ in 0..concurrency {
                let (consumer, count) = (consumer.clone(), count.clone());
                loops.spawn(async move {
                    loop {
                        count.fetch_add(consumer.receive_and_ack(1).await? as u64, Ordering::Relaxed);
                    }
                });
            }
            loops.spawn(async move {
                loop {
                    tokio::time::sleep(HEARTBEAT_INTERVAL).await;
                    consumer.heartbeat().await?;
                }
            });
        }
    }
    let reports = tokio::task::spawn_blocking(move || report(&count));
    tokio::select! {
        ended = loops.join_next() => ended.context("no loop runs")??,
        reported = reports => reported?,
    }
}

/// Ends with standard input.
fn report(count: &AtomicU64) -> anyhow::Result<()> {
    for line in std::io::stdin().lock().lines() {
        line?;
        let mut output = std::io::stdout().lock();
        writeln!(output, "{}", count.load(Ordering::Relaxed))?;
        output.flush()?;
    }
    Ok(())
}
