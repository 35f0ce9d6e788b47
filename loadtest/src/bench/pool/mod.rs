//! `loadtest bench pool`: one cap, however many workers, and whatever happens to them.
//!
//! More orders wait than the cap takes in the whole time. One worker starts, then seven more, then two are killed, then
//! four are asked to stop. Afterwards the database tells when each order was committed.

mod answers;
mod args;
mod lone;
mod used;

use std::net::SocketAddr;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context;
use drain_worker::init::init;
use drain_worker::tune::orders::{Orders, catalogue};
use rustix::process::Signal;
use serde_json::{Value, json};
use shared::envelope::{EncodedOrder, encode_batch};
use shared::rocketmq::{DefaultContext, FutureProducer, FutureRecord, ProducerConfig};
use tokio::process::Command;
use tokio::time::{Instant, sleep, sleep_until};

use super::figures::Spread;
use crate::ledger::Reader;
use crate::parts::{Child, free_address};
use crate::run::describe_machine;
use crate::stage::{Stack, Stage};
use answers::Answers;
use used::{QUICK_MS, Sample, Used};

pub use args::PoolArgs;

/// Orders of one message, as ingest-fn makes them under load.
const ORDERS_A_MESSAGE: u64 = 64;

/// A worker may be silent for so long; see `drain-worker run --help`.
const LEASE: Duration = Duration::from_secs(3);

/// After a kill the cap need not be used for a lease and this.
const RECOVERY: Duration = Duration::from_secs(10);

const START_BOUND: Duration = Duration::from_secs(60);

const STOP_BOUND: Duration = Duration::from_secs(40);

/// A second, in microseconds.
const SECOND_US: i64 = 1_000_000;

/// Between two looks whether a worker has joined.
const JOIN_POLL: Duration = Duration::from_millis(50);

/// A worker under way.
struct Worker {
    process: Child,
    admin: SocketAddr,
}

/// A stretch of the play.
#[derive(serde::Serialize)]
struct Phase {
    what: &'static str,
    from_s: f64,
    workers: usize,
    commit_p50_ms: Option<f64>,
    commit_p99_ms: Option<f64>,
}

/// What came out.
#[derive(serde::Serialize)]
struct Played {
    used: Used,
    /// The most orders that may have been committed within a second, wherever between its statement and its answer each
    /// was.
    busiest_second_at_most: u64,
    /// From before the publish to the commit, ms, of orders that came one at a time.
    lone: Option<Spread>,
    phases: Vec<Phase>,
}

/// Plays, and judges.
pub(super) async fn run(args: PoolArgs) -> anyhow::Result<ExitCode> {
    let stack = if args.real { Stack::Real { proxy: args.proxy } } else { Stack::Embedded };
    let mut stage = Stage::set(stack, "bench").await?;
    let played = play(&args, &mut stage).await;
    stage.strike(args.keep).await?;
    let played = played?;
    println!("\n{}", table(&args, &played));
    if let Some(path) = &args.output {
        let report = json!({ "machine": describe_machine(), "rate": args.rate, "played": played });
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    // The cap is a promise; how much of it is used is a figure.
    let busiest = played.used.busiest_second.max(played.busiest_second_at_most);
    Ok(if busiest <= u64::from(args.rate) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(args: &PoolArgs, stage: &mut Stage) -> anyhow::Result<Played> {
    let seconds = args.phase_s * 4;
    let waiting = u64::from(args.rate) * (seconds + 5);
    let catalogue = catalogue(args.skus, None)?;
    init(&stage.migrate_url, &catalogue, stage.client.clone(), &stage.group, &stage.topic).await?;
    stage.schema_changed().await?;
    let mut workers = Vec::new();
    start(stage, args, 1, &mut workers).await?;
    let alone = lone::publish(stage).await?;
    stop(workers.drain(..)).await?;
    println!("Publishing {waiting} orders, {ORDERS_A_MESSAGE} a message");
    publish(stage, args, waiting).await?;

    let mut phases = Vec::new();
    let mut kills = Vec::new();
    let mut samples = Vec::new();
    let begin = Instant::now();
    let phase = Duration::from_secs(args.phase_s);
    let names = ["one worker", "eight", "two of them killed", "four asked to stop"];
    for (number, what) in names.into_iter().enumerate() {
        let from = begin.elapsed();
        println!("{:>3} s: {what}", from.as_secs());
        match number {
            0 => start(stage, args, 1, &mut workers).await?,
            1 => start(stage, args, 7, &mut workers).await?,
            2 => {
                for mut worker in workers.drain(..2) {
                    worker.process.kill().await?;
                }
                kills.push(wall_clock_us()?);
            }
            _ => stop(workers.drain(..4)).await?,
        }
        let until = begin + phase * u32::try_from(number + 1)?;
        let mut last = Value::Null;
        while Instant::now() < until {
            let next = (Instant::now() + Duration::from_secs(1)).min(until);
            last = status(&workers[0]).await.context(what)?["commit_ms"].take();
            samples.push(Sample { at_us: wall_clock_us()?, p99_ms: last["p99"].as_f64() });
            sleep_until(next).await;
        }
        phases.push(Phase {
            what,
            from_s: from.as_secs_f64(),
            workers: workers.len(),
            commit_p50_ms: last["p50"].as_f64(),
            commit_p99_ms: last["p99"].as_f64(),
        });
    }
    let ended_us = wall_clock_us()?;
    stop(workers.drain(..)).await?;
    let mut reader = Reader::connect(&stage.read_url).await?;
    let rows = reader.facts().await?.orders;
    let lone = alone.waits_ms(&rows)?;
    let answers = Answers::read(&stage.directory().join("drain-worker.log"))?;
    // MariaDB's clock tells microseconds, SQLite's milliseconds.
    let clock_us = if args.real { 1 } else { 1_000 };
    let brackets: Vec<_> =
        rows.iter().map(|row| answers.bracket(row, clock_us, &kills)).collect::<anyhow::Result<_>>()?;
    let busiest_second_at_most = answers::busiest_second(brackets.into_iter());
    let commits_us = rows.iter().filter(|row| !alone.is_of(row)).map(|row| row.decided_at_us).collect();
    let spared: Vec<_> = kills.into_iter().map(|at| (at, at + microseconds(LEASE + RECOVERY))).collect();
    let used = Used::of(commits_us, args.rate, ended_us, &spared, &samples)?;
    Ok(Played { used, busiest_second_at_most, lone, phases })
}

async fn publish(stage: &Stage, args: &PoolArgs, orders: u64) -> anyhow::Result<()> {
    let producer = FutureProducer::new(stage.client.clone(), ProducerConfig::default(), DefaultContext)?;
    let made = Orders::over(args.skus)?;
    let mut sends = tokio::task::JoinSet::new();
    for first in (0..orders).step_by(usize::try_from(ORDERS_A_MESSAGE)?) {
        let batch = made.batch(first..(first + ORDERS_A_MESSAGE).min(orders))?;
        let encoded: Vec<_> = batch.iter().map(EncodedOrder::new).collect();
        let body = encode_batch(encoded.iter()).to_vec();
        if sends.len() >= 32 {
            sends.join_next().await.context("a send is under way")???;
        }
        let (producer, topic) = (producer.clone(), stage.topic.clone());
        sends.spawn(async move {
            let sent = producer.send(FutureRecord::to(&topic).payload(body), START_BOUND).await;
            sent.map(drop).map_err(|(error, _record)| anyhow::Error::from(error))
        });
    }
    while let Some(sent) = sends.join_next().await {
        sent??;
    }
    producer.close(STOP_BOUND).await;
    Ok(())
}

async fn start(
    stage: &Stage,
    args: &PoolArgs,
    count: usize,
    workers: &mut Vec<Worker>,
) -> anyhow::Result<()> {
    let (common, secrets) = stage.broker_flags();
    let logs = answers::LOGS.map(|(name, value)| (name, value.to_owned()));
    let environment =
        [vec![("SPILLWAY_DATABASE_URL", stage.worker_url.expose().to_owned())], logs.to_vec(), secrets]
            .concat();
    let mut started = Vec::new();
    for _ in 0..count {
        let admin = free_address()?;
        let flags = [
            &["run".to_owned()],
            common.as_slice(),
            &[
                format!("--consumer-group={}", stage.group),
                format!("--rate={}", args.rate),
                "--query-listen=127.0.0.1:0".to_owned(),
                format!("--admin-listen={admin}"),
                "--invisible-s=10".to_owned(),
            ],
            args.worker_flags.as_slice(),
        ]
        .concat();
        let process = Child::start("drain-worker", &flags, &environment, stage.directory())?;
        started.push(Worker { process, admin });
    }
    for worker in &mut started {
        worker.process.listening(worker.admin, START_BOUND).await?;
        joined(worker).await?;
    }
    workers.extend(started);
    Ok(())
}

/// Waits until the worker has joined the pool: it listens before that, and has nothing to tell until then.
async fn joined(worker: &mut Worker) -> anyhow::Result<()> {
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

/// All at once, as a platform that scales down does.
async fn stop(workers: impl Iterator<Item = Worker>) -> anyhow::Result<()> {
    let workers: Vec<_> = workers.collect();
    for worker in &workers {
        worker.process.signal(Signal::TERM)?;
    }
    for worker in workers {
        worker.process.stop(STOP_BOUND).await?;
    }
    Ok(())
}

/// The pool as an operator sees it.
async fn status(worker: &Worker) -> anyhow::Result<Value> {
    let url = format!("--admin-url=http://{}", worker.admin);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["part", "drain-worker", "status", "--json", &url]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // A part ends when its standard input does.
    let _alive = process.stdin.take();
    let output = process.wait_with_output().await?;
    anyhow::ensure!(output.status.success(), "status: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// This machine's clock, which is the database's as well.
fn wall_clock_us() -> anyhow::Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_micros())?)
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn table(args: &PoolArgs, played: &Played) -> String {
    let Played { used, busiest_second_at_most, lone, phases } = played;
    let kept = |orders: u64| if orders <= u64::from(args.rate) { "kept" } else { "EXCEEDED" };
    let mut lines = vec![format!("{:<24}{:>8}{:>10}{:>10}", "", "workers", "p50 ms", "p99 ms")];
    for phase in phases {
        let ms = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        let what = format!("{:>3.0} s {}", phase.from_s, phase.what);
        lines.push(format!(
            "{what:<24}{:>8}{:>10}{:>10}",
            phase.workers,
            ms(phase.commit_p50_ms),
            ms(phase.commit_p99_ms)
        ));
    }
    let percent =
        |part: Option<f64>| part.map_or_else(|| "-".to_owned(), |part| format!("{:.1} %", part * 100.0));
    lines.push(format!("orders committed                        {:>10}", used.commits));
    lines.push(format!(
        "busiest second (any window)             {:>10}   of {}: {}, by the time of the statement",
        used.busiest_second,
        args.rate,
        kept(used.busiest_second)
    ));
    lines.push(format!(
        "busiest second, at most                 {:>10}   of {}: {}, wherever from statement to answer a commit was",
        busiest_second_at_most,
        args.rate,
        kept(*busiest_second_at_most)
    ));
    lines.push(format!("least used in 10 s                      {:>10}", percent(used.least)));
    lines.push(format!(
        "least where p99 was under {QUICK_MS} ms         {:>10}   goal 97 %; {} of the windows",
        percent(used.least_quick),
        percent(used.quick)
    ));
    lines.push(format!(
        "least used within {} s of the kill      {:>10}   excepted",
        (LEASE + RECOVERY).as_secs(),
        percent(used.least_spared)
    ));
    lines.push(format!("orders of a transaction, on average     {:>10.1}", used.orders_per_commit));
    if let Some(lone) = lone {
        lines.push(format!(
            "a lone order, publish to commit         {:>7.1} ms   {:.1} to {:.1}; goal 50",
            lone.median, lone.least, lone.most
        ));
    }
    lines.push(format!("used on average                         {:>10}", percent(Some(used.average))));
    lines.join("\n")
}
