//! The last quarter of an hour, by second.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use tokio::time::Instant;

use super::view::{OUTCOMES, StatusView, instant_us};
use crate::pipeline::OutcomeTotals;
use crate::pool::{PoolSnapshot, WorkerReport};
use crate::store::LeaseId;

pub const SAMPLES_MAX: usize = 900;

/// The pool at one instant. Outcomes are per second, since the previous sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistorySample {
    /// RFC 3339, by the database's clock.
    pub at: String,
    pub cap: u32,
    /// Orders settled a second, including duplicates and conflicts, over about the last two seconds.
    pub committed: Option<f64>,
    pub lag_orders: Option<u64>,
    /// Seconds.
    pub oldest_age_s: Option<f64>,
    /// Milliseconds.
    pub p50_ms: Option<f64>,
    /// Milliseconds.
    pub p99_ms: Option<f64>,
    #[serde(flatten)]
    pub by_outcome: BTreeMap<&'static str, f64>,
}

/// The samples, and the base of the next one.
#[derive(Debug, Default)]
pub struct History {
    samples: VecDeque<HistorySample>,
    /// Settled orders of each worker at the last sample.
    before: BTreeMap<LeaseId, OutcomeTotals>,
    sampled_at: Option<Instant>,
}

impl History {
    #[must_use]
    pub fn samples(&self) -> Vec<HistorySample> {
        self.samples.iter().cloned().collect()
    }

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
            // A worker that joined had settled nothing before; one that left settles nothing more.
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
                // Averaged by each worker over its own clock: differences between two samples would include early and
                // late heartbeats and sometimes exceed the cap.
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
