//! Statistics of the writers, for metrics, the adaptive limit and the worker's report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::metrics;
use crate::store::CommitOutcome;

/// Number of latency buckets: upper bounds from 1 ms to 20 s, each half as much again, and one for longer ones.
const BUCKETS: usize = 26;

/// A histogram of commit latencies with fixed buckets, so that those of several workers can be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LatencyHistogram(Vec<u32>);

impl LatencyHistogram {
    pub fn record(&mut self, took: Duration) {
        let ms = took.as_secs_f64() * 1_000.0;
        let bucket = (ms.max(1.0).ln() / 1.5_f64.ln()).ceil() as usize;
        self.0.resize(BUCKETS, 0);
        if let Some(count) = self.0.get_mut(bucket.min(BUCKETS - 1)) {
            *count = count.saturating_add(1);
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.0.resize(BUCKETS.max(self.0.len()), 0);
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count = count.saturating_add(*more);
        }
    }

    /// Number of recorded latencies.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Upper bound of the bucket that contains the `quantile` (0 to 1), milliseconds. `None`: empty.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let total: u64 = self.0.iter().map(|&count| u64::from(count)).sum();
        let rank = (total as f64 * quantile).ceil().max(1.0) as u64;
        let mut below = 0;
        let bucket = self.0.iter().position(|&count| {
            below += u64::from(count);
            total > 0 && below >= rank
        })?;
        let exponent = i32::try_from(bucket).unwrap_or(i32::MAX);
        Some((1.5_f64.powi(exponent) * 10.0).round() / 10.0)
    }
}

/// Orders by outcome, since the worker started.
pub type OutcomeTotals = BTreeMap<String, u64>;

#[derive(Debug, Default)]
struct StatsState {
    by_outcome: BTreeMap<&'static str, u64>,
    settled: u64,
    latencies: LatencyHistogram,
    server_latencies: LatencyHistogram,
    failures: u32,
    writers: u32,
    committing: Duration,
    lock_wait: Duration,
}

/// The statistics since the previous call.
#[derive(Clone, Debug, Default)]
pub struct StatsDelta {
    /// Orders settled since the worker started, including duplicates and conflicts.
    pub settled: u64,
    pub by_outcome: OutcomeTotals,
    pub latencies: LatencyHistogram,
    /// The same without the waits for locks of other batches.
    pub server_latencies: LatencyHistogram,
    /// Transient failures of transactions since the previous call.
    pub failures: u32,
    /// Connections that write; 0: not known.
    pub writers: u32,
    /// Time that all commits together have taken since the worker started.
    pub committing: Duration,
    /// The part of `committing` in which they waited for locks.
    pub lock_wait: Duration,
}

#[derive(Clone, Debug, Default)]
pub struct WriterStats {
    state: Arc<Mutex<StatsState>>,
}

impl WriterStats {
    fn lock(&self) -> MutexGuard<'_, StatsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the number of connections that write.
    pub fn set_writers(&self, writers: usize) {
        self.lock().writers = u32::try_from(writers).unwrap_or(u32::MAX);
    }

    /// Records a commit's duration, and how much of it was a wait for locks.
    pub fn record_commit(&self, took: Duration, lock_wait: Duration) {
        metrics::commit_duration(took);
        let mut state = self.lock();
        state.latencies.record(took);
        state.server_latencies.record(took.saturating_sub(lock_wait));
        state.committing += took;
        state.lock_wait += lock_wait;
    }

    pub fn record_failure(&self) {
        metrics::commit_failed();
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
    }

    pub fn record_outcome(&self, kind: CommitOutcome) {
        metrics::order_outcome(kind);
        let mut state = self.lock();
        state.settled += 1;
        *state.by_outcome.entry(kind.as_str()).or_default() += 1;
    }

    /// Returns totals, and the changes since the previous call.
    #[must_use]
    pub fn take_delta(&self) -> StatsDelta {
        let mut state = self.lock();
        StatsDelta {
            settled: state.settled,
            by_outcome: state
                .by_outcome
                .iter()
                .map(|(&outcome, &orders)| (outcome.to_owned(), orders))
                .collect(),
            latencies: std::mem::take(&mut state.latencies),
            server_latencies: std::mem::take(&mut state.server_latencies),
            failures: std::mem::take(&mut state.failures),
            writers: state.writers,
            committing: state.committing,
            lock_wait: state.lock_wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_upper_bounds_of_their_buckets() {
        let mut latencies = LatencyHistogram::default();
        assert_eq!(latencies.quantile_ms(0.5), None);
        for ms in 1..=100 {
            latencies.record(Duration::from_millis(ms));
        }
        for (quantile, exact) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = latencies.quantile_ms(quantile).expect("counted");
            assert!((exact..=exact * 1.51).contains(&found), "{quantile}: {found}");
        }
        let mut both = LatencyHistogram::default();
        both.add(&latencies);
        both.add(&latencies);
        assert_eq!(both.quantile_ms(0.5), latencies.quantile_ms(0.5));
        both.record(Duration::from_secs(3_600));
        assert!(both.quantile_ms(1.0).expect("counted") > 20_000.0);
    }
}
