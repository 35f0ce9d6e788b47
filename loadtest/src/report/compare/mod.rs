//! The comparison of two runs, or of two groups of runs: what changed beyond noise.
//!
//! Two runs play the same schedule. Their timelines are paired by interval and the differences are tested (see
//! [`signed_rank`]). A claim needs two conditions: improbable as noise, after corrections for correlated neighbours and
//! for the number of metrics, and large enough to matter. Metrics that a run has only once (totals, the time to
//! drained) are shown without a claim. Of groups
//! of runs, each run is one observation (see [`rank_sum`]). `docs/report.md` describes the limits.

mod informational;
mod pairs;
pub mod rank_sum;
mod repeated;
mod scenario;
pub mod signed_rank;
mod table;

use serde::Serialize;

use super::{RunReport, RunVerdict, TestedStack};
use pairs::{ChangeScale, IntervalPair, PairedSeries};

pub use repeated::{RepeatedComparison, RepeatedMetric, compare_repeated};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompareSettings {
    /// Maximum probability of any false claim in a comparison, 0 to 1.
    pub level: f64,
    /// Minimum change that matters, as a share of A's value.
    pub effect_min: f64,
    /// Minimum change of a share (of shed requests) that matters, as a difference: 0.01 is a percentage point.
    pub share_effect_min: f64,
}

impl Default for CompareSettings {
    fn default() -> Self {
        Self { level: 0.05, effect_min: 0.05, share_effect_min: 0.01 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The baseline.
    pub a: ComparedRun,
    pub b: ComparedRun,
    pub scenario_differences: Vec<ScenarioDifference>,
    pub notes: Vec<String>,
    /// Metrics with a claim, or with the reason why there is none.
    pub tested: Vec<TestedMetric>,
    pub informational: Vec<InformationalMetric>,
    pub outcome: ComparisonOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedRun {
    pub scenario: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub stack: TestedStack,
    pub version: String,
    pub verdict: RunVerdict,
}

/// A parameter that differs, as JSON; `null` where it is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioDifference {
    pub parameter: String,
    pub a: serde_json::Value,
    pub b: serde_json::Value,
    pub decisive: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestedMetric {
    pub name: String,
    pub label: String,
    pub unit: MetricUnit,
    pub pairs: usize,
    pub a: Option<f64>,
    pub b: Option<f64>,
    /// Typical change from A to B: a share of A's value, or for shares the difference.
    pub change: Option<f64>,
    /// Probability of such differences without a change, after all corrections.
    pub p: Option<f64>,
    pub finding: Finding,
    pub summary: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    Better,
    Worse,
    /// No change beyond noise, or too small to matter.
    NoChange,
    /// Even the clearest change could not be distinguished from noise.
    TooFewIntervals,
    /// Even groups without an overlap could not be distinguished from noise.
    TooFewRuns,
    /// The two are not comparable; the summary says why.
    NotCompared,
}

/// A metric that is shown without a claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InformationalMetric {
    pub name: String,
    pub label: String,
    pub unit: MetricUnit,
    /// A's value; absent: none, or void.
    pub a: Option<f64>,
    pub b: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricUnit {
    Count,
    PerSecond,
    Microseconds,
    Milliseconds,
    Seconds,
    Bytes,
    /// 0 to 1.
    Share,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonOutcome {
    /// Everything was compared, and nothing is worse.
    NothingWorse,
    /// Something is worse beyond noise, or B failed where A did not.
    Worse,
    /// Nothing was found worse, but not everything could be compared.
    Incomplete,
}

pub fn compare(a: &RunReport, b: &RunReport, settings: CompareSettings) -> Comparison {
    let scenario_differences = scenario::differences(&a.scenario, &b.scenario);
    let same_load = !scenario_differences.iter().any(|difference| difference.decisive);
    let series = pairs::all(a, b);
    let obstacles: Vec<_> = series.iter().map(|series| obstacle(series, a, b, same_load)).collect();
    let tested = test_series(&series, &obstacles, settings);
    let (run_a, run_b) = (run(a), run(b));
    let outcome =
        if tested.iter().any(|tested| tested.finding == Finding::Worse) || run_b.failed_newly(&run_a) {
            ComparisonOutcome::Worse
        } else if tested
            .iter()
            .any(|tested| matches!(tested.finding, Finding::NotCompared | Finding::TooFewIntervals))
        {
            ComparisonOutcome::Incomplete
        } else {
            ComparisonOutcome::NothingWorse
        };
    let notes = notes(a, b, &tested);
    Comparison {
        a: run_a,
        b: run_b,
        scenario_differences,
        notes,
        tested,
        informational: informational::metrics(a, b),
        outcome,
    }
}

impl ComparedRun {
    /// A run that was not judged did not fail.
    fn failed_newly(&self, before: &Self) -> bool {
        self.verdict == RunVerdict::Failed && before.verdict != RunVerdict::Failed
    }
}

fn run(report: &RunReport) -> ComparedRun {
    ComparedRun {
        scenario: report.scenario.name.clone(),
        started_at: report.run.started_at.clone(),
        stack: report.run.stack,
        version: report.run.version.clone(),
        verdict: report.verdict,
    }
}

/// The reason why a metric of the two runs is not comparable; `None` if it is.
fn obstacle(series: &PairedSeries, a: &RunReport, b: &RunReport, same_load: bool) -> Option<&'static str> {
    let void = [!a.generator.latencies_valid, !b.generator.latencies_valid];
    match void {
        _ if !same_load => Some("not compared: different scenarios"),
        [true, true] if series.latency => Some("not compared: void in both"),
        [true, false] if series.latency => Some("not compared: void in A"),
        [false, true] if series.latency => Some("not compared: void in B"),
        _ => None,
    }
}

fn test_series(
    series: &[PairedSeries],
    obstacles: &[Option<&'static str>],
    settings: CompareSettings,
) -> Vec<TestedMetric> {
    let tested = obstacles.iter().filter(|obstacle| obstacle.is_none()).count();
    let probabilities: Vec<_> = series
        .iter()
        .zip(obstacles)
        .filter(|(_, obstacle)| obstacle.is_none())
        .map(|(series, _)| probability(series))
        .collect();
    let mut corrected = signed_rank::holm(&probabilities).into_iter();
    let tested = series.iter().zip(obstacles).map(|(series, obstacle)| match obstacle {
        Some(reason) => untested(series, Finding::NotCompared, reason),
        None => {
            let p = corrected.next().unwrap_or(1.0);
            let could_not_tell = signed_rank::least_p(series.pairs.len()) * tested as f64 > settings.level;
            if could_not_tell {
                untested(series, Finding::TooFewIntervals, "too few intervals")
            } else {
                claim(series, p, settings)
            }
        }
    });
    tested.collect()
}

fn probability(series: &PairedSeries) -> f64 {
    let tested = signed_rank::signed_rank(&series.differences());
    signed_rank::corrected_for_neighbours(tested.p, &series.segments())
}

fn claim(series: &PairedSeries, p: f64, settings: CompareSettings) -> TestedMetric {
    let typical = signed_rank::typical(&series.differences());
    let (change, least) = match series.scale {
        ChangeScale::Ratio => (typical.exp() - 1.0, settings.effect_min),
        ChangeScale::Share => (typical, settings.share_effect_min),
    };
    let finding = if p >= settings.level || change.abs() < least {
        Finding::NoChange
    } else if (change > 0.0) == series.more_is_better {
        Finding::Better
    } else {
        Finding::Worse
    };
    let summary = match finding {
        Finding::Better => series.labels.better,
        Finding::Worse => series.labels.worse,
        _ => "no change beyond noise",
    };
    TestedMetric { change: Some(change), p: Some(p), ..untested(series, finding, summary) }
}

/// A metric with its values and without a claim.
fn untested(series: &PairedSeries, finding: Finding, summary: &str) -> TestedMetric {
    let middle = |value: fn(&IntervalPair) -> f64| {
        let mut values: Vec<_> = series.pairs.iter().map(value).collect();
        // Values that are not comparable are not shown side by side either.
        (finding != Finding::NotCompared && !values.is_empty()).then(|| signed_rank::median(&mut values))
    };
    TestedMetric {
        name: series.name.clone(),
        label: series.label.clone(),
        unit: series.unit,
        pairs: series.pairs.len(),
        a: middle(|pair| pair.a),
        b: middle(|pair| pair.b),
        change: None,
        p: None,
        finding,
        summary: summary.to_owned(),
    }
}

fn notes(a: &RunReport, b: &RunReport, tested: &[TestedMetric]) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, report) in [("A", a), ("B", b)] {
        if !report.passed() {
            let verdict = if report.verdict == RunVerdict::Failed { "failed" } else { "was not judged" };
            notes.push(format!("{name} {verdict}: its metrics are those of such a run"));
        }
        if report.is_cut() {
            let how = if report.run.aborted.is_some() { "aborted" } else { "interrupted" };
            notes.push(format!("{name} was {how}: only the intervals of both runs are compared"));
        }
        if let Some(because) =
            report.generator.void_because.as_ref().filter(|_| !report.generator.latencies_valid)
        {
            notes.push(format!("{name}'s latencies are void: {because}"));
        }
    }
    if a.run.stack != b.run.stack {
        notes.push("the runs used different stacks".to_owned());
    }
    if a.run.machine != b.run.machine {
        notes.push("the machines differ, so any metric may differ".to_owned());
    }
    let changed = |finding: Finding| matches!(finding, Finding::Better | Finding::Worse);
    if tested.iter().any(|tested| tested.name == pairs::SHED_SHARE && changed(tested.finding)) {
        notes.push(
            "the share of shed requests changed, and latencies include shed responses: read both together"
                .to_owned(),
        );
    }
    notes
}
