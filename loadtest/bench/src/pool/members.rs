//! The cost of the pool's coordination: idle members, as tasks of this process, on one database.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use drain_worker::adaptive_limit::AdaptiveLimit;
use drain_worker::control::{GroupSettings, Rate};
use drain_worker::pool::{Member, PoolConfig, WorkerSignals};
use drain_worker::rate::RateGate;
use drain_worker::store::{Store, StoreConfig};
use loadtest::environment::Environment;
use sqlx::{Connection, MySqlConnection};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::LEASE;

const JOIN_BOUND: Duration = Duration::from_secs(60);

/// Time after the last join in which shares settle.
const SETTLE: Duration = Duration::from_secs(5);

/// Prints statements a member a second, the database's CPU and lapsed leases, over `time`.
pub(super) async fn measure(
    environment: &Environment,
    count: usize,
    rate: u32,
    time: Duration,
) -> anyhow::Result<()> {
    let migrator = Store::connect(&environment.migrate_url, StoreConfig::default()).await?;
    migrator.migrate().await?;
    migrator.close().await;
    environment.schema_changed().await?;
    let (leave, mut members, mut snapshots) = (CancellationToken::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let store = Arc::new(Store::connect(&environment.worker_url, StoreConfig::default()).await?);
        let config = PoolConfig {
            group: environment.group.clone(),
            worker: format!("member:{number}"),
            seed: GroupSettings::new(Rate::new(rate).context("a rate")?),
            lease: LEASE,
            heartbeat_interval: Duration::from_millis(500),
            heartbeat_interval_fast: Duration::from_millis(30),
        };
        let member = Member::new(
            store,
            config,
            RateGate::closed(),
            WorkerSignals::default(),
            AdaptiveLimit::new(None),
        );
        snapshots.push(member.snapshot());
        members.push(tokio::spawn(member.run(leave.clone())));
    }
    let leases = || -> Vec<_> {
        snapshots.iter().filter_map(|seen| seen.borrow().as_ref().map(|seen| seen.lease)).collect()
    };
    let deadline = Instant::now() + JOIN_BOUND;
    while leases().len() < count {
        anyhow::ensure!(Instant::now() < deadline, "{} of {count} members joined in time", leases().len());
        sleep(Duration::from_millis(100)).await;
    }
    sleep(SETTLE).await;
    let database = database_process()?;
    let mut counter = MySqlConnection::connect(environment.read_url.expose()).await?;
    let (joined, began) = (leases(), Instant::now());
    let before = (questions(&mut counter).await?, cpu_s(database)?);
    sleep(time).await;
    let after = (questions(&mut counter).await?, cpu_s(database)?);
    let seconds = began.elapsed().as_secs_f64();
    let lapses = leases().iter().zip(&joined).filter(|(now, before)| now != before).count();
    println!(
        "{count} members for {seconds:.0} s: {:.2} statements a member a second, database {:.1} % of a core, {lapses} leases \
         lapsed",
        (after.0 - before.0) as f64 / count as f64 / seconds,
        (after.1 - before.1) / seconds * 100.0,
    );
    leave.cancel();
    for member in members {
        let _left = tokio::time::timeout(JOIN_BOUND, member).await?;
    }
    Ok(counter.close().await?)
}

/// Statements that clients have sent to the server.
async fn questions(connection: &mut MySqlConnection) -> anyhow::Result<i64> {
    let (_name, questions): (String, String) =
        sqlx::query_as("SHOW GLOBAL STATUS LIKE 'Questions'").fetch_one(connection).await?;
    Ok(questions.parse()?)
}

#[cfg(target_os = "linux")]
fn database_process() -> anyhow::Result<i32> {
    procfs::process::all_processes()?
        .flatten()
        .find(|process| process.stat().is_ok_and(|stat| stat.comm.starts_with("mariadbd")))
        .map(|process| process.pid)
        .context("mariadbd runs on this machine")
}

#[cfg(target_os = "linux")]
fn cpu_s(pid: i32) -> anyhow::Result<f64> {
    let stat = procfs::process::Process::new(pid)?.stat()?;
    Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}

#[cfg(not(target_os = "linux"))]
fn database_process() -> anyhow::Result<i32> {
    anyhow::bail!("CPU is measured on Linux only")
}

#[cfg(not(target_os = "linux"))]
fn cpu_s(_pid: i32) -> anyhow::Result<f64> {
    anyhow::bail!("CPU is measured on Linux only")
}
