//! `loadtest bench receive`: messages a second that the drain's consumer receives and acks, beside what the broker gives to
//! a client that does nothing else.

mod raw;

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
use serde::Serialize;
use shared::envelope::{EncodedOrder, decode_batch, encode_batch};
use shared::rocketmq::{
    ConsumerConfig, DefaultContext, FutureProducer, FutureRecord, ProducerConfig, StreamConsumer,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::figures::Spread;
use crate::report::Machine;
use crate::run::{Interrupts, describe_machine};
use crate::stage::{Stack, Stage};
use raw::Raw;

/// Longest that taking a window's messages may last.
const TAKE_MAX: Duration = Duration::from_secs(120);

/// Messages a second received and acked by the drain's consumer, beside the broker's own ceiling
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  loadtest bench receive                                         # the embedded broker
  eval \"$(infra/local/stack env)\"; loadtest bench receive        # the real one as well

The ceiling is the best of a bare client's receives under way at once. The exit code is 0 whatever is measured.")]
pub struct ReceiveArgs {
    /// Messages of one measurement
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = value_parser!(u32).range(1_000..=500_000))]
    pub messages: u32,
    /// Orders in each message
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = value_parser!(u32).range(1..=500))]
    pub orders: u32,
    /// Receives under way at once, swept for both
    #[arg(long, value_name = "COUNT,…", value_delimiter = ',', default_value = "4,8,16,32",
          value_parser = value_parser!(u32).range(1..=64))]
    pub receives: Vec<u32>,
    /// Rounds; the medians are told
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u32).range(1..=20))]
    pub rounds: u32,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Who receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Receiver {
    /// A client that does nothing else.
    Bare,
    /// The drain's consumer; messages are read into orders.
    Drain,
}

/// One window.
#[derive(Clone, Copy, Debug, Serialize)]
struct Measured {
    broker: &'static str,
    receiver: Receiver,
    receives: u32,
    messages_per_s: f64,
}

#[derive(Debug, Serialize)]
struct Figures {
    date: String,
    optimised: bool,
    machine: Machine,
    messages: u32,
    orders: u32,
    windows: Vec<Measured>,
}

/// Measures and prints.
pub(super) async fn run(args: ReceiveArgs) -> anyhow::Result<ExitCode> {
    let interrupts = Interrupts::listen()?;
    let mut windows = Vec::new();
    let mut stacks = vec![("embedded", Stack::Embedded)];
    if std::env::var_os("SPILLWAY_TEST_ROCKETMQ_ENDPOINT").is_some() {
        stacks.push(("real", Stack::Real { proxy: false }));
    } else {
        println!("real: skipped: run infra/local/stack up && eval \"$(infra/local/stack env)\"");
    }
    for (broker, stack) in stacks {
        let stage = Stage::set(stack, "bench").await?;
        let measured = measure(&args, broker, &stage, &interrupts, &mut windows).await;
        stage.strike(false).await?;
        measured?;
    }
    let figures = Figures {
        date: time::OffsetDateTime::now_utc().date().to_string(),
        optimised: !cfg!(debug_assertions),
        machine: describe_machine(),
        messages: args.messages,
        orders: args.orders,
        windows,
    };
    print_table(&figures);
    if let Some(path) = &args.output {
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    args: &ReceiveArgs,
    broker: &'static str,
    stage: &Stage,
    interrupts: &Interrupts,
    windows: &mut Vec<Measured>,
) -> anyhow::Result<()> {
    let mut config = ConsumerConfig::new(&stage.group, [&stage.topic]);
    config.long_polling_timeout = Duration::from_secs(5);
    let consumer = StreamConsumer::connect(stage.client.clone(), config, DefaultContext).await?;
    consumer.initialize_offsets().await?;
    let config = ProducerConfig { topics: vec![stage.topic.clone()], ..ProducerConfig::default() };
    let producer = FutureProducer::new(stage.client.clone(), config, DefaultContext)?;
    producer.warm_up().await?;
    let bare = Arc::new(Raw::connect(&stage.client, &stage.topic, &stage.group).await?);
    let body = body(args.orders)?;
    for round in 1..=args.rounds {
        for &receives in &args.receives {
            // Each comes first in every second round.
            let mut receivers = [Receiver::Bare, Receiver::Drain];
            receivers.rotate_left(round as usize % 2);
            for receiver in receivers {
                if interrupts.count() > 0 {
                    return Ok(());
                }
                bare.beat().await?;
                publish(&producer, &stage.topic, &body, args.messages).await?;
                let elapsed = match receiver {
                    Receiver::Bare => {
                        let bare = bare.clone();
                        take(args.messages, receives, move || {
                            let bare = bare.clone();
                            async move { bare.take().await }
                        })
                        .await?
                    }
                    Receiver::Drain => {
                        let (consumer, orders) = (consumer.clone(), args.orders as usize);
                        take(args.messages, receives, move || drain(consumer.clone(), orders)).await?
                    }
                };
                let messages_per_s = f64::from(args.messages) / elapsed.as_secs_f64();
                println!(
                    "round {round}: {broker}, {receiver:?}, {receives} receives: {messages_per_s:.0} messages/s"
                );
                windows.push(Measured { broker, receiver, receives, messages_per_s });
            }
        }
    }
    producer.close(Duration::from_secs(5)).await;
    consumer.close(Duration::from_secs(5)).await;
    Ok(())
}

/// A message of so many orders.
fn body(orders: u32) -> anyhow::Result<bytes::Bytes> {
    let orders = Orders::over(64)?.batch(0..u64::from(orders))?;
    let encoded: Vec<_> = orders.iter().map(EncodedOrder::new).collect();
    Ok(encode_batch(encoded.iter()))
}

async fn publish(
    producer: &FutureProducer,
    topic: &str,
    body: &bytes::Bytes,
    messages: u32,
) -> anyhow::Result<()> {
    let mut left = messages;
    while left > 0 {
        let now = left.min(1_000);
        let sends = (0..now)
            .map(|_| producer.send(FutureRecord::to(topic).payload(body.clone()), Duration::from_secs(30)));
        for sent in join_all(sends).await {
            sent.map_err(|(error, _record)| error)?;
        }
        left -= now;
    }
    Ok(())
}

/// A receive of the drain's: read into orders, then acked; the client puts acks of one moment into one call.
async fn drain(consumer: StreamConsumer, orders: usize) -> anyhow::Result<usize> {
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

/// Has `receives` loops take messages until so many were taken.
async fn take<F>(
    messages: u32,
    receives: u32,
    receive: impl Fn() -> F + Clone + Send + 'static,
) -> anyhow::Result<Duration>
where
    F: Future<Output = anyhow::Result<usize>> + Send + 'static,
{
    let taken = Arc::new(AtomicU64::new(0));
    let (done, took) = (tokio_util::sync::CancellationToken::new(), Arc::new(OnceLock::new()));
    let began = Instant::now();
    let mut loops = JoinSet::new();
    for _ in 0..receives {
        let (taken, done, took, receive) = (taken.clone(), done.clone(), took.clone(), receive.clone());
        loops.spawn(async move {
            while !done.is_cancelled() {
                // Never cancelled: a poll that nobody waits for would take the next window's messages.
                let count = receive().await? as u64;
                if taken.fetch_add(count, Ordering::Relaxed) + count >= u64::from(messages) {
                    // The first to see it. The last receives of all wait for messages that do not come: their time is
                    // not counted.
                    took.get_or_init(|| began.elapsed());
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
    let ended = timeout(TAKE_MAX, ended).await.with_context(|| {
        format!("{} of {messages} messages came within {TAKE_MAX:?}", taken.load(Ordering::Relaxed))
    })?;
    ended?;
    took.get().copied().context("the receives ended before all messages had come")
}

fn print_table(figures: &Figures) {
    let mut medians: BTreeMap<(&str, Receiver, u32), Vec<f64>> = BTreeMap::new();
    for window in &figures.windows {
        let rates = medians.entry((window.broker, window.receiver, window.receives)).or_default();
        rates.push(window.messages_per_s);
    }
    let rates: BTreeMap<_, _> =
        medians.into_iter().filter_map(|(key, rates)| Some((key, Spread::of(rates.into_iter())?))).collect();
    let Figures { date, machine, messages, orders, .. } = figures;
    println!(
        "\n{date}, {} × {}, {}, client and broker on the same processors; medians, {messages} messages of {orders} orders",
        machine.cpus, machine.cpu_model, machine.kernel
    );
    println!("{:<10}{:<8}{:>10}{:>28}{:>14}", "broker", "", "receives", "messages/s", "orders/s");
    for ((broker, receiver, receives), rate) in &rates {
        println!(
            "{broker:<10}{:<8}{receives:>10}{:>28}{:>14.0}",
            format!("{receiver:?}").to_lowercase(),
            format!("{:.0} ({:.0}–{:.0})", rate.median, rate.least, rate.most),
            rate.median * f64::from(*orders)
        );
    }
    for broker in ["embedded", "real"] {
        let best = |wanted: Receiver| {
            rates
                .iter()
                .filter(|((of, receiver, _), _)| *of == broker && *receiver == wanted)
                .map(|(_, rate)| rate.median)
                .max_by(f64::total_cmp)
        };
        if let (Some(ceiling), Some(drain)) = (best(Receiver::Bare), best(Receiver::Drain)) {
            println!(
                "{broker}: the drain's consumer receives {drain:.0} messages/s of the broker's {ceiling:.0}: {:.2}",
                drain / ceiling
            );
        }
    }
}
