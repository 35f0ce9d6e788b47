//! The last quarter of an hour, second by second.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use tokio::time::Instant;

use super::view::{OUTCOMES, StatusView, instant_us};
use crate::pipeline::OutcomeTotals;
use crate::pool::{PoolSnapshot, WorkerReport};
use crate::store::LeaseId;

/// Most samples kept.
pub const SAMPLES_MAX: usize = 900;

/// The pool at one instant. Outcomes are per second, since the sample before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistorySample {
    /// When, by the database's clock, RFC 3339.
    pub at: String,
    /// The cap.
    pub cap: u32,
    /// Orders settled a second, duplicates and conflicts too, over the last two seconds or so.
    pub committed: f64,
    /// Orders that wait, estimated.
    pub lag_orders: Option<u64>,
    /// Age of the oldest, seconds.
    pub oldest_age_s: Option<f64>,
    /// Commit latency, ms.
    pub p50_ms: Option<f64>,
    /// Commit latency, ms.
    pub p99_ms: Option<f64>,
    /// By outcome.
    #[serde(flatten)]
    pub by_outcome: BTreeMap<&'static str, f64>,
}

/// Samples, and what the next is counted from.
#[derive(Debug, Default)]
pub struct History {
    samples: VecDeque<HistorySample>,
    /// What each worker had settled at the last sample.
    before: BTreeMap<LeaseId, OutcomeTotals>,
    sampled_at: Option<Instant>,
}

impl History {
    /// Oldest first.
    #[must_use]
    pub fn samples(&self) -> Vec<HistorySample> {
        self.samples.iter().cloned().collect()
    }

    /// Takes a sample.
    pub fn push(&mut self, snapshot: &PoolSnapshot, status: &StatusView, now: Instant) {
        let totals: BTreeMap<LeaseId, OutcomeTotals> = snapshot
            .group
            .leases
            .iter()
            .map(|lease| (lease.id, WorkerReport::parse(&lease.report).totals))
            .collect();
        let seconds = self.sampled_at.replace(now).map(|before| (now - before).as_secs_f64());
        let new = |outcome: &str| -> u64 {
            let of = |totals: &OutcomeTotals| totals.get(outcome).copied().unwrap_or(0);
            // A worker that has just come settled nothing before; one that has gone settles nothing more.
            totals
                .iter()
                .map(|(lease, now)| of(now).saturating_sub(self.before.get(lease).map_or(0, of)))
                .sum()
        };
        if let Some(seconds) = seconds.filter(|seconds| *seconds > 0.0) {
            let by_outcome: BTreeMap<_, _> =
                OUTCOMES.iter().map(|&outcome| (outcome, new(outcome) as f64 / seconds)).collect();
            if self.samples.len() == SAMPLES_MAX {
                self.samples.pop_front();
            }
            self.samples.push_back(HistorySample {
                at: instant_us(snapshot.group.now_us),
                cap: status.cap.orders_per_second,
                // Averaged by each worker over its own clock: what is between two samples here came with heartbeats that
                // were a little early or late, and would now and then look like more than the cap.
                committed: status.committed_per_second,
                lag_orders: status.lag.orders,
                oldest_age_s: status.lag.oldest_age_s,
                p50_ms: status.commit_ms.p50,
                p99_ms: status.commit_ms.p99,
                by_outcome,
            });
        }
        self.before = totals;
    }
}
