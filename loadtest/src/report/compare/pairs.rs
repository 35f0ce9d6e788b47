//! Two timelines, paired by interval.

use std::collections::{BTreeMap, BTreeSet};

use super::MetricUnit;
use crate::report::{Interval, ProcessUse, RunReport};
use crate::scenario::Scenario;

/// Name of the metric that changes the meaning of latencies.
pub(super) const SHED_SHARE: &str = "shed_share";

/// Maximum ratio, either way: beyond it one of the two values was 0.
const RATIO_MAX: f64 = 1_000.0;

/// A metric over the intervals that both runs have.
pub(super) struct PairedSeries {
    pub name: String,
    pub label: String,
    pub unit: MetricUnit,
    pub scale: ChangeScale,
    pub more_is_better: bool,
    pub latency: bool,
    pub labels: ChangeLabels,
    pub pairs: Vec<IntervalPair>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeScale {
    /// By ratio: intervals of 100 and of 50,000 requests a second count alike.
    Ratio,
    /// By difference: the values are shares already, and may be 0.
    Share,
}

#[derive(Clone, Copy)]
pub(super) struct ChangeLabels {
    pub better: &'static str,
    pub worse: &'static str,
}

pub(super) struct IntervalPair {
    /// The segment of the load that the interval lies in.
    pub segment: usize,
    pub a: f64,
    pub b: f64,
}

const SPEED: ChangeLabels = ChangeLabels { better: "faster", worse: "slower" };
const SHEDDING: ChangeLabels = ChangeLabels { better: "sheds less", worse: "sheds more" };
const COST: ChangeLabels = ChangeLabels { better: "costs less", worse: "costs more" };

impl PairedSeries {
    pub(super) fn differences(&self) -> Vec<f64> {
        self.pairs.iter().map(|pair| self.difference(pair)).collect()
    }

    pub(super) fn segments(&self) -> Vec<Vec<f64>> {
        let mut segments: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for pair in &self.pairs {
            segments.entry(pair.segment).or_default().push(self.difference(pair));
        }
        segments.into_values().collect()
    }

    fn difference(&self, pair: &IntervalPair) -> f64 {
        match self.scale {
            ChangeScale::Share => pair.b - pair.a,
            ChangeScale::Ratio if pair.a == pair.b => 0.0,
            ChangeScale::Ratio => (pair.b / pair.a).clamp(1.0 / RATIO_MAX, RATIO_MAX).ln(),
        }
    }
}

struct PairedIntervals<'a> {
    both: Vec<(usize, &'a Interval, &'a Interval)>,
}

impl PairedIntervals<'_> {
    fn pairs(&self, value: impl Fn(&Interval) -> Option<f64>) -> Vec<IntervalPair> {
        let both = self.both.iter();
        both.filter_map(|(segment, a, b)| {
            Some(IntervalPair { segment: *segment, a: value(a)?, b: value(b)? })
        })
        .collect()
    }
}

pub(super) fn all(a: &RunReport, b: &RunReport) -> Vec<PairedSeries> {
    let paired = paired(a, b);
    let mut all = vec![
        PairedSeries {
            name: "accepted_per_s".to_owned(),
            label: "accepted a second".to_owned(),
            unit: MetricUnit::PerSecond,
            scale: ChangeScale::Ratio,
            more_is_better: true,
            latency: false,
            labels: SPEED,
            pairs: paired
                .pairs(|interval| (interval.planned > 0).then(|| per_s(interval, interval.accepted))),
        },
        PairedSeries {
            name: SHED_SHARE.to_owned(),
            label: "share of requests shed".to_owned(),
            unit: MetricUnit::Share,
            scale: ChangeScale::Share,
            more_is_better: false,
            latency: false,
            labels: SHEDDING,
            pairs: paired.pairs(|interval| {
                (interval.sent > 0 && interval.planned > 0)
                    .then(|| interval.shed as f64 / interval.sent as f64)
            }),
        },
    ];
    all.extend([
        latency(&paired, "p50", |interval| interval.p50_us),
        latency(&paired, "p90", |interval| interval.p90_us),
        latency(&paired, "p99", |interval| interval.p99_us),
    ]);
    if a.timeline.iter().chain(&b.timeline).any(|interval| interval.committed > 0) {
        all.push(PairedSeries {
            name: "committed_per_s".to_owned(),
            label: "committed a second".to_owned(),
            unit: MetricUnit::PerSecond,
            scale: ChangeScale::Ratio,
            more_is_better: true,
            latency: false,
            labels: SPEED,
            // Without orders to commit the drain was not slow.
            pairs: paired.pairs(|interval| {
                (interval.committed > 0 || interval.queued > 0).then(|| per_s(interval, interval.committed))
            }),
        });
    }
    all.extend(costs(a, b, &paired));
    all
}

fn latency(paired: &PairedIntervals<'_>, quantile: &str, value: fn(&Interval) -> u64) -> PairedSeries {
    PairedSeries {
        name: format!("{quantile}_us"),
        label: format!("latency {quantile}"),
        unit: MetricUnit::Microseconds,
        scale: ChangeScale::Ratio,
        more_is_better: false,
        latency: true,
        labels: SPEED,
        // An interval without a response has no latency.
        pairs: paired.pairs(|interval| (value(interval) > 0).then(|| value(interval) as f64)),
    }
}

/// CPU per order of each process that both runs have sampled.
fn costs(a: &RunReport, b: &RunReport, paired: &PairedIntervals<'_>) -> Vec<PairedSeries> {
    let names = |report: &RunReport| -> BTreeSet<String> {
        let sampled = report.processes.iter().filter(|process| !process.samples.is_empty());
        sampled.map(|process| process.name.clone()).collect()
    };
    let both: Vec<_> = names(a).intersection(&names(b)).cloned().collect();
    let series = both.into_iter().map(|name| {
        // The database's side works for committed orders, not for accepted ones.
        let drains = ["drain-worker", "database", "proxy"].iter().any(|drain| name.starts_with(drain));
        let (of, orders): (&str, fn(&Interval) -> u64) = if drains {
            ("committed", |interval| interval.committed)
        } else {
            ("accepted", |interval| interval.accepted)
        };
        let value = |processes: &[ProcessUse], interval: &Interval| {
            let cpu_us = cpu_s(processes, &name, interval)? * 1e6;
            (orders(interval) > 0).then(|| cpu_us / orders(interval) as f64)
        };
        let pairs = paired.both.iter().filter_map(|(segment, in_a, in_b)| {
            Some(IntervalPair {
                segment: *segment,
                a: value(&a.processes, in_a)?,
                b: value(&b.processes, in_b)?,
            })
        });
        PairedSeries {
            name: format!("cpu_us_per_{of}.{name}"),
            label: format!("CPU per {of} order, {name}"),
            unit: MetricUnit::Microseconds,
            scale: ChangeScale::Ratio,
            more_is_better: false,
            latency: false,
            labels: COST,
            pairs: pairs.collect(),
        }
    });
    series.collect()
}

/// CPU seconds of the processes called `name` in `interval`; `None` without a sample.
fn cpu_s(processes: &[ProcessUse], name: &str, interval: &Interval) -> Option<f64> {
    let (from, to) = (interval.at_ms as f64, (interval.at_ms + interval.length_ms) as f64);
    let (mut cpu_ms, mut told) = (0.0, false);
    for process in processes.iter().filter(|process| process.name == name) {
        let mut since = 0.0;
        for sample in &process.samples {
            // A sample covers the time since the previous one.
            let at = sample.at_ms as f64;
            let shared = at.min(to) - f64::max(since, from);
            if shared > 0.0 {
                cpu_ms += sample.cpus * shared;
                told = true;
            }
            since = at;
        }
    }
    told.then_some(cpu_ms / 1_000.0)
}

fn per_s(interval: &Interval, count: u64) -> f64 {
    if interval.length_ms == 0 { 0.0 } else { count as f64 * 1_000.0 / interval.length_ms as f64 }
}

fn paired<'a>(a: &'a RunReport, b: &'a RunReport) -> PairedIntervals<'a> {
    let of_b: BTreeMap<_, _> = whole(b).iter().map(|interval| (interval.at_ms, interval)).collect();
    let both = whole(a).iter().filter_map(|in_a| {
        let in_b = of_b.get(&in_a.at_ms).filter(|in_b| in_b.length_ms == in_a.length_ms)?;
        Some((segment(&a.scenario, in_a), in_a, *in_b))
    });
    PairedIntervals { both: both.collect() }
}

/// Complete intervals: in a run that was cut, the last one with requests is not.
fn whole(report: &RunReport) -> &[Interval] {
    let timeline = &report.timeline;
    let cut = timeline.iter().rposition(|interval| interval.sent > 0).filter(|_| report.is_cut());
    &timeline[..cut.unwrap_or(timeline.len())]
}

/// The scenario's phase at the middle of `interval`; after the last phase: the drain.
fn segment(scenario: &Scenario, interval: &Interval) -> usize {
    let middle_s = (interval.at_ms as f64 + interval.length_ms as f64 / 2.0) / 1_000.0;
    scenario.phase_ends_s().take_while(|end_s| *end_s <= middle_s).count()
}
