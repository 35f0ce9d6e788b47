//! One run: send, watch, wait for the drain, report.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::abort::AbortWatch;
use super::conclusion::RunEnd;
use super::drain_counter::DrainCounter;
use super::interrupt::Interrupts;
use super::ledger::{PlayedRun, database_version, keep_ledger};
use super::live_metrics::LiveMetrics;
use super::machine;
use super::order_cost::IdleSystem;
use super::progress::{self, ProgressLine};
use super::sampler::ProcessSampler;
use super::window::LiveWatch;
use crate::environment::SystemUnderTest;
use crate::generator::{self, LiveCounts, RunResult, SendPlan, Shard};
use crate::report::{AbortedRun, ProcessUse, RunReport};
use crate::scenario::Scenario;

/// The first interrupt ends the sending, this one the wait for the drain.
const INTERRUPTS_CUT: u32 = 2;

/// Plays `scenario` on `system` and reports; meanwhile serves metrics at `metrics_listen`.
///
/// # Errors
///
/// If the run could not be completed. Violations are part of the report.
pub async fn play(
    scenario: &Scenario,
    system: &mut SystemUnderTest,
    pin_to: &[usize],
    metrics_listen: Option<SocketAddr>,
    interrupts: &Interrupts,
) -> anyhow::Result<RunReport> {
    let mut plan = SendPlan::new(scenario, system.workload.clone(), system.target.clone(), Shard::WHOLE);
    plan.pin_to = pin_to.to_vec();
    let knows_order_ids = system.knows_order_ids;
    plan.keep_order_ids = !knows_order_ids;
    println!(
        "Playing {}: {} requests in {:.1} s, {:.0}/s at the peak; the drain's cap is {}/s\n",
        scenario.name,
        plan.schedule.requests(),
        plan.schedule.length().as_secs_f64(),
        plan.schedule.peak_rps(),
        scenario.drain.rate
    );
    let idle = IdleSystem::measure(system).await?;
    let scope = system.begin_ledger().await?;
    let SentRun { played, started_at, mut monitor } =
        send(scenario, system, plan, None, metrics_listen, interrupts).await?;
    let keeps_a_ledger = system.ledger.keeps_a_ledger();
    let (played, account) = spawn_blocking(move || {
        let account = played.account(keeps_a_ledger, knows_order_ids)?;
        anyhow::Ok((played, account))
    })
    .await
    .context("the account")??;
    let started_us = (started_at.unix_timestamp_nanos() / 1_000) as i64;
    let run =
        PlayedRun { played: &played, attempts: &account.attempts, clients: scenario.clients, started_us };
    // The services stay watched, and are killed as planned, while the ledger waits for the drain.
    let mut access = std::mem::take(&mut system.ledger);
    let judgement = {
        let mut ledger = Box::pin(keep_ledger(&mut access, scope, run, interrupts, INTERRUPTS_CUT));
        loop {
            tokio::select! {
                judgement = &mut ledger => break judgement,
                () = sleep(monitor.pause()) => { monitor.look(system, false).await; }
            }
        }
    };
    progress::end_line();
    let parts = database_version(&mut access).await;
    system.ledger = access;
    let mut surprises = account.surprises;
    surprises.extend(monitor.broken.take().map(|error| format!("the run broke off: {error}")));
    let end = RunEnd {
        scenario,
        played: &played,
        generator: played.health(),
        surprises,
        judgement,
        started_at,
        stack: system.stack,
        interrupted: interrupts.count() > 0,
        aborted: monitor.aborted.take(),
        parts,
        machine: machine::describe(),
        processes: monitor.finish(),
        shards: Vec::new(),
    };
    let report = end.report()?;
    if let Some(idle) = idle {
        match idle.cost(system, &report.processes, report.totals.accepted).await {
            Ok(cost) => println!("{cost}"),
            Err(error) => eprintln!("loadtest: the cost of an order is not known: {error:#}"),
        }
    }
    Ok(report)
}

/// A run, or a shard of one, whose requests have ended.
pub(super) struct SentRun {
    pub(super) played: RunResult,
    pub(super) started_at: OffsetDateTime,
    pub(super) monitor: RunMonitor,
}

/// Sends the requests of `plan`, from `start_at` or as soon as possible. The first interrupt ends the sending.
///
/// # Errors
/// If `start_at` has passed, `metrics_listen` is in use, or a thread fails.
pub(super) async fn send(
    scenario: &Scenario,
    system: &mut SystemUnderTest,
    plan: SendPlan,
    start_at: Option<OffsetDateTime>,
    metrics_listen: Option<SocketAddr>,
    interrupts: &Interrupts,
) -> anyhow::Result<SentRun> {
    let mut monitor = RunMonitor::new(system, scenario).await?;
    monitor.metrics =
        metrics_listen.map(|address| LiveMetrics::listen(address, scenario, &plan)).transpose()?;
    let running = generator::start(plan, start_at)?;
    let started_at = start_at.unwrap_or_else(|| OffsetDateTime::now_utc() + running.until_start());
    monitor.live = running.live();
    monitor.start(Instant::now() + running.until_start());
    while !running.is_finished() {
        let mut interrupted = interrupts.clone();
        tokio::select! {
            () = sleep(monitor.pause()) => {}
            () = interrupted.reach(1) => monitor.live.stop(),
        }
        // After an interrupt the wait returns immediately.
        if interrupts.count() > 0 {
            sleep(Duration::from_millis(50)).await;
        }
        if monitor.look(system, true).await {
            monitor.live.stop();
        }
    }
    let played = spawn_blocking(move || running.finish()).await.context("the generator")??;
    Ok(SentRun { played, started_at, monitor })
}

/// Samples processes and drain, and shows the state.
pub(super) struct RunMonitor {
    live: Arc<LiveCounts>,
    sampler: ProcessSampler,
    progress: ProgressLine,
    processes: Vec<(String, u32)>,
    started: Instant,
    interval: Duration,
    shown_at: Instant,
    windows: LiveWatch,
    drain: Option<DrainCounter>,
    abort: AbortWatch,
    metrics: Option<LiveMetrics>,
    /// The failure that ended the sending.
    broken: Option<String>,
    /// The breach that ended the sending.
    pub(super) aborted: Option<AbortedRun>,
}

impl RunMonitor {
    async fn new(system: &SystemUnderTest, scenario: &Scenario) -> anyhow::Result<Self> {
        let now = Instant::now();
        let drain = match &system.ledger.reader {
            Some(reader) => Some(DrainCounter::start(reader.another().await?).await?),
            None => None,
        };
        Ok(Self {
            live: Arc::default(),
            sampler: ProcessSampler::default(),
            progress: ProgressLine::new(drain.is_some().then_some(scenario.drain.rate)),
            processes: system.processes().await,
            started: now,
            interval: Duration::from_millis(u64::from(scenario.generator.interval_ms)),
            shown_at: now,
            windows: LiveWatch::new(now),
            drain,
            abort: AbortWatch::new(scenario),
            metrics: None,
            broken: None,
            aborted: None,
        })
    }

    /// `started`: the first planned request.
    fn start(&mut self, started: Instant) {
        (self.started, self.shown_at, self.windows) = (started, started, LiveWatch::new(started));
    }

    pub(super) fn finish(self) -> Vec<ProcessUse> {
        self.sampler.finish()
    }

    fn pause(&self) -> Duration {
        self.interval.min(progress::INTERVAL)
    }

    /// Samples processes and drain, shows the state and judges the abort rules when due. Returns true once a process of
    /// the run has failed or the run is aborted.
    async fn look(&mut self, system: &mut SystemUnderTest, sending: bool) -> bool {
        // A restarted process has another pid.
        if let Some((_, services)) = &system.launched {
            for (name, pid) in services.processes() {
                match self.processes.iter_mut().find(|(known, _)| *known == name) {
                    Some(known) => known.1 = pid,
                    None => self.processes.push((name, pid)),
                }
            }
        }
        let at_ms = self.started.elapsed().as_millis() as u64;
        self.sampler.look(at_ms, &self.processes);
        if self.shown_at.elapsed() < progress::INTERVAL || self.broken.is_some() {
            return self.is_over();
        }
        self.shown_at = Instant::now();
        let window = self.windows.next(&self.live);
        if sending && self.aborted.is_none() {
            self.aborted = self.abort.judge(&window);
        }
        let settled = match &mut self.drain {
            Some(drain) => Some(drain.settled().await),
            None => None,
        };
        if let Some(metrics) = &self.metrics {
            metrics.update(&window, settled);
        }
        self.progress.show(&window, settled, sending);
        if let Err(error) = system.inject_faults(settled.unwrap_or(0)).await {
            eprintln!("\nloadtest: {error:#}");
            self.broken = Some(format!("{error:#}"));
        }
        self.is_over()
    }

    const fn is_over(&self) -> bool {
        self.broken.is_some() || self.aborted.is_some()
    }
}
