//! `loadtest-bench client`: the CPU that the RocketMQ client needs for a message, beside the official Java client and bare
//! gRPC calls. Each client is a process of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::value_parser;
use futures_util::future::join_all;
use loadtest::environment::{Environment, Stack};
use loadtest::run::Interrupts;
use serde::Serialize;
use shared::rocketmq::{
    ConsumerConfig, CredentialsSource, DefaultContext, FutureProducer, FutureRecord, ProducerConfig,
    StreamConsumer,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::accounting::cpu_s_now;
use crate::harness::{Conditions, Goal, Spread, Table, rounds, selected, write_json};
use crate::process::ClientWork;

const ANSWER_BOUND: Duration = Duration::from_secs(30);
const SEND_BOUND: Duration = Duration::from_secs(30);
const CLOSE_BOUND: Duration = Duration::from_secs(5);

/// Messages that wait for the receiving client, so that it never waits for one.
const BACKLOG: u64 = 8_000;

/// Sends in flight while the backlog is filled.
const SENDS_MAX: u64 = 500;

/// Measure the RocketMQ client's CPU for a message, beside the official Java client and bare calls
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  eval \"$(infra/local/stack env)\"; loadtest-bench client        # on the real broker, the Java client beside it
  loadtest-bench client --only spillway,bare --warm-up-s 5       # on the embedded broker without the stack

A client sends or receives one message a call, signed if the broker wants it, with as many calls side by side as the others.
The CPU time is that of the client's process alone. The exit code is 0 for any result.")]
pub(crate) struct ClientArgs {
    /// Calls side by side
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = value_parser!(u32).range(1..=256))]
    concurrency: u32,
    /// Time before each measurement, in which Java compiles its code
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = value_parser!(u64).range(1..=600))]
    warm_up_s: u64,
    /// Length of each measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds to play
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Clients to measure; default all
    #[arg(long, value_name = "CLIENT,…", value_delimiter = ',')]
    only: Vec<ClientSubject>,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
enum ClientSubject {
    /// Spillway's client
    Spillway,
    /// Bare gRPC calls by tonic, without retries
    Bare,
    /// RocketMQ's official Java client
    Java,
}

impl ClientSubject {
    const fn name(self) -> &'static str {
        match self {
            Self::Spillway => "spillway-rocketmq",
            Self::Bare => "bare tonic calls",
            Self::Java => "official Java client",
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
struct ClientWindow {
    subject: ClientSubject,
    work: ClientWork,
    messages_per_s: f64,
    cpu_us_per_message: f64,
}

#[derive(Debug, Serialize)]
struct ClientResults {
    #[serde(flatten)]
    conditions: Conditions,
    broker: &'static str,
    concurrency: u32,
    windows: Vec<ClientWindow>,
}

pub(crate) async fn run(args: ClientArgs) -> anyhow::Result<ExitCode> {
    let interrupts = Interrupts::listen()?;
    let is_real = std::env::var_os("SPILLWAY_TEST_ROCKETMQ_ENDPOINT").is_some();
    let jars = std::env::var_os("SPILLWAY_TEST_JAVA_CLIENT").map(PathBuf::from);
    let mut subjects =
        selected(&[ClientSubject::Spillway, ClientSubject::Bare, ClientSubject::Java], &args.only);
    if jars.is_none() {
        println!(
            "official Java client: skipped: run eval \"$(infra/local/stack env)\" after infra/local/stack install"
        );
        subjects.retain(|subject| *subject != ClientSubject::Java);
    }
    let (broker, stack) =
        if is_real { ("real", Stack::Real { proxy: false }) } else { ("embedded", Stack::Embedded) };
    let windows = Vec::new();
    let mut results =
        ClientResults { conditions: Conditions::now(), broker, concurrency: args.concurrency, windows };
    let environment = Environment::start(stack, "bench").await?;
    let mut measured = Ok(());
    for (work, (round, subject)) in [ClientWork::Send, ClientWork::Receive]
        .into_iter()
        .flat_map(|work| rounds(args.rounds, &subjects).map(move |played| (work, played)))
    {
        if interrupts.count() > 0 {
            break;
        }
        match measure(&args, &environment, jars.as_deref(), subject, work).await {
            Ok(window) => {
                let ClientWindow { messages_per_s, cpu_us_per_message, .. } = window;
                let name = subject.name();
                println!(
                    "round {round}: {work:?}, {name}: {messages_per_s:.0} messages/s, {cpu_us_per_message:.1} µs of CPU each"
                );
                results.windows.push(window);
            }
            Err(error) => {
                measured = Err(error.context(format!("{work:?} with {}", subject.name())));
                break;
            }
        }
    }
    environment.stop(false).await?;
    measured?;
    print_results(&results);
    write_json(args.output.as_deref(), &results)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    args: &ClientArgs,
    environment: &Environment,
    jars: Option<&Path>,
    subject: ClientSubject,
    work: ClientWork,
) -> anyhow::Result<ClientWindow> {
    let backlog = match work {
        ClientWork::Send => None,
        ClientWork::Receive => Some(Backlog::fill(environment).await?),
    };
    let mut load = LoadProcess::start(args.concurrency, environment, jars, subject, work)?;
    let measured = async {
        let warm = load.run_for(Duration::from_secs(args.warm_up_s), backlog.as_ref()).await?;
        let began = Instant::now();
        let end = load.run_for(Duration::from_secs(args.seconds), backlog.as_ref()).await?;
        let messages = (end.messages - warm.messages) as f64;
        Ok(ClientWindow {
            subject,
            work,
            messages_per_s: messages / began.elapsed().as_secs_f64(),
            cpu_us_per_message: (end.cpu_s - warm.cpu_s) * 1e6 / messages,
        })
    }
    .await;
    load.child.kill().await?;
    if let Some(backlog) = backlog {
        backlog.close().await;
    }
    measured
}

/// Keeps messages waiting in the topic.
struct Backlog {
    producer: FutureProducer,
    topic: String,
    published: AtomicU64,
}

impl Backlog {
    async fn fill(environment: &Environment) -> anyhow::Result<Arc<Self>> {
        let topic = environment.topic.clone();
        let consumer = StreamConsumer::connect(
            environment.client.clone(),
            ConsumerConfig::new(&environment.group, [&topic]),
            DefaultContext,
        )
        .await?;
        consumer.initialize_offsets().await?;
        consumer.close(CLOSE_BOUND).await;
        let config = ProducerConfig { topics: vec![topic.clone()], ..ProducerConfig::default() };
        let producer = FutureProducer::new(environment.client.clone(), config, DefaultContext)?;
        producer.warm_up().await?;
        let backlog = Arc::new(Self { producer, topic, published: AtomicU64::new(0) });
        backlog.refill(0).await?;
        Ok(backlog)
    }

    async fn refill(&self, received: u64) -> anyhow::Result<()> {
        let published = self.published.load(Ordering::Relaxed);
        let mut left = (received + BACKLOG).saturating_sub(published);
        while left > 0 {
            let count = left.min(SENDS_MAX);
            let record = || FutureRecord::to(&self.topic).payload(bytes::Bytes::from_static(&[b'x'; 300]));
            for sent in join_all((0..count).map(|_| self.producer.send(record(), SEND_BOUND))).await {
                sent.map_err(|(error, _record)| error)?;
            }
            self.published.fetch_add(count, Ordering::Relaxed);
            left -= count;
        }
        Ok(())
    }

    async fn close(&self) {
        self.producer.close(CLOSE_BOUND).await;
    }
}

struct LoadProcess {
    child: Child,
    requests: ChildStdin,
    counts: Lines<BufReader<ChildStdout>>,
}

#[derive(Clone, Copy)]
struct Reading {
    messages: u64,
    cpu_s: f64,
}

impl LoadProcess {
    fn start(
        concurrency: u32,
        environment: &Environment,
        jars: Option<&Path>,
        subject: ClientSubject,
        work: ClientWork,
    ) -> anyhow::Result<Self> {
        let Environment { client, topic, group, .. } = environment;
        let (endpoint, concurrency) = (client.endpoints.to_string(), concurrency.to_string());
        let word = match work {
            ClientWork::Send => "send",
            ClientWork::Receive => "receive",
        };
        let mut command = if subject == ClientSubject::Java {
            let jars = jars.context("the Java client's jars are missing")?;
            let mut command = Command::new("java");
            command
                .args(["-Drocketmq.log.level=OFF", "-cp"])
                .arg(format!("{}/*", jars.display()))
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/OfficialClientLoad.java"))
                .args([word, &endpoint, topic, group, &concurrency]);
            command
        } else {
            let mut command = Command::new(std::env::current_exe()?);
            let name = if subject == ClientSubject::Bare { "bare" } else { "spillway" };
            command.args(["process", "client-load", "--client", name, "--work", word]);
            command.args(["--endpoint", &endpoint, "--topic", topic, "--group", group]);
            command.args(["--concurrency", &concurrency]);
            command
        };
        if let Some(credentials) = client.credentials.as_ref().and_then(CredentialsSource::current) {
            command.env("SPILLWAY_BENCH_ACCESS_KEY", &credentials.access_key);
            command.env("SPILLWAY_BENCH_SECRET_KEY", &credentials.secret_key);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let requests = child.stdin.take().context("standard input is a pipe")?;
        let counts = BufReader::new(child.stdout.take().context("standard output is a pipe")?).lines();
        Ok(Self { child, requests, counts })
    }

    async fn read(&mut self) -> anyhow::Result<Reading> {
        self.requests.write_all(b"\n").await?;
        let line = timeout(ANSWER_BOUND, self.counts.next_line()).await.context("the client hangs")??;
        let messages = line.context("the client has ended")?.trim().parse().context("not a count")?;
        let cpu_s = cpu_s_now(self.child.id().context("the client has ended")?)?;
        Ok(Reading { messages, cpu_s })
    }

    /// Returns the reading after `duration`, in which the backlog is kept full.
    async fn run_for(
        &mut self,
        duration: Duration,
        backlog: Option<&Arc<Backlog>>,
    ) -> anyhow::Result<Reading> {
        let end = Instant::now() + duration;
        loop {
            let reading = self.read().await?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(reading);
            }
            if let Some(backlog) = backlog {
                backlog.refill(reading.messages).await?;
            }
            sleep(left.min(Duration::from_millis(200))).await;
        }
    }
}

fn print_results(results: &ClientResults) {
    let ClientResults { conditions, broker, concurrency, windows } = results;
    println!(
        "\n{conditions}, {broker} broker, client and broker on the same processors; {concurrency} calls side by side, one message \
         a call"
    );
    let mut cpu: BTreeMap<(ClientWork, ClientSubject), Spread> = BTreeMap::new();
    let mut rows = Vec::new();
    for work in [ClientWork::Send, ClientWork::Receive] {
        for subject in [ClientSubject::Spillway, ClientSubject::Bare, ClientSubject::Java] {
            let of = || windows.iter().filter(move |window| (window.work, window.subject) == (work, subject));
            let each = Spread::compute(of().map(|window| window.cpu_us_per_message));
            let rate = Spread::compute(of().map(|window| window.messages_per_s));
            if let Some(each) = each {
                cpu.insert((work, subject), each);
                let cells = vec![
                    Spread::cell(rate, 0),
                    Spread::cell(Some(each), 1),
                    format!("{:.0}", 1e6 / each.median),
                ];
                rows.push((format!("{work:?}, {}", subject.name()), cells));
            }
        }
    }
    let heads = ["messages/s", "CPU µs/message", "messages per CPU second"].map(str::to_owned).to_vec();
    println!("{}", Table { heads, rows }.lines());
    for work in [ClientWork::Send, ClientWork::Receive] {
        let Some(own) = cpu.get(&(work, ClientSubject::Spillway)) else { continue };
        if let Some(java) = cpu.get(&(work, ClientSubject::Java)) {
            let what = format!("{work:?}: rate a CPU second, of the Java client's");
            println!("{}", Goal::at_least(what, java.median / own.median, 1.5, " ×", 2));
        }
        if let Some(bare) = cpu.get(&(work, ClientSubject::Bare)) {
            let what = format!("{work:?}: CPU a message, of a bare call's");
            println!("{}", Goal::at_most(what, own.median / bare.median, 1.2, "×", 2));
        }
    }
}
