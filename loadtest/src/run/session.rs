//! One run: send, watch, wait for the drain, report.

use std::time::Duration;

use anyhow::Context;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::interrupt::Interrupts;
use super::ledger::{PlayedRun, keep_ledger};
use super::progress::ProgressLine;
use super::sampler::ProcessSampler;
use super::{expect, machine, timeline};
use crate::environment::SystemUnderTest;
use crate::generator::{self, LiveCounts, RunResult, SendPlan};
use crate::ledger::{DrainProgress, Judgement};
use crate::report::{self, RunInfo, RunReport, RunVerdict};
use crate::scenario::Scenario;

/// Time without progress after which the wait for the drain ends; longer than a killed worker's messages stay
/// invisible.
const STALL: Duration = Duration::from_secs(45);

/// Wait after the last expected row, in which unexpected rows (of unknown requests) appear.
const QUIET: Duration = Duration::from_secs(1);

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
        watch.look(system, &live, true).await?;
    }
    let played = spawn_blocking(move || running.finish()).await.context("the generator")??;
    let keeps_a_ledger = system.keeps_a_ledger();
    let (played, account) = spawn_blocking(move || {
        let account = played.account(keeps_a_ledger)?;
        anyhow::Ok((played, account))
    })
    .await
    .context("the account")??;
    let expected = account.attempts.settlements();
    let drained = watch.drain(system, &live, expected, interrupts).await?;
    let started_us = (started_at.unix_timestamp_nanos() / 1_000) as i64;
    let run =
        PlayedRun { played: &played, attempts: &account.attempts, clients: scenario.clients, started_us };
    let judgement = keep_ledger(system, scope, run, interrupts).await?;
    let parts = match &mut system.reader {
        Some(reader) => [("database".to_owned(), reader.version().await?)].into(),
        None => Default::default(),
    };
    let run = RunInfo {
        started_at: started_at.format(&Rfc3339)?,
        played_ms: played.took.as_millis() as u64,
        drained_ms: drained.as_millis() as u64,
        stack: system.stack,
        interrupted: interrupts.count() > 0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        parts,
        machine: machine::describe(),
    };
    let mut report = assemble(scenario, &played, run, judgement, started_us);
    report.processes = watch.sampler.finish();
    report.surprises = account.surprises;
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
}

impl RunMonitor {
    async fn new(system: &SystemUnderTest, scenario: &Scenario) -> anyhow::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            sampler: ProcessSampler::default(),
            progress: ProgressLine::new(system.reader.is_some().then_some(scenario.drain.rate)),
            processes: system.processes().await,
            started: now,
            interval: Duration::from_millis(u64::from(scenario.generator.interval_ms)),
            shown_at: now,
        })
    }

    fn pause(&self) -> Duration {
        self.interval.min(self.progress.interval())
    }

    /// Samples processes and database, and shows the state when due.
    async fn look(
        &mut self,
        system: &mut SystemUnderTest,
        live: &LiveCounts,
        sending: bool,
    ) -> anyhow::Result<Option<DrainProgress>> {
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
        if self.shown_at.elapsed() < self.progress.interval() {
            return Ok(None);
        }
        self.shown_at = Instant::now();
        let settled = match &mut system.reader {
            Some(reader) => Some(reader.settled().await?),
            None => None,
        };
        self.progress.show(live, settled, sending);
        system.inject_faults(settled.map_or(0, |settled| settled.rows)).await?;
        Ok(settled)
    }

    /// Waits until every accepted order is settled, or nothing changes any more. Returns the duration.
    async fn drain(
        &mut self,
        system: &mut SystemUnderTest,
        live: &LiveCounts,
        expected: u64,
        interrupts: &Interrupts,
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        if system.reader.is_none() {
            return Ok(Duration::ZERO);
        }
        let mut last = None;
        let mut moved_at = began;
        loop {
            let mut interrupted = interrupts.clone();
            tokio::select! {
                () = sleep(self.pause()) => {}
                () = interrupted.reach(2) => break,
            }
            let Some(settled) = self.look(system, live, false).await? else { continue };
            if last != Some(settled) {
                last = Some(settled);
                moved_at = Instant::now();
            }
            let complete = settled.rows + settled.conflicts >= expected;
            if (complete && moved_at.elapsed() >= QUIET) || moved_at.elapsed() >= STALL {
                break;
            }
        }
        self.progress.end();
        Ok(moved_at - began)
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
        expectations,
        surprises: Vec::new(),
        verdict: RunVerdict::default(),
        not_judged: Vec::new(),
    }
}
