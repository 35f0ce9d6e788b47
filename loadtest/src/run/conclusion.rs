//! The report of a run that has ended.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{expect, timeline};
use crate::generator::RunResult;
use crate::ledger::Judgement;
use crate::report::{
    self, AbortedRun, GeneratorHealth, Machine, ProcessUse, RunInfo, RunReport, RunVerdict, ShardReport,
    TestedStack,
};
use crate::scenario::Scenario;

/// Everything that a report is made of.
#[derive(Debug)]
pub(super) struct RunEnd<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) played: &'a RunResult,
    pub(super) generator: GeneratorHealth,
    pub(super) surprises: Vec<String>,
    /// A failure of the ledger does not suppress the report.
    pub(super) judgement: anyhow::Result<Option<Judgement>>,
    pub(super) started_at: OffsetDateTime,
    pub(super) stack: TestedStack,
    pub(super) interrupted: bool,
    pub(super) aborted: Option<AbortedRun>,
    /// Versions of components.
    pub(super) parts: BTreeMap<String, String>,
    pub(super) machine: Machine,
    pub(super) processes: Vec<ProcessUse>,
    pub(super) shards: Vec<ShardReport>,
}

impl RunEnd<'_> {
    pub(super) fn report(self) -> anyhow::Result<RunReport> {
        let (played, scenario) = (self.played, self.scenario);
        let started_us = (self.started_at.unix_timestamp_nanos() / 1_000) as i64;
        let (judgement, ledger_error) = match self.judgement {
            Ok(judgement) => (judgement, None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let ended_us = started_us + played.took.as_micros() as i64;
        let drained_us = judgement.as_ref().and_then(|judgement| judgement.decisions.last_us());
        let run = RunInfo {
            started_at: self.started_at.format(&Rfc3339)?,
            played_ms: played.took.as_millis() as u64,
            drained_ms: drained_us.map_or(0, |last_us| (last_us - ended_us).max(0).unsigned_abs() / 1_000),
            stack: self.stack,
            interrupted: self.interrupted,
            aborted: self.aborted,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            parts: self.parts,
            machine: self.machine,
        };
        let mut intervals = played.timeline();
        if let Some(judgement) = &judgement {
            let decided = judgement.decisions.counts();
            let decided = decided.map(|(decided_us, orders)| (decided_us - started_us, orders as u64));
            timeline::add_drain(
                &mut intervals,
                scenario.generator.interval_ms,
                decided,
                played.rows_to_come(),
            );
        }
        let ledger = judgement.map(|judgement| judgement.verdict);
        let (totals, latency, generator) = (played.totals(), played.latencies(), self.generator);
        let measured =
            expect::measure(&totals, &latency, &generator, &intervals, ledger.as_ref(), scenario.drain.rate);
        let expectations =
            expect::compare_all(scenario, &measured, played.phases(), generator.latencies_valid);
        let mut report = RunReport {
            format: report::FORMAT,
            run,
            scenario: scenario.clone(),
            totals,
            latency,
            timeline: intervals,
            processes: self.processes,
            generator,
            shards: self.shards,
            ledger,
            ledger_error,
            expectations,
            surprises: self.surprises,
            verdict: RunVerdict::default(),
            not_judged: Vec::new(),
        };
        report.conclude();
        Ok(report)
    }
}
