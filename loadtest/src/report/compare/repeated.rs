//! The comparison of two groups of runs. Each run counts once, so the noise between runs counts too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use anyhow::{bail, ensure};
use serde::Serialize;

use super::rank_sum::{self, RUNS_MAX};
use super::table::{mark, probability, value};
use super::{
    CompareSettings, ComparedRun, ComparisonOutcome, Finding, MetricUnit, ScenarioDifference, run, scenario,
    signed_rank,
};
use crate::report::{RunReport, RunVerdict};
use crate::run::measure;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepeatedComparison {
    pub before: Vec<ComparedRun>,
    pub after: Vec<ComparedRun>,
    /// Parameters in which any run differs from the first one.
    pub scenario_differences: Vec<ScenarioDifference>,
    pub notes: Vec<String>,
    pub metrics: Vec<RepeatedMetric>,
    pub outcome: ComparisonOutcome,
    /// Confidence of each interval by itself, 0 to 1.
    pub confidence: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepeatedMetric {
    /// The name in `scenarios --measures`, or of a cost.
    pub name: String,
    pub unit: MetricUnit,
    /// Median of the runs before; absent: not comparable.
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// Typical shift from before to after (Hodges and Lehmann), in the metric's unit.
    pub shift: Option<f64>,
    /// Confidence interval of the shift; absent: too few runs.
    pub shift_min: Option<f64>,
    pub shift_max: Option<f64>,
    /// Probability of such a difference without a change, after the correction for the number of metrics.
    pub p: Option<f64>,
    pub finding: Finding,
    pub summary: String,
}

#[derive(Clone, Copy)]
struct MetricKind {
    unit: MetricUnit,
    more_is_better: bool,
    is_latency: bool,
}

/// A metric's values, one of each run that has it.
struct GroupedValues {
    name: String,
    kind: MetricKind,
    before: Vec<f64>,
    after: Vec<f64>,
}

/// Compares `before` with `after`. `only`: the metrics to compare; empty: all.
///
/// # Errors
/// If a group is empty or too large, a run is given twice, or no run has a metric of `only`.
pub fn compare_repeated(
    before: &[RunReport],
    after: &[RunReport],
    only: &[String],
    settings: CompareSettings,
) -> anyhow::Result<RepeatedComparison> {
    let all: Vec<_> = before.iter().chain(after).collect();
    let sizes = 1..=RUNS_MAX;
    ensure!(
        sizes.contains(&before.len()) && sizes.contains(&after.len()),
        "give 1 to {RUNS_MAX} runs on each side"
    );
    let is_twice = |index: usize| all[..index].contains(&all[index]);
    if let Some(index) = (0..all.len()).find(|index| is_twice(*index)) {
        bail!("the run of {} is given twice", all[index].run.started_at);
    }
    let mut metrics = grouped(before, after);
    if let Some(unknown) = only.iter().find(|name| metrics.iter().all(|metric| metric.name != **name)) {
        let known: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        bail!("no run has the metric `{unknown}`; use one of {}", known.join(", "));
    }
    metrics.retain(|metric| only.is_empty() || only.contains(&metric.name));
    let scenario_differences = differences(&all);
    let obstacle = obstacle_of_all(&all, &scenario_differences);
    let obstacles: Vec<_> =
        metrics.iter().map(|metric| obstacle.clone().or_else(|| metric.obstacle(before, after))).collect();
    let tested: Vec<_> = metrics
        .iter()
        .zip(&obstacles)
        .map(|(metric, obstacle)| obstacle.is_none() && metric.varies())
        .collect();
    let family = tested.iter().filter(|tested| **tested).count();
    let is_enough = rank_sum::least_p(before.len(), after.len()) * (family as f64) < settings.level;
    let probabilities: Vec<_> = metrics
        .iter()
        .zip(&tested)
        .filter(|(_, tested)| **tested)
        .map(|(metric, _)| rank_sum::rank_sum(&metric.before, &metric.after).p)
        .collect();
    let mut corrected = signed_rank::holm(&probabilities).into_iter();
    let judged = metrics.iter().zip(obstacles).zip(&tested).map(|((metric, obstacle), tested)| {
        let p = if *tested { corrected.next() } else { None };
        match (obstacle, p) {
            (Some(reason), _) => metric.unjudged(Finding::NotCompared, &reason),
            (None, None) => metric.unjudged(Finding::NoChange, "the same in all runs"),
            (None, Some(p)) => metric.judge(p, is_enough, settings),
        }
    });
    let metrics: Vec<_> = judged.collect();
    let mut notes = notes(&all);
    if !is_enough {
        notes.push(too_few(before.len(), after.len(), family, settings.level));
    }
    let (before, after): (Vec<_>, Vec<_>) =
        (before.iter().map(run).collect(), after.iter().map(run).collect());
    let outcome = outcome(&metrics, failed_newly(&before, &after));
    Ok(RepeatedComparison {
        before,
        after,
        scenario_differences,
        notes,
        metrics,
        outcome,
        confidence: 1.0 - settings.level,
    })
}

fn outcome(metrics: &[RepeatedMetric], failed_newly: bool) -> ComparisonOutcome {
    let has = |finding| metrics.iter().any(|metric| metric.finding == finding);
    if failed_newly || has(Finding::Worse) {
        ComparisonOutcome::Worse
    } else if has(Finding::NotCompared) || has(Finding::TooFewRuns) {
        ComparisonOutcome::Incomplete
    } else {
        ComparisonOutcome::NothingWorse
    }
}

/// True if a run after failed, and none before.
fn failed_newly(before: &[ComparedRun], after: &[ComparedRun]) -> bool {
    let failed = |runs: &[ComparedRun]| runs.iter().any(|run| run.verdict == RunVerdict::Failed);
    failed(after) && !failed(before)
}

impl MetricKind {
    /// `None`: more of it is neither better nor worse.
    fn of(name: &str) -> Option<Self> {
        let (unit, more_is_better, is_latency) = match name.split(['@', '.']).next()? {
            "sent_share" | "accepted_share" => (MetricUnit::Share, true, false),
            "shed_share" | "unknown_share" => (MetricUnit::Share, false, false),
            "retries" | "dead_letters" => (MetricUnit::Count, false, false),
            "p50_ms" | "p99_ms" | "p999_ms" => (MetricUnit::Milliseconds, false, true),
            "drained_s" => (MetricUnit::Seconds, false, false),
            "cpu_us_per_accepted" => (MetricUnit::Microseconds, false, false),
            "rss_max_bytes" => (MetricUnit::Bytes, false, false),
            _ => return None,
        };
        Some(Self { unit, more_is_better, is_latency })
    }
}

/// The metrics of one run by name: those that a scenario can expect, of its phases too, and costs.
fn values(report: &RunReport) -> BTreeMap<String, f64> {
    let RunReport { totals, latency, generator, timeline, .. } = report;
    let (ledger, rate) = (report.ledger.as_ref(), report.scenario.drain.rate);
    let measured = measure(totals, latency, generator, timeline, ledger, rate);
    let mut values: BTreeMap<_, _> =
        measured.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let of_phases = report.expectations.iter().filter(|each| each.name.contains('@'));
    values.extend(of_phases.filter_map(|each| Some((each.name.clone(), each.actual?))));
    if report.ledger.is_some() {
        values.insert("drained_s".to_owned(), report.run.drained_ms as f64 / 1_000.0);
    }
    for process in &report.processes {
        *values.entry(format!("rss_max_bytes.{}", process.name)).or_default() += process.rss_max_bytes as f64;
        if report.totals.accepted > 0 {
            let cpu_us = process.cpu_s * 1e6 / report.totals.accepted as f64;
            *values.entry(format!("cpu_us_per_accepted.{}", process.name)).or_default() += cpu_us;
        }
    }
    values
}

fn grouped(before: &[RunReport], after: &[RunReport]) -> Vec<GroupedValues> {
    let [before, after] = [before, after].map(|reports| reports.iter().map(values).collect::<Vec<_>>());
    let names: BTreeSet<_> = before.iter().chain(&after).flat_map(BTreeMap::keys).collect();
    let group = |name: &String, runs: &[BTreeMap<String, f64>]| -> Vec<f64> {
        runs.iter().filter_map(|values| values.get(name).copied()).collect()
    };
    let metrics = names.into_iter().filter_map(|name| {
        let kind = MetricKind::of(name)?;
        Some(GroupedValues {
            name: name.clone(),
            kind,
            before: group(name, &before),
            after: group(name, &after),
        })
    });
    metrics.collect()
}

fn differences(all: &[&RunReport]) -> Vec<ScenarioDifference> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let mut found: Vec<ScenarioDifference> = Vec::new();
    for difference in others.iter().flat_map(|other| scenario::differences(&first.scenario, &other.scenario))
    {
        if !found.contains(&difference) {
            found.push(difference);
        }
    }
    found
}

fn obstacle_of_all(all: &[&RunReport], differences: &[ScenarioDifference]) -> Option<String> {
    if differences.iter().any(|difference| difference.decisive) {
        return Some("not compared: different scenarios".to_owned());
    }
    let cut = all.iter().filter(|report| report.is_cut()).count();
    (cut > 0).then(|| format!("not compared: {cut} of {} runs broke off", all.len()))
}

fn notes(all: &[&RunReport]) -> Vec<String> {
    let mut notes = Vec::new();
    let Some((first, others)) = all.split_first() else { return notes };
    if others.iter().any(|other| other.run.stack != first.run.stack) {
        notes.push("the runs used different stacks".to_owned());
    }
    if others.iter().any(|other| other.run.machine != first.run.machine) {
        notes.push("the machines differ, so any metric may differ".to_owned());
    }
    notes
}

fn too_few(before: usize, after: usize, metrics: usize, level: f64) -> String {
    let suffice = |metrics| match rank_sum::runs_needed(metrics, level) {
        Some(runs) => format!("{runs} against {runs} (p {:.3} at best)", rank_sum::least_p(runs, runs)),
        None => format!("more than {RUNS_MAX} against {RUNS_MAX}"),
    };
    format!(
        "{before} against {after} runs reach p = {:.3} at best, which proves nothing about {metrics} metric(s) at {} %: \
         one metric, chosen with --metric, needs {}, and these {metrics} need {}",
        rank_sum::least_p(before, after),
        level * 100.0,
        suffice(1),
        suffice(metrics.max(1)),
    )
}

impl GroupedValues {
    fn varies(&self) -> bool {
        let first = self.before.first();
        self.before.iter().chain(&self.after).any(|value| Some(value) != first)
    }

    fn obstacle(&self, before: &[RunReport], after: &[RunReport]) -> Option<String> {
        let count =
            |reports: &[RunReport]| reports.iter().filter(|report| !report.generator.latencies_valid).count();
        let void = count(before) + count(after);
        let missing = before.len() + after.len() - self.before.len() - self.after.len();
        if self.kind.is_latency && void > 0 {
            Some(format!("not compared: void in {void} runs, repeat them"))
        } else if missing > 0 {
            Some(format!("not compared: missing in {missing} runs"))
        } else {
            None
        }
    }

    fn judge(&self, p: f64, is_enough: bool, settings: CompareSettings) -> RepeatedMetric {
        let shift = rank_sum::shift(&self.before, &self.after, settings.level);
        let (effect, least) = match self.kind.unit {
            MetricUnit::Share => (shift.typical, settings.share_effect_min),
            _ => (shift.typical / signed_rank::median(&mut self.before.clone()), settings.effect_min),
        };
        let (finding, summary) = if !is_enough {
            (Finding::TooFewRuns, "too few runs")
        } else if p >= settings.level || shift.typical == 0.0 || effect.abs() < least {
            (Finding::NoChange, "no change beyond noise")
        } else if (shift.typical > 0.0) == self.kind.more_is_better {
            (Finding::Better, "better")
        } else {
            (Finding::Worse, "WORSE")
        };
        let (shift_min, shift_max) = shift.interval.unzip();
        RepeatedMetric {
            shift: Some(shift.typical),
            shift_min,
            shift_max,
            p: Some(p),
            ..self.unjudged(finding, summary)
        }
    }

    /// The metric with its medians and without a claim.
    fn unjudged(&self, finding: Finding, summary: &str) -> RepeatedMetric {
        // Values that are not comparable are not shown side by side either.
        let middle = |values: &[f64]| {
            (finding != Finding::NotCompared).then(|| signed_rank::median(&mut values.to_vec()))
        };
        RepeatedMetric {
            name: self.name.clone(),
            unit: self.kind.unit,
            before: middle(&self.before),
            after: middle(&self.after),
            shift: None,
            shift_min: None,
            shift_max: None,
            p: None,
            finding,
            summary: summary.to_owned(),
        }
    }
}

impl Display for RepeatedComparison {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        for (group, runs) in [("before", &self.before), ("after ", &self.after)] {
            for run in runs {
                writeln!(to, "{group}  {run}")?;
            }
        }
        for difference in &self.scenario_differences {
            writeln!(to, "   {difference}")?;
        }
        for note in &self.notes {
            writeln!(to, "   note: {note}")?;
        }
        let width = self.metrics.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let interval = format!("{:.0} % interval of the shift", self.confidence * 100.0);
        writeln!(
            to,
            "\n{:<width$}  {:>12}  {:>12}  {:>12}  {interval:>28}  {:>7}",
            "Medians of the runs", "before", "after", "shift", "p"
        )?;
        for row in &self.metrics {
            let signed = |shift: Option<f64>| match shift {
                Some(shift) if shift < 0.0 => format!("-{}", value(row.unit, Some(-shift))),
                Some(shift) => format!("+{}", value(row.unit, Some(shift))),
                None => "-".to_owned(),
            };
            let interval = match row.shift_min {
                Some(_) => format!("{} to {}", signed(row.shift_min), signed(row.shift_max)),
                None => "-".to_owned(),
            };
            writeln!(
                to,
                "{:<width$}  {:>12}  {:>12}  {:>12}  {interval:>28}  {:>7}  {}{}",
                row.name,
                value(row.unit, row.before),
                value(row.unit, row.after),
                signed(row.shift),
                probability(row.p),
                mark(row.finding),
                row.summary
            )?;
        }
        let failed_newly = failed_newly(&self.before, &self.after);
        write!(
            to,
            "\n{}",
            self.outcome.message(failed_newly.then_some("a run after failed, and none before"))
        )
    }
}
