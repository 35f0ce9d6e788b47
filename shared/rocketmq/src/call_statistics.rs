//! Counts and latencies of calls, by topic and server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::endpoints::Endpoints;
use crate::error::ClientError;

/// Upper bounds of the buckets of a [`LatencyHistogram`], in milliseconds. One more bucket has no bound.
const BOUNDS_MS: [u64; 15] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000];
const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// Maximum combinations of call, topic and server. Calls of further ones are counted in the totals only.
const ENTRIES_MAX: usize = 1_024;

/// A kind of call that [`crate::Statistics::calls`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallKind {
    /// SendMessage, each attempt.
    Send,
    /// ReceiveMessage, the long poll included.
    Receive,
    /// AckMessage, of up to 64 messages.
    Ack,
    /// ChangeInvisibleDuration: an extension or a nack.
    ChangeInvisibleDuration,
}

/// Calls of one kind for one topic to one server, since the client was created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallStatistics {
    /// Kind of the calls.
    pub kind: CallKind,
    /// Name of the topic.
    pub topic: String,
    /// Addresses of the server.
    pub endpoints: Endpoints,
    /// Calls that failed, throttled ones included.
    pub failures: u64,
    /// Calls that the server throttled.
    pub throttled: u64,
    /// Latency of the calls that succeeded.
    pub latency: LatencyHistogram,
}

/// Numbers of calls by latency, in buckets with fixed bounds from 1 ms to 60 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyHistogram {
    counts: [u64; BUCKETS],
}

impl LatencyHistogram {
    /// Number of calls.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The buckets in ascending order: upper bound, `None` for the last, and number of calls.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS_MS.into_iter().map(|bound| Some(Duration::from_millis(bound))).chain([None]);
        bounds.zip(self.counts)
    }

    /// Returns the upper bound of the bucket in which the quantile lies, 0.5 for the median. `None` without calls, or beyond
    /// 60 s.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let total = self.count();
        let mut seen = 0;
        let bucket = self.buckets().find(|(_, count)| {
            seen += count;
            seen > 0 && seen as f64 >= quantile.clamp(0.0, 1.0) * total as f64
        });
        bucket?.0
    }
}

/// The live counts behind [`CallStatistics`].
#[derive(Debug, Default)]
pub(crate) struct CallRecorder {
    entries: RwLock<Vec<Arc<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    kind: CallKind,
    topic: String,
    endpoints: Endpoints,
    failures: AtomicU64,
    throttled: AtomicU64,
    counts: [AtomicU64; BUCKETS],
}

impl CallRecorder {
    /// Counts a call that took `latency`.
    pub(crate) fn record<T>(
        &self,
        kind: CallKind,
        topic: &str,
        endpoints: &Endpoints,
        latency: Duration,
        result: &Result<T, ClientError>,
    ) {
        let Some(entry) = self.entry(kind, topic, endpoints) else { return };
        let counter = match result {
            Ok(_) => {
                let bucket = BOUNDS_MS.partition_point(|bound| Duration::from_millis(*bound) < latency);
                &entry.counts[bucket]
            }
            Err(error) => {
                if matches!(error, ClientError::Throttled { .. }) {
                    entry.throttled.fetch_add(1, Ordering::Relaxed);
                }
                &entry.failures
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn entry(&self, kind: CallKind, topic: &str, endpoints: &Endpoints) -> Option<Arc<Entry>> {
        let find = |entries: &[Arc<Entry>]| {
            let is_it = |entry: &&Arc<Entry>| {
                entry.kind == kind && entry.topic == topic && entry.endpoints == *endpoints
            };
            entries.iter().find(is_it).cloned()
        };
        if let Some(entry) = find(&self.entries.read().unwrap_or_else(PoisonError::into_inner)) {
            return Some(entry);
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let found = find(&entries);
        if found.is_some() || entries.len() >= ENTRIES_MAX {
            return found;
        }
        let entry = Arc::new(Entry {
            kind,
            topic: topic.to_owned(),
            endpoints: endpoints.clone(),
            failures: AtomicU64::default(),
            throttled: AtomicU64::default(),
            counts: Default::default(),
        });
        entries.push(entry.clone());
        Some(entry)
    }

    pub(crate) fn snapshot(&self) -> Vec<CallStatistics> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let of_entry = |entry: &Arc<Entry>| CallStatistics {
            kind: entry.kind,
            topic: entry.topic.clone(),
            endpoints: entry.endpoints.clone(),
            failures: load(&entry.failures),
            throttled: load(&entry.throttled),
            latency: LatencyHistogram { counts: entry.counts.each_ref().map(load) },
        };
        entries.iter().map(of_entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn endpoints(port: usize) -> Endpoints {
        format!("127.0.0.1:{port}").parse().expect("valid")
    }

    #[test]
    fn latencies_are_counted_in_their_buckets() {
        let recorder = CallRecorder::default();
        let record = |latency| recorder.record(CallKind::Send, "orders", &endpoints(1), latency, &Ok(()));
        assert!(recorder.snapshot().is_empty());
        for latency in [Duration::ZERO, MS, MS * 3 / 2, 5 * MS, 700 * MS, 90_000 * MS] {
            record(latency);
        }
        let throttled: Result<(), _> = Err(ClientError::Throttled { message: String::new() });
        recorder.record(CallKind::Send, "orders", &endpoints(1), MS, &throttled);
        recorder.record(CallKind::Send, "orders", &endpoints(1), MS, &Err::<(), _>(ClientError::Closed));
        let statistics = recorder.snapshot().remove(0);
        assert_eq!((statistics.failures, statistics.throttled, statistics.latency.count()), (2, 1, 6));
        let full: Vec<_> = statistics.latency.buckets().filter(|(_, count)| *count > 0).collect();
        let bound = |ms: u32| Some(ms * MS);
        assert_eq!(full, [(bound(1), 2), (bound(2), 1), (bound(5), 1), (bound(1_000), 1), (None, 1)]);
        let quantiles = [0.0, 0.5, 0.66, 0.8, 1.0].map(|it| statistics.latency.quantile(it));
        assert_eq!(quantiles, [bound(1), bound(2), bound(5), bound(1_000), None]);
        assert_eq!(LatencyHistogram::default().quantile(0.5), None);
    }

    #[test]
    fn the_entries_are_bounded() {
        let recorder = CallRecorder::default();
        for port in 1..=2 * ENTRIES_MAX {
            recorder.record(CallKind::Ack, "orders", &endpoints(port), MS, &Ok(()));
        }
        assert_eq!(recorder.snapshot().len(), ENTRIES_MAX);
    }
}
