//! Live counts: for the progress line, the abort rules and scrapes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hdrhistogram::Histogram;

use super::end_counts::EndCounts;
use super::in_flight::{InFlight, LatencyKind, RequestEnd};

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

/// The counts at one time, or within a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveSnapshot {
    pub sent: u64,
    pub accepted: u64,
    pub accepted_own: u64,
    pub shed: u64,
    pub refused: u64,
    pub unknown: u64,
    pub unsent: u64,
}

#[derive(Debug)]
struct RecentLatency {
    latency: Histogram<u64>,
    send_delay: Histogram<u64>,
}

/// Counts of one thread since its last update.
#[derive(Debug)]
pub(super) struct ThreadTally {
    pub(super) sent: u64,
    ends: EndCounts,
    latency: Histogram<u64>,
    send_delay: Histogram<u64>,
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
            recent: Mutex::new(RecentLatency { latency: histogram(), send_delay: histogram() }),
            stop: AtomicBool::new(false),
        }
    }
}

impl LiveCounts {
    pub(crate) fn snapshot(&self) -> LiveSnapshot {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LiveSnapshot {
            sent: load(&self.sent),
            accepted: load(&self.accepted),
            accepted_own: load(&self.accepted_own),
            shed: load(&self.shed),
            refused: load(&self.refused),
            unknown: load(&self.unknown),
            unsent: load(&self.unsent),
        }
    }

    /// Latencies of accepted requests and of those without a response, and send delays, since the last call;
    /// microseconds.
    pub(crate) fn take_recent(&self) -> (Histogram<u64>, Histogram<u64>) {
        let mut taken = (histogram(), histogram());
        if let Ok(mut recent) = self.recent.lock() {
            std::mem::swap(&mut taken.0, &mut recent.latency);
            std::mem::swap(&mut taken.1, &mut recent.send_delay);
        }
        taken
    }

    /// Plans no more requests; requests in flight are awaited.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl LiveSnapshot {
    pub(crate) const fn since(&self, before: &Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(before.sent),
            accepted: self.accepted - before.accepted,
            accepted_own: self.accepted_own - before.accepted_own,
            shed: self.shed - before.shed,
            refused: self.refused - before.refused,
            unknown: self.unknown - before.unknown,
            unsent: self.unsent - before.unsent,
        }
    }
}

impl ThreadTally {
    pub(super) fn new() -> Self {
        Self { sent: 0, ends: EndCounts::default(), latency: histogram(), send_delay: histogram() }
    }

    pub(super) fn ended(&mut self, flight: &InFlight, end: RequestEnd, latency_us: u64) {
        self.ends.count(flight, end);
        if let Some(LatencyKind::Accepted | LatencyKind::Censored) = end.latency_kind(flight) {
            // Both histograms grow as needed.
            let _recorded = self.latency.record(latency_us);
        }
    }

    pub(super) fn delayed(&mut self, send_delay_us: u64) {
        let _recorded = self.send_delay.record(send_delay_us);
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
            let _added = recent.send_delay.add(&self.send_delay);
        }
        self.latency.reset();
        self.send_delay.reset();
    }
}
