//! What changed between two runs beyond noise.
//!
//! Both runs play the same schedule, so their timelines are paired, interval by interval, and the pairs' differences
//! tested (see [`signed_rank`]). A claim needs both: improbable as noise, after a correction for neighbours that move
//! together and for the number of figures looked at, and large enough to matter. What a run has only once (totals,
//! the time to drained) is shown without a claim. `docs/report.md` says what this can and cannot tell.

mod pairs;
mod scenario;
mod shown;
pub mod signed_rank;
mod table;

use serde::Serialize;

use super::{Report, Stack};
use pairs::{Pair, Scale, Series};

/// When a difference is a claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Highest chance of even one false claim in a comparison, 0 to 1.
    pub level: f64,
    /// Least change that matters, as a share of A's value.
    pub effect_min: f64,
    /// Least change of a share (of requests that were shed) that matters, as a difference: 0.01 is a point.
    pub share_effect_min: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: 0.05, effect_min: 0.05, share_effect_min: 0.01 }
    }
}

/// Two runs compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The first run: what is compared with.
    pub a: Run,
    /// The second.
    pub b: Run,
    /// Parameters of the scenario that differ.
    pub scenario_differences: Vec<ScenarioDifference>,
    /// What a reader should know before believing the rest.
    pub notes: Vec<String>,
    /// Figures with a claim, or the reason why there is none.
    pub judged: Vec<Judged>,
    /// Figures that a run has once.
    pub shown: Vec<Shown>,
    /// What it comes to.
    pub outcome: Outcome,
}

/// What a run was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its scenario's name.
    pub scenario: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// What stood behind the address.
    pub stack: Stack,
    /// Version of Spillway.
    pub version: String,
    /// Whether it passed.
    pub passed: bool,
}

/// A parameter that differs, as JSON; `null` where there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioDifference {
    /// Where it is: `clients.timeout_ms`, `phases.0.rps`.
    pub parameter: String,
    /// A's.
    pub a: serde_json::Value,
    /// B's.
    pub b: serde_json::Value,
    /// Whether it keeps latencies and rates from being compared.
    pub decisive: bool,
}

/// A figure that was tested.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Its name, with its unit.
    pub name: String,
    /// For people.
    pub label: String,
    /// What its values are.
    pub unit: Unit,
    /// Pairs of intervals.
    pub pairs: usize,
    /// Median over A's paired intervals.
    pub a: Option<f64>,
    /// Median over B's.
    pub b: Option<f64>,
    /// Typical change from A to B: a share of A's value, or for shares the difference.
    pub change: Option<f64>,
    /// Probability of such differences without a change, corrected for everything.
    pub p: Option<f64>,
    /// What follows.
    pub finding: Finding,
    /// The finding in words.
    pub words: String,
}

/// What can be said of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Better, beyond noise.
    Better,
    /// Worse, beyond noise.
    Worse,
    /// Nothing beyond noise, or too little to matter.
    NoChange,
    /// Even the clearest change could not be told from noise.
    TooFewIntervals,
    /// The two are not of a kind; the words say why.
    NotCompared,
}

/// A figure that is shown without a claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// Its name, with its unit.
    pub name: String,
    /// For people.
    pub label: String,
    /// What its values are.
    pub unit: Unit,
    /// A's; absent: it has none, or it is void.
    pub a: Option<f64>,
    /// B's.
    pub b: Option<f64>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A number of something.
    Count,
    /// So many a second.
    PerSecond,
    /// Microseconds.
    Microseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// 0 to 1.
    Share,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything could be compared, and nothing got worse.
    NothingWorse,
    /// Something got worse beyond noise, or B failed where A passed.
    Worse,
    /// Nothing was found worse, but not everything could be compared.
    Incomplete,
}

/// Compares `b` with `a`.
#[must_use]
pub fn compare(a: &Report, b: &Report, settings: Settings) -> Comparison {
    let scenario_differences = scenario::differences(&a.scenario, &b.scenario);
    let same_load = !scenario_differences.iter().any(|difference| difference.decisive);
    let series = pairs::all(a, b);
    let obstacles: Vec<_> = series.iter().map(|series| obstacle(series, a, b, same_load)).collect();
    let judged = judge(&series, &obstacles, settings);
    let (run_a, run_b) = (run(a), run(b));
    let outcome =
        if judged.iter().any(|judged| judged.finding == Finding::Worse) || (run_a.passed && !run_b.passed) {
            Outcome::Worse
        } else if judged
            .iter()
            .any(|judged| matches!(judged.finding, Finding::NotCompared | Finding::TooFewIntervals))
        {
            Outcome::Incomplete
        } else {
            Outcome::NothingWorse
        };
    let notes = notes(a, b, &judged);
    Comparison {
        a: run_a,
        b: run_b,
        scenario_differences,
        notes,
        judged,
        shown: shown::figures(a, b),
        outcome,
    }
}

fn run(report: &Report) -> Run {
    Run {
        scenario: report.scenario.name.clone(),
        started_at: report.run.started_at.clone(),
        stack: report.run.stack,
        version: report.run.version.clone(),
        passed: report.passed(),
    }
}

/// Why a figure of the two is not of a kind; `None` if it is.
fn obstacle(series: &Series, a: &Report, b: &Report, same_load: bool) -> Option<&'static str> {
    let void = [!a.generator.latencies_valid, !b.generator.latencies_valid];
    match void {
        _ if !same_load => Some("not compared: other scenario"),
        [true, true] if series.latency => Some("not compared: void in both"),
        [true, false] if series.latency => Some("not compared: void in A"),
        [false, true] if series.latency => Some("not compared: void in B"),
        _ => None,
    }
}

fn judge(series: &[Series], obstacles: &[Option<&'static str>], settings: Settings) -> Vec<Judged> {
    let tested = obstacles.iter().filter(|obstacle| obstacle.is_none()).count();
    let probabilities: Vec<_> = series
        .iter()
        .zip(obstacles)
        .filter(|(_, obstacle)| obstacle.is_none())
        .map(|(series, _)| probability(series))
        .collect();
    let mut corrected = signed_rank::holm(&probabilities).into_iter();
    let judged = series.iter().zip(obstacles).map(|(series, obstacle)| match obstacle {
        Some(reason) => unjudged(series, Finding::NotCompared, reason),
        None => {
            let p = corrected.next().unwrap_or(1.0);
            let could_not_tell = signed_rank::least_p(series.pairs.len()) * tested as f64 > settings.level;
            if could_not_tell {
                unjudged(series, Finding::TooFewIntervals, "too few intervals")
            } else {
                claim(series, p, settings)
            }
        }
    });
    judged.collect()
}

fn probability(series: &Series) -> f64 {
    let tested = signed_rank::signed_rank(&series.differences());
    signed_rank::corrected_for_neighbours(tested.p, &series.stretches())
}

fn claim(series: &Series, p: f64, settings: Settings) -> Judged {
    let typical = signed_rank::typical(&series.differences());
    let (change, least) = match series.scale {
        Scale::Ratio => (typical.exp() - 1.0, settings.effect_min),
        Scale::Share => (typical, settings.share_effect_min),
    };
    let finding = if p >= settings.level || change.abs() < least {
        Finding::NoChange
    } else if (change > 0.0) == series.more_is_better {
        Finding::Better
    } else {
        Finding::Worse
    };
    let words = match finding {
        Finding::Better => series.words.better,
        Finding::Worse => series.words.worse,
        _ => "no change beyond noise",
    };
    Judged { change: Some(change), p: Some(p), ..unjudged(series, finding, words) }
}

/// A figure with its values and without a claim.
fn unjudged(series: &Series, finding: Finding, words: &str) -> Judged {
    let middle = |value: fn(&Pair) -> f64| {
        let mut values: Vec<_> = series.pairs.iter().map(value).collect();
        // Values that are not of a kind are not shown side by side either.
        (finding != Finding::NotCompared && !values.is_empty()).then(|| signed_rank::median(&mut values))
    };
    Judged {
        name: series.name.clone(),
        label: series.label.clone(),
        unit: series.unit,
        pairs: series.pairs.len(),
        a: middle(|pair| pair.a),
        b: middle(|pair| pair.b),
        change: None,
        p: None,
        finding,
        words: words.to_owned(),
    }
}

/// What a reader should know first.
fn notes(a: &Report, b: &Report, judged: &[Judged]) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, report) in [("A", a), ("B", b)] {
        if !report.passed() {
            notes.push(format!("{name} failed: its figures are those of a run that went wrong"));
        }
        if report.run.interrupted {
            notes.push(format!("{name} was ended early: only what both played is compared"));
        }
        if let Some(because) =
            report.generator.void_because.as_ref().filter(|_| !report.generator.latencies_valid)
        {
            notes.push(format!("{name}'s latencies are void: {because}"));
        }
    }
    if a.run.stack != b.run.stack {
        notes.push("different stacks stood behind the address".to_owned());
    }
    if a.run.machine != b.run.machine {
        notes.push("the machines differ: so may every figure".to_owned());
    }
    let changed = |finding: Finding| matches!(finding, Finding::Better | Finding::Worse);
    if judged.iter().any(|judged| judged.name == pairs::SHED_SHARE && changed(judged.finding)) {
        notes.push(
            "the share of shed requests changed, and latencies are of every answer: read both together"
                .to_owned(),
        );
    }
    notes
}
