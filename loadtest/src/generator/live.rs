//! Live counts for the progress line.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hdrhistogram::Histogram;

use super::end_counts::EndCounts;
use super::in_flight::{InFlight, RequestEnd};

/// Counts so far. Threads update them ten times a second, not with each request.
#[derive(Debug)]
pub(crate) struct LiveCounts {
    pub sent: AtomicU64,
    pub accepted: AtomicU64,
    /// Accepted new orders: each will become one row.
    pub accepted_own: AtomicU64,
    pub shed: AtomicU64,
    pub refused: AtomicU64,
    pub unknown: AtomicU64,
    pub unsent: AtomicU64,
    recent: Mutex<RecentLatency>,
    pub(super) stop: AtomicBool,
}

#[derive(Debug)]
struct RecentLatency {
    latency: Histogram<u64>,
    send_delay_us_max: u64,
}

/// Counts of one thread since its last update.
#[derive(Debug)]
pub(super) struct ThreadTally {
    pub(super) sent: u64,
    ends: EndCounts,
    latency: Histogram<u64>,
    pub(super) send_delay_us_max: u64,
}

fn histogram() -> Histogram<u64> {
    Histogram::new(2).unwrap_or_else(|_| unreachable!("two digits are allowed"))
}

impl Default for LiveCounts {
    fn default() -> Self {
        Self {
            sent: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            accepted_own: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            recent: Mutex::new(RecentLatency { latency: histogram(), send_delay_us_max: 0 }),
            stop: AtomicBool::new(false),
        }
    }
}

impl LiveCounts {
    /// The p99 latency since the last call, and the maximum send delay since then, both microseconds.
    pub(crate) fn take_recent(&self) -> (u64, u64) {
        let Ok(mut recent) = self.recent.lock() else { return (0, 0) };
        let p99_us = if recent.latency.is_empty() { 0 } else { recent.latency.value_at_quantile(0.99) };
        recent.latency.reset();
        (p99_us, std::mem::take(&mut recent.send_delay_us_max))
    }

    /// Plans no more requests; requests in flight are awaited.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl ThreadTally {
    pub(super) fn new() -> Self {
        Self { sent: 0, ends: EndCounts::default(), latency: histogram(), send_delay_us_max: 0 }
    }

    pub(super) fn ended(&mut self, flight: &InFlight, end: RequestEnd, latency_us: u64) {
        self.ends.count(flight, end);
        if end == RequestEnd::Accepted {
            // The histogram grows as needed.
            let _recorded = self.latency.record(latency_us);
        }
    }

    pub(super) fn publish(&mut self, live: &LiveCounts) {
        let counts = [
            (&live.sent, &mut self.sent),
            (&live.accepted, &mut self.ends.accepted),
            (&live.accepted_own, &mut self.ends.accepted_own),
            (&live.shed, &mut self.ends.shed),
            (&live.refused, &mut self.ends.refused),
            (&live.unknown, &mut self.ends.unknown),
            (&live.unsent, &mut self.ends.unsent),
        ];
        for (shared, own) in counts {
            shared.fetch_add(std::mem::take(own), Ordering::Relaxed);
        }
        if let Ok(mut recent) = live.recent.lock() {
            // Both histograms grow as needed.
            let _added = recent.latency.add(&self.latency);
            recent.send_delay_us_max = recent.send_delay_us_max.max(self.send_delay_us_max);
        }
        self.latency.reset();
        self.send_delay_us_max = 0;
    }
}
