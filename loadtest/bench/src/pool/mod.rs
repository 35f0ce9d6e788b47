//! `loadtest-bench pool`: one cap for drain workers that join, are killed and leave.
//!
//! The topic holds more orders than the cap allows in the whole time. One worker starts, seven join, two are killed,
//! four stop. Afterwards the database returns the commit time of each order.

mod cap_use;
mod commit_times;
mod members;
mod single_orders;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context;
use drain_worker::control::AuditContext;
use drain_worker::init::init;
use drain_worker::tune::orders::{Orders, catalogue};
use fc_model::process::ChildProcess;
use loadtest::environment::{Environment, Stack, own_process};
use loadtest::ledger::LedgerReader;
use rustix::process::Signal;
use serde::Serialize;
use serde_json::Value;
use shared::envelope::{EncodedOrder, encode_batch};
use shared::loopback::free_loopback_address;
use shared::rocketmq::{DefaultContext, FutureProducer, FutureRecord, ProducerConfig};
use shared::time::microseconds;
use tokio::process::Command;
use tokio::time::{Instant, sleep, sleep_until};

use crate::harness::{Conditions, Spread, Table, write_json};
use cap_use::{CapUse, CommitLatencySample, QUICK_MS};
use commit_times::CommitResponses;

/// Orders of one message, as ingest-fn coalesces them under load.
const MESSAGE_ORDERS: u64 = 64;

/// The lease of a worker; see `drain-worker run --help`.
const LEASE: Duration = Duration::from_secs(3);

/// After a kill, use of the cap is excepted for a lease and this time.
const RECOVERY: Duration = Duration::from_secs(10);

const START_BOUND: Duration = Duration::from_secs(60);

const STOP_BOUND: Duration = Duration::from_secs(40);

const SECOND_US: i64 = 1_000_000;

const JOIN_POLL: Duration = Duration::from_millis(50);

/// Sends under way while the orders are published.
const SENDS_MAX: usize = 32;

/// Scale the pool from 1 to 8, kill two, scale to 2; check that no second exceeds the cap, and measure how much of it
/// is used.
///
/// Without --real on the embedded broker and SQLite; with it on the stack that `infra/local/stack up` started, with the
/// environment from `infra/local/stack env`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PoolArgs {
    /// The pool's cap, orders a second
    #[arg(long, value_name = "ORDERS", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=20_000))]
    rate: u32,

    /// Length of each of the four phases, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 25, value_parser = clap::value_parser!(u64).range(5..=600))]
    phase_s: u64,

    /// SKUs of the orders; 1: one hot row
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    skus: u32,

    /// On the real RocketMQ and MariaDB
    #[arg(long)]
    real: bool,

    /// Through the database proxy
    #[arg(long, requires = "real")]
    proxy: bool,

    /// Measure this many idle members instead: what their coordination costs the database
    #[arg(long, value_name = "COUNT", requires = "real", value_parser = clap::value_parser!(u16).range(1..=256))]
    members: Option<u16>,

    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Leave database, topic and logs
    #[arg(long)]
    keep: bool,

    /// More flags for every worker, after `--`
    #[arg(last = true, value_name = "FLAGS")]
    worker_flags: Vec<String>,
}

struct PoolWorker {
    process: ChildProcess,
    admin: SocketAddr,
}

#[derive(Serialize)]
struct PoolPhase {
    name: &'static str,
    from_s: f64,
    workers: usize,
    commit_p50_ms: Option<f64>,
    commit_p99_ms: Option<f64>,
}

#[derive(Serialize)]
struct PoolResults {
    #[serde(flatten)]
    conditions: Conditions,
    rate: u32,
    cap_use: CapUse,
    /// The busiest second if each commit happened at the worst time between its statement and its response.
    busiest_second_at_most: u64,
    /// Time from before the publish to the commit of orders published one at a time, milliseconds.
    single_order_ms: Option<Spread>,
    phases: Vec<PoolPhase>,
}

/// Exit code 1 if a second exceeded the cap: the cap is a promise, its use is a measurement.
pub(crate) async fn run(args: PoolArgs) -> anyhow::Result<ExitCode> {
    let stack = if args.real { Stack::Real { proxy: args.proxy } } else { Stack::Embedded };
    let environment = Environment::start(stack, "bench").await?;
    if let Some(members) = args.members {
        let time = Duration::from_secs(args.phase_s);
        let measured = members::measure(&environment, usize::from(members), args.rate, time).await;
        environment.stop(args.keep).await?;
        return measured.map(|()| ExitCode::SUCCESS);
    }
    let results = play(&args, &environment).await;
    environment.stop(args.keep).await?;
    let results = results?;
    println!("\n{}", results.report());
    write_json(args.output.as_deref(), &results)?;
    let busiest = results.cap_use.busiest_second.max(results.busiest_second_at_most);
    Ok(if busiest <= u64::from(args.rate) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(args: &PoolArgs, environment: &Environment) -> anyhow::Result<PoolResults> {
    let waiting = u64::from(args.rate) * (args.phase_s * 4 + 5);
    let catalogue = catalogue(args.skus, None)?;
    let client = environment.client.clone();
    let (group, topic) = (&environment.group, &environment.topic);
    init(&environment.migrate_url, &catalogue, client, group, topic, &AuditContext::default()).await?;
    environment.schema_changed().await?;
    let mut workers = Vec::new();
    start(environment, args, 1, &mut workers).await?;
    let single_orders = single_orders::publish(environment).await?;
    stop(workers.drain(..)).await?;
    println!("Publishing {waiting} orders, {MESSAGE_ORDERS} per message");
    publish(environment, args, waiting).await?;

    let mut phases = Vec::new();
    let mut kills_us = Vec::new();
    let mut samples = Vec::new();
    let begin = Instant::now();
    let phase = Duration::from_secs(args.phase_s);
    let names = ["one worker", "eight workers", "two killed", "four stopped"];
    for (number, name) in names.into_iter().enumerate() {
        let from = begin.elapsed();
        println!("{:>3} s: {name}", from.as_secs());
        match number {
            0 => start(environment, args, 1, &mut workers).await?,
            1 => start(environment, args, 7, &mut workers).await?,
            2 => {
                for mut worker in workers.drain(..2) {
                    worker.process.kill().await?;
                }
                kills_us.push(wall_clock_us()?);
            }
            _ => stop(workers.drain(..4)).await?,
        }
        let until = begin + phase * u32::try_from(number + 1)?;
        let mut last = Value::Null;
        while Instant::now() < until {
            let next = (Instant::now() + Duration::from_secs(1)).min(until);
            last = status(&workers[0]).await.context(name)?["commit_ms"].take();
            samples.push(CommitLatencySample { at_us: wall_clock_us()?, p99_ms: last["p99"].as_f64() });
            sleep_until(next).await;
        }
        phases.push(PoolPhase {
            name,
            from_s: from.as_secs_f64(),
            workers: workers.len(),
            commit_p50_ms: last["p50"].as_f64(),
            commit_p99_ms: last["p99"].as_f64(),
        });
    }
    let ended_us = wall_clock_us()?;
    stop(workers.drain(..)).await?;
    let rows = LedgerReader::connect(&environment.read_url).await?.decided_orders().await?;
    let responses = CommitResponses::read(&environment.directory().join("drain-worker.log"))?;
    // MariaDB's clock has microseconds, SQLite's milliseconds.
    let clock_us = if args.real { 1 } else { 1_000 };
    let commits: Vec<_> =
        rows.iter().map(|row| responses.bounds(row, clock_us, &kills_us)).collect::<anyhow::Result<_>>()?;
    let backlog = rows.iter().filter(|row| !single_orders.contains(row));
    let commits_us = backlog.map(|row| row.decided_at_us).collect();
    let excepted: Vec<_> = kills_us.into_iter().map(|at| (at, at + microseconds(LEASE + RECOVERY))).collect();
    Ok(PoolResults {
        conditions: Conditions::now(),
        rate: args.rate,
        cap_use: CapUse::compute(commits_us, args.rate, ended_us, &excepted, &samples)?,
        busiest_second_at_most: commit_times::busiest_second(commits.into_iter()),
        single_order_ms: single_orders.latencies_ms(&rows)?,
        phases,
    })
}

async fn publish(environment: &Environment, args: &PoolArgs, orders: u64) -> anyhow::Result<()> {
    let producer =
        FutureProducer::new(environment.client.clone(), ProducerConfig::default(), DefaultContext)?;
    let source = Orders::over(args.skus)?;
    let mut sends = tokio::task::JoinSet::new();
    for first in (0..orders).step_by(usize::try_from(MESSAGE_ORDERS)?) {
        let batch = source.batch(first..(first + MESSAGE_ORDERS).min(orders))?;
        let encoded: Vec<_> = batch.iter().map(EncodedOrder::new).collect();
        let payload = encode_batch(encoded.iter()).to_vec();
        if sends.len() >= SENDS_MAX {
            sends.join_next().await.context("a send is in flight")???;
        }
        let (producer, topic) = (producer.clone(), environment.topic.clone());
        sends.spawn(async move {
            let sent = producer.send(FutureRecord::to(&topic).payload(payload), START_BOUND).await;
            sent.map(drop).map_err(|(error, _record)| anyhow::Error::from(error))
        });
    }
    while let Some(sent) = sends.join_next().await {
        sent??;
    }
    producer.close(STOP_BOUND).await;
    Ok(())
}

/// Starts workers and waits until they have joined the pool.
async fn start(
    environment: &Environment,
    args: &PoolArgs,
    count: usize,
    workers: &mut Vec<PoolWorker>,
) -> anyhow::Result<()> {
    let mut started = Vec::new();
    for _ in 0..count {
        let admin = free_loopback_address()?;
        let mut launch = own_process("drain-worker", environment.directory())?;
        launch.arguments.push("run".to_owned());
        environment.add_broker(&mut launch);
        launch.arguments.extend([
            format!("--consumer-group={}", environment.group),
            format!("--initial-rate={}", args.rate),
            "--query-listen=127.0.0.1:0".to_owned(),
            format!("--admin-listen={admin}"),
            "--invisible-s=10".to_owned(),
        ]);
        launch.arguments.extend_from_slice(&args.worker_flags);
        let database_url = environment.worker_url.expose().to_owned();
        launch.environment.push(("SPILLWAY_DATABASE_URL", database_url));
        launch
            .environment
            .extend(commit_times::LOG_ENVIRONMENT.map(|(name, value)| (name, value.to_owned())));
        started.push(PoolWorker { process: launch.spawn()?, admin });
    }
    for worker in &mut started {
        worker.process.listening(worker.admin, START_BOUND).await?;
        joined(worker).await?;
    }
    workers.extend(started);
    Ok(())
}

/// Waits until the worker has joined the pool: it listens before, but has no status until then.
async fn joined(worker: &mut PoolWorker) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_BOUND;
    loop {
        worker.process.check()?;
        match status(worker).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("not in the pool after {START_BOUND:?}")));
            }
            Err(_) => sleep(JOIN_POLL).await,
        }
    }
}

/// Stops all workers at the same time, as a platform that scales in.
async fn stop(workers: impl Iterator<Item = PoolWorker>) -> anyhow::Result<()> {
    let workers: Vec<_> = workers.collect();
    for worker in &workers {
        worker.process.signal(Signal::TERM)?;
    }
    for worker in workers {
        worker.process.stop(STOP_BOUND).await?;
    }
    Ok(())
}

/// The output of `drain-worker status`.
async fn status(worker: &PoolWorker) -> anyhow::Result<Value> {
    let url = format!("--admin-url=http://{}", worker.admin);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["process", "drain-worker", "status", "--json", &url]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // The process ends when its standard input closes, and waiting for it would close it.
    let _stdin = process.stdin.take();
    let output = process.wait_with_output().await?;
    anyhow::ensure!(output.status.success(), "status: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// This machine's clock, which is also the database's.
fn wall_clock_us() -> anyhow::Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_micros())?)
}

impl PoolResults {
    fn report(&self) -> String {
        let ms = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        let phases = Table {
            heads: ["workers", "p50 ms", "p99 ms"].map(str::to_owned).to_vec(),
            rows: self
                .phases
                .iter()
                .map(|phase| {
                    let cells =
                        vec![phase.workers.to_string(), ms(phase.commit_p50_ms), ms(phase.commit_p99_ms)];
                    (format!("{:>3.0} s {}", phase.from_s, phase.name), cells)
                })
                .collect(),
        };
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
        };
        let cap = |orders: u64| {
            let verdict = if orders <= u64::from(self.rate) { "within" } else { "EXCEEDS" };
            format!("{verdict} the cap of {}", self.rate)
        };
        let used = &self.cap_use;
        let mut lines = vec![
            ("orders committed", used.commits.to_string(), String::new()),
            (
                "busiest second (any window)",
                used.busiest_second.to_string(),
                format!("{}, by the time of the statement", cap(used.busiest_second)),
            ),
            (
                "busiest second, at most",
                self.busiest_second_at_most.to_string(),
                format!(
                    "{}, at the worst time between statement and response",
                    cap(self.busiest_second_at_most)
                ),
            ),
            ("minimum use in 10 s", percent(used.min), String::new()),
            (
                "minimum with quick commits",
                percent(used.min_quick),
                format!("p99 below {QUICK_MS} ms; goal 97 %; {} of the windows", percent(used.quick_share)),
            ),
            (
                "minimum after the kill",
                percent(used.min_excepted),
                format!("within {} s; excepted", (LEASE + RECOVERY).as_secs()),
            ),
            ("orders per transaction, mean", format!("{:.1}", used.orders_per_commit), String::new()),
        ];
        if let Some(single) = self.single_order_ms {
            let note = format!("{:.1} to {:.1}; goal 50", single.min, single.max);
            lines.push(("single order, publish to commit", format!("{:.1} ms", single.median), note));
        }
        lines.push(("mean use", percent(Some(used.average)), String::new()));
        let lines = lines
            .into_iter()
            .map(|(name, value, note)| format!("{name:<40}{value:>10}   {note}").trim_end().to_owned());
        std::iter::once(phases.lines()).chain(lines).collect::<Vec<_>>().join("\n")
    }
}
