//! One run: send, watch, wait for the drain, report.

use std::time::Duration;

use anyhow::Context;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::drain_counter::DrainCounter;
use super::interrupt::Interrupts;
use super::ledger::{PlayedRun, keep_ledger};
use super::progress::ProgressLine;
use super::sampler::ProcessSampler;
use super::{expect, machine, timeline};
use crate::environment::SystemUnderTest;
use crate::generator::{self, LiveCounts, RunResult, SendPlan};
use crate::ledger::Judgement;
use crate::report::{self, RunInfo, RunReport, RunVerdict};
use crate::scenario::Scenario;

/// Plays `scenario` on `system` and reports. The first interrupt ends the sending, the second one the waiting.
///
/// # Errors
///
/// If the run could not be completed. Violations are part of the report.
pub async fn play(
    scenario: &Scenario,
    system: &mut SystemUnderTest,
    pin_to: &[usize],
    interrupts: &Interrupts,
) -> anyhow::Result<RunReport> {
    let mut plan = SendPlan::new(scenario, system.workload.clone(), system.target.clone());
    plan.pin_to = pin_to.to_vec();
    plan.keep_order_ids = !system.knows_order_ids;
    println!(
        "Playing {}: {} requests in {:.1} s, {:.0}/s at the peak; the drain's cap is {}/s\n",
        scenario.name,
        plan.schedule.requests(),
        plan.schedule.length().as_secs_f64(),
        plan.schedule.peak_rps(),
        scenario.drain.rate
    );
    let scope = system.begin_ledger().await?;
    let mut watch = RunMonitor::new(system, scenario).await?;
    let running = generator::start(plan)?;
    let started_at = OffsetDateTime::now_utc() + running.until_start();
    let live = running.live();
    watch.started = Instant::now() + running.until_start();
    while !running.is_finished() {
        let mut interrupted = interrupts.clone();
        tokio::select! {
            () = sleep(watch.pause()) => {}
            () = interrupted.reach(1) => live.stop(),
        }
        // After an interrupt the wait returns immediately.
        if interrupts.count() > 0 {
            sleep(Duration::from_millis(50)).await;
        }
        if watch.look(system, &live, true).await {
            live.stop();
        }
    }
    let played = spawn_blocking(move || running.finish()).await.context("the generator")??;
    let keeps_a_ledger = system.keeps_a_ledger();
    let (played, account) = spawn_blocking(move || {
        let account = played.account(keeps_a_ledger)?;
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
        let mut ledger = Box::pin(keep_ledger(&mut access, scope, run, interrupts));
        loop {
            tokio::select! {
                judgement = &mut ledger => break judgement,
                () = sleep(watch.pause()) => { watch.look(system, &live, false).await; }
            }
        }
    };
    watch.progress.end();
    let parts = match &mut access.reader {
        Some(reader) => {
            reader.version().await.map(|version| ("database".to_owned(), version)).into_iter().collect()
        }
        None => Default::default(),
    };
    system.ledger = access;
    // A failure of the ledger does not suppress the report.
    let (judgement, ledger_error) = match judgement {
        Ok(judgement) => (judgement, None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let ended_us = started_us + played.took.as_micros() as i64;
    let drained_us = judgement.as_ref().and_then(|judgement| judgement.decided_us.iter().max()).copied();
    let run = RunInfo {
        started_at: started_at.format(&Rfc3339)?,
        played_ms: played.took.as_millis() as u64,
        drained_ms: drained_us.map_or(0, |last_us| (last_us - ended_us).max(0).unsigned_abs() / 1_000),
        stack: system.stack,
        interrupted: interrupts.count() > 0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        parts,
        machine: machine::describe(),
    };
    let mut report = assemble(scenario, &played, run, judgement, started_us);
    report.processes = watch.sampler.finish();
    report.surprises = account.surprises;
    report.surprises.extend(watch.broken.map(|error| format!("the run broke off: {error}")));
    report.ledger_error = ledger_error;
    report.conclude();
    Ok(report)
}

struct RunMonitor {
    sampler: ProcessSampler,
    progress: ProgressLine,
    processes: Vec<(String, u32)>,
    started: Instant,
    interval: Duration,
    shown_at: Instant,
    drain: Option<DrainCounter>,
    /// The failure that ended the sending.
    broken: Option<String>,
}

impl RunMonitor {
    async fn new(system: &SystemUnderTest, scenario: &Scenario) -> anyhow::Result<Self> {
        let now = Instant::now();
        let drain = match &system.ledger.reader {
            Some(reader) => Some(DrainCounter::start(reader.another().await?).await?),
            None => None,
        };
        Ok(Self {
            sampler: ProcessSampler::default(),
            progress: ProgressLine::new(drain.is_some().then_some(scenario.drain.rate)),
            processes: system.processes().await,
            started: now,
            interval: Duration::from_millis(u64::from(scenario.generator.interval_ms)),
            shown_at: now,
            drain,
            broken: None,
        })
    }

    fn pause(&self) -> Duration {
        self.interval.min(self.progress.interval())
    }

    /// Samples processes and drain, and shows the state when due. Returns true once a process of the run has failed.
    async fn look(&mut self, system: &mut SystemUnderTest, live: &LiveCounts, sending: bool) -> bool {
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
        if self.shown_at.elapsed() < self.progress.interval() || self.broken.is_some() {
            return self.broken.is_some();
        }
        self.shown_at = Instant::now();
        let settled = match &mut self.drain {
            Some(drain) => Some(drain.settled().await),
            None => None,
        };
        self.progress.show(live, settled, sending);
        if let Err(error) = system.inject_faults(settled.unwrap_or(0)).await {
            eprintln!("\nloadtest: {error:#}");
            self.broken = Some(format!("{error:#}"));
        }
        self.broken.is_some()
    }
}

fn assemble(
    scenario: &Scenario,
    played: &RunResult,
    run: RunInfo,
    judgement: Option<Judgement>,
    started_us: i64,
) -> RunReport {
    let mut intervals = played.timeline();
    if let Some(judgement) = &judgement {
        let decided = judgement.decided_us.iter().map(|decided_us| decided_us - started_us);
        timeline::add_drain(&mut intervals, scenario.generator.interval_ms, decided, played.rows_to_come());
    }
    let ledger = judgement.map(|judgement| judgement.verdict);
    let (totals, latency, generator) = (played.totals(), played.latencies(), played.health());
    let measured =
        expect::measure(&totals, &latency, &generator, &intervals, ledger.as_ref(), scenario.drain.rate);
    let expectations = expect::compare(&scenario.expect, &measured, generator.latencies_valid);
    RunReport {
        format: report::FORMAT,
        run,
        scenario: scenario.clone(),
        totals,
        latency,
        timeline: intervals,
        processes: Vec::new(),
        generator,
        ledger,
        ledger_error: None,
        expectations,
        surprises: Vec::new(),
        verdict: RunVerdict::default(),
        not_judged: Vec::new(),
    }
}
