//! The pool's past: the last quarter of an hour by second, and the last day by minute.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use tokio::time::Instant;

use super::status::OUTCOMES;
use super::view::{StatusView, instant_us};
use crate::pipeline::OutcomeTotals;
use crate::pool::PoolSnapshot;
use crate::store::LeaseId;

/// Samples by second.
pub const SECONDS_MAX: usize = 900;

/// Samples by minute.
pub const MINUTES_MAX: usize = 1_440;

/// Time without a sample after which outcomes are counted anew: their average would hide the gap.
const GAP: Duration = Duration::from_secs(5);

const MINUTE_US: i64 = 60_000_000;

/// The resolution of the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryStep {
    #[default]
    Second,
    Minute,
}

impl HistoryStep {
    #[must_use]
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
        }
    }
}

/// The pool at one instant, or on average over one minute. Outcomes are per second, since the previous sample. `None`
/// and a missing sample mean the same: not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistorySample {
    /// µs by the database's clock, in JSON as RFC 3339; the start of a minute.
    #[serde(rename = "at", serialize_with = "as_instant")]
    pub at_us: i64,
    pub cap: u32,
    /// Orders settled a second, including duplicates and conflicts, over about the last two seconds.
    pub committed: Option<f64>,
    /// At the end of a minute.
    pub lag_orders: Option<u64>,
    /// Seconds; the maximum of a minute.
    pub oldest_age_s: Option<f64>,
    /// Milliseconds.
    pub p50_ms: Option<f64>,
    /// Milliseconds; the maximum of a minute.
    pub p99_ms: Option<f64>,
    #[serde(flatten)]
    pub by_outcome: BTreeMap<&'static str, f64>,
}

fn as_instant<S: Serializer>(at_us: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant_us(*at_us))
}

impl HistorySample {
    const fn minute(&self) -> i64 {
        self.at_us.div_euclid(MINUTE_US)
    }

    /// The samples of one minute as one. `None`: there are none.
    fn summary(samples: &[Self]) -> Option<Self> {
        let last = samples.last()?;
        let known = |of: fn(&Self) -> Option<f64>| samples.iter().filter_map(of).collect::<Vec<_>>();
        let mean = |values: Vec<f64>| {
            let count = values.len() as f64;
            (count > 0.0).then(|| values.iter().sum::<f64>() / count)
        };
        let largest = |values: Vec<f64>| values.into_iter().reduce(f64::max);
        let outcome =
            |outcome| mean(samples.iter().filter_map(|s| s.by_outcome.get(outcome).copied()).collect());
        Some(Self {
            at_us: last.minute() * MINUTE_US,
            cap: last.cap,
            committed: mean(known(|sample| sample.committed)),
            lag_orders: last.lag_orders,
            oldest_age_s: largest(known(|sample| sample.oldest_age_s)),
            p50_ms: mean(known(|sample| sample.p50_ms)),
            p99_ms: largest(known(|sample| sample.p99_ms)),
            by_outcome: OUTCOMES.iter().filter_map(|&name| Some((name, outcome(name)?))).collect(),
        })
    }
}

/// The samples, and the base of the next one.
#[derive(Debug, Default)]
pub(super) struct History {
    seconds: VecDeque<HistorySample>,
    minutes: VecDeque<HistorySample>,
    /// The samples of the minute that has not ended.
    minute: Vec<HistorySample>,
    /// Settled orders of each worker at the last sample.
    before: BTreeMap<LeaseId, OutcomeTotals>,
    /// When the last snapshot was read, and when it was sampled.
    sampled_at: Option<(Instant, Instant)>,
}

impl History {
    /// The samples after `since_us`, or all, oldest first.
    #[must_use]
    pub(super) fn samples(&self, step: HistoryStep, since_us: Option<i64>) -> Vec<HistorySample> {
        let samples = match step {
            HistoryStep::Second => &self.seconds,
            HistoryStep::Minute => &self.minutes,
        };
        samples.iter().filter(|sample| since_us.is_none_or(|since| sample.at_us > since)).cloned().collect()
    }

    /// Adds what `snapshot` shows; the same snapshot again has no effect.
    pub(super) fn push(&mut self, snapshot: &PoolSnapshot, status: &StatusView, now: Instant) {
        if self.sampled_at.is_some_and(|(read_at, _)| read_at == snapshot.at) {
            return;
        }
        let totals: BTreeMap<LeaseId, OutcomeTotals> =
            snapshot.reports.iter().map(|(lease, report)| (*lease, report.totals.clone())).collect();
        let before = self.sampled_at.replace((snapshot.at, now)).map(|(_, before)| now - before);
        let new = |outcome: &str| -> u64 {
            let of = |totals: &OutcomeTotals| totals.get(outcome).copied().unwrap_or(0);
            // A worker counts from its first sample on: one that joins again has counted before.
            let since =
                |lease, now| of(now).saturating_sub(self.before.get(lease).map_or_else(|| of(now), of));
            totals.iter().map(|(lease, now)| since(lease, now)).sum()
        };
        if let Some(passed) = before.filter(|passed| !passed.is_zero() && *passed <= GAP) {
            let seconds = passed.as_secs_f64();
            let by_outcome =
                OUTCOMES.iter().map(|&outcome| (outcome, new(outcome) as f64 / seconds)).collect();
            let sample = HistorySample {
                // Whole milliseconds, as in JSON: `since` is the instant of a sample.
                at_us: snapshot.group.now_us.div_euclid(1_000) * 1_000,
                cap: status.cap.orders_per_second,
                // Averaged by each worker over its own clock: differences between two samples would include early and
                // late heartbeats and sometimes exceed the cap.
                committed: status.committed_per_second,
                lag_orders: status.lag.orders,
                oldest_age_s: status.lag.oldest_age_s,
                p50_ms: status.commit_ms.p50,
                p99_ms: status.commit_ms.p99,
                by_outcome,
            };
            if self.minute.last().is_some_and(|last| last.minute() != sample.minute()) {
                let summary = HistorySample::summary(&std::mem::take(&mut self.minute));
                summary.into_iter().for_each(|summary| keep(&mut self.minutes, summary, MINUTES_MAX));
            }
            self.minute.push(sample.clone());
            keep(&mut self.seconds, sample, SECONDS_MAX);
        }
        self.before = totals;
    }
}

fn keep(samples: &mut VecDeque<HistorySample>, sample: HistorySample, samples_max: usize) {
    if samples.len() == samples_max {
        samples.pop_front();
    }
    samples.push_back(sample);
}
