//! `loadtest-bench receive`: messages that the drain's consumer receives and acks, beside the broker's maximum.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::value_parser;
use drain_worker::tune::Orders;
use futures_util::future::join_all;
use loadtest::environment::{Environment, Stack};
use loadtest::run::Interrupts;
use serde::Serialize;
use shared::envelope::{EncodedOrder, decode_batch, encode_batch};
use shared::rocketmq::{
    ConsumerConfig, DefaultContext, FutureProducer, FutureRecord, ProducerConfig, StreamConsumer,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::harness::{Conditions, Spread, Table, rounds, write_json};
use crate::minimal_client::MinimalConsumer;

/// Maximum time to receive a window's messages.
const WINDOW_BOUND: Duration = Duration::from_secs(120);

const SEND_BOUND: Duration = Duration::from_secs(30);

const CLOSE_BOUND: Duration = Duration::from_secs(5);

/// Sends under way while a window's messages are published.
const SENDS_MAX: u32 = 1_000;

/// Measure the messages that the drain's consumer receives and acks, beside the broker's maximum
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  loadtest-bench receive                                         # the embedded broker
  eval \"$(infra/local/stack env)\"; loadtest-bench receive        # the real broker as well

The maximum is the best result of a minimal client over the numbers of concurrent receives. The exit code is 0 for any
result.")]
pub(crate) struct ReceiveArgs {
    /// Messages of one measurement
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = value_parser!(u32).range(1_000..=500_000))]
    messages: u32,
    /// Orders in each message
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = value_parser!(u32).range(1..=500))]
    orders: u32,
    /// Concurrent receives to measure with
    #[arg(long, value_name = "COUNT,…", value_delimiter = ',', default_value = "4,8,16,32",
          value_parser = value_parser!(u32).range(1..=64))]
    receives: Vec<u32>,
    /// Rounds to play
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Receiver {
    /// A minimal client, which does not decode messages.
    Minimal,
    /// The drain's consumer; messages are decoded to orders.
    Drain,
}

impl Receiver {
    const fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal client",
            Self::Drain => "drain",
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
struct ReceiveWindow {
    broker: &'static str,
    receiver: Receiver,
    receives: u32,
    messages_per_s: f64,
}

#[derive(Debug, Serialize)]
struct ReceiveResults {
    #[serde(flatten)]
    conditions: Conditions,
    messages: u32,
    orders: u32,
    windows: Vec<ReceiveWindow>,
}

pub(crate) async fn run(args: ReceiveArgs) -> anyhow::Result<ExitCode> {
    let interrupts = Interrupts::listen()?;
    let mut stacks = vec![("embedded", Stack::Embedded)];
    if std::env::var_os("SPILLWAY_TEST_ROCKETMQ_ENDPOINT").is_some() {
        stacks.push(("real", Stack::Real { proxy: false }));
    } else {
        println!("real: skipped: run infra/local/stack up && eval \"$(infra/local/stack env)\"");
    }
    let (messages, orders) = (args.messages, args.orders);
    let mut results = ReceiveResults { conditions: Conditions::now(), messages, orders, windows: Vec::new() };
    for (broker, stack) in stacks {
        let environment = Environment::start(stack, "bench").await?;
        let measured = measure(&args, broker, &environment, &interrupts, &mut results.windows).await;
        environment.stop(false).await?;
        measured?;
    }
    print_results(&results);
    write_json(args.output.as_deref(), &results)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    args: &ReceiveArgs,
    broker: &'static str,
    environment: &Environment,
    interrupts: &Interrupts,
    windows: &mut Vec<ReceiveWindow>,
) -> anyhow::Result<()> {
    let (client, topic) = (&environment.client, &environment.topic);
    let mut config = ConsumerConfig::new(&environment.group, [topic]);
    config.long_polling_timeout = Duration::from_secs(5);
    let consumer = StreamConsumer::connect(client.clone(), config, DefaultContext).await?;
    consumer.initialize_offsets().await?;
    let config = ProducerConfig { topics: vec![topic.clone()], ..ProducerConfig::default() };
    let producer = FutureProducer::new(client.clone(), config, DefaultContext)?;
    producer.warm_up().await?;
    let minimal = Arc::new(MinimalConsumer::connect(client, topic, &environment.group).await?);
    let payload = payload(args.orders)?;
    let subjects: Vec<_> = args
        .receives
        .iter()
        .flat_map(|receives| [Receiver::Minimal, Receiver::Drain].map(|receiver| (receiver, *receives)))
        .collect();
    for (round, (receiver, receives)) in rounds(args.rounds, &subjects) {
        if interrupts.count() > 0 {
            break;
        }
        minimal.heartbeat().await?;
        publish(&producer, topic, &payload, args.messages).await?;
        let elapsed = match receiver {
            Receiver::Minimal => {
                let minimal = minimal.clone();
                receive_all(args.messages, receives, move || {
                    let minimal = minimal.clone();
                    async move { minimal.receive_and_ack(32).await }
                })
                .await?
            }
            Receiver::Drain => {
                let (consumer, orders) = (consumer.clone(), args.orders as usize);
                receive_all(args.messages, receives, move || drain_receive(consumer.clone(), orders)).await?
            }
        };
        let messages_per_s = f64::from(args.messages) / elapsed.as_secs_f64();
        let name = receiver.name();
        println!("round {round}: {broker}, {name}, {receives} receives: {messages_per_s:.0} messages/s");
        windows.push(ReceiveWindow { broker, receiver, receives, messages_per_s });
    }
    producer.close(CLOSE_BOUND).await;
    consumer.close(CLOSE_BOUND).await;
    Ok(())
}

/// A message with `orders` orders.
fn payload(orders: u32) -> anyhow::Result<bytes::Bytes> {
    let orders = Orders::over(64)?.batch(0..u64::from(orders))?;
    let encoded: Vec<_> = orders.iter().map(EncodedOrder::new).collect();
    Ok(encode_batch(encoded.iter()))
}

async fn publish(
    producer: &FutureProducer,
    topic: &str,
    payload: &bytes::Bytes,
    messages: u32,
) -> anyhow::Result<()> {
    let mut left = messages;
    while left > 0 {
        let count = left.min(SENDS_MAX);
        let sends =
            (0..count).map(|_| producer.send(FutureRecord::to(topic).payload(payload.clone()), SEND_BOUND));
        for sent in join_all(sends).await {
            sent.map_err(|(error, _record)| error)?;
        }
        left -= count;
    }
    Ok(())
}

/// One receive of the drain: decode, then ack. The client batches acks of the same moment into one call.
async fn drain_receive(consumer: StreamConsumer, orders: usize) -> anyhow::Result<usize> {
    let messages = consumer.receive(32).await?;
    let count = messages.len();
    for message in &messages {
        ensure!(
            decode_batch(message.payload())?.len() == orders,
            "a message has other orders than were sent"
        );
    }
    for acked in join_all(messages.into_iter().map(shared::rocketmq::Message::ack)).await {
        acked?;
    }
    Ok(count)
}

/// Runs `receives` concurrent loops until `messages` were received; returns the time until the last one.
async fn receive_all<F>(
    messages: u32,
    receives: u32,
    receive: impl Fn() -> F + Clone + Send + 'static,
) -> anyhow::Result<Duration>
where
    F: Future<Output = anyhow::Result<usize>> + Send + 'static,
{
    let received = Arc::new(AtomicU64::new(0));
    let (done, elapsed) = (tokio_util::sync::CancellationToken::new(), Arc::new(OnceLock::new()));
    let started = Instant::now();
    let mut loops = JoinSet::new();
    for _ in 0..receives {
        let (received, done, elapsed, receive) =
            (received.clone(), done.clone(), elapsed.clone(), receive.clone());
        loops.spawn(async move {
            while !done.is_cancelled() {
                // Not cancelled: an abandoned long poll would receive messages of the next window.
                let count = receive().await? as u64;
                if received.fetch_add(count, Ordering::Relaxed) + count >= u64::from(messages) {
                    // Set by the first loop: the other loops' last receives wait in vain, and do not count.
                    elapsed.get_or_init(|| started.elapsed());
                    done.cancel();
                }
            }
            anyhow::Ok(())
        });
    }
    let ended = async {
        while let Some(ended) = loops.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    let ended = timeout(WINDOW_BOUND, ended).await.with_context(|| {
        format!(
            "{} of {messages} messages received within {WINDOW_BOUND:?}",
            received.load(Ordering::Relaxed)
        )
    })?;
    ended?;
    elapsed.get().copied().context("the receives ended before all messages arrived")
}

fn print_results(results: &ReceiveResults) {
    let mut windows: BTreeMap<(&str, Receiver, u32), Vec<f64>> = BTreeMap::new();
    for window in &results.windows {
        let rates = windows.entry((window.broker, window.receiver, window.receives)).or_default();
        rates.push(window.messages_per_s);
    }
    let rates: BTreeMap<_, _> = windows
        .into_iter()
        .filter_map(|(key, rates)| Some((key, Spread::compute(rates.into_iter())?)))
        .collect();
    let ReceiveResults { conditions, messages, orders, .. } = results;
    println!(
        "\n{conditions}, client and broker on the same processors; medians, {messages} messages of {orders} orders"
    );
    let row = |((broker, receiver, receives), rate): (&(&str, Receiver, u32), &Spread)| {
        let orders_per_s = format!("{:.0}", rate.median * f64::from(*orders));
        let subject = format!("{broker}, {}", receiver.name());
        (subject, vec![receives.to_string(), Spread::cell(Some(*rate), 0), orders_per_s])
    };
    let heads = ["receives", "messages/s", "orders/s"].map(str::to_owned).to_vec();
    println!("{}", Table { heads, rows: rates.iter().map(row).collect() }.lines());
    for broker in ["embedded", "real"] {
        let best = |wanted: Receiver| {
            rates
                .iter()
                .filter(|((of, receiver, _), _)| *of == broker && *receiver == wanted)
                .map(|(_, rate)| rate.median)
                .max_by(f64::total_cmp)
        };
        if let (Some(maximum), Some(drain)) = (best(Receiver::Minimal), best(Receiver::Drain)) {
            println!(
                "{broker}: the drain's consumer receives {drain:.0} messages/s of the broker's {maximum:.0}: {:.2}",
                drain / maximum
            );
        }
    }
}
