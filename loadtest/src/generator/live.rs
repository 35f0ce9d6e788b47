//! What is shown while the sale is played.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hdrhistogram::Histogram;

use super::flight::End;

/// Counts so far. Threads add to it ten times a second, not with each request.
#[derive(Debug)]
pub struct Live {
    /// Requests put on a connection.
    pub sent: AtomicU64,
    /// 202.
    pub accepted: AtomicU64,
    /// 202 to orders of their own: each is one row more to come.
    pub accepted_own: AtomicU64,
    /// 429 and 503.
    pub shed: AtomicU64,
    /// Other refusals.
    pub refused: AtomicU64,
    /// No answer.
    pub unknown: AtomicU64,
    /// Never sent.
    pub unsent: AtomicU64,
    recent: Mutex<Recent>,
    pub(super) stop: AtomicBool,
}

#[derive(Debug)]
struct Recent {
    latency: Histogram<u64>,
    slip_us_max: u64,
}

/// Counts of one thread since it last told them.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) sent: u64,
    accepted: u64,
    accepted_own: u64,
    shed: u64,
    refused: u64,
    unknown: u64,
    unsent: u64,
    latency: Histogram<u64>,
    pub(super) slip_us_max: u64,
}

fn histogram() -> Histogram<u64> {
    Histogram::new(2).unwrap_or_else(|_| unreachable!("two digits are allowed"))
}

impl Default for Live {
    fn default() -> Self {
        Self {
            sent: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            accepted_own: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            recent: Mutex::new(Recent { latency: histogram(), slip_us_max: 0 }),
            stop: AtomicBool::new(false),
        }
    }
}

impl Live {
    /// The 99th of 100 of the latencies since the last call, and the longest slip since then, both microseconds.
    pub fn take_recent(&self) -> (u64, u64) {
        let Ok(mut recent) = self.recent.lock() else { return (0, 0) };
        let p99_us = if recent.latency.is_empty() { 0 } else { recent.latency.value_at_quantile(0.99) };
        recent.latency.reset();
        (p99_us, std::mem::take(&mut recent.slip_us_max))
    }

    /// Plans no more requests; those under way are waited for.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            sent: 0,
            accepted: 0,
            accepted_own: 0,
            shed: 0,
            refused: 0,
            unknown: 0,
            unsent: 0,
            latency: histogram(),
            slip_us_max: 0,
        }
    }

    pub(super) fn ended(&mut self, end: End, own: bool, latency_us: u64) {
        match end {
            End::Accepted => {
                self.accepted += 1;
                self.accepted_own += u64::from(own);
                // It grows as needed.
                let _recorded = self.latency.record(latency_us);
            }
            End::Shed => self.shed += 1,
            End::Refused => self.refused += 1,
            End::Unknown(_) => self.unknown += 1,
            End::Unsent => self.unsent += 1,
        }
    }

    /// Tells everything and begins anew.
    pub(super) fn tell(&mut self, live: &Live) {
        let counts = [
            (&live.sent, &mut self.sent),
            (&live.accepted, &mut self.accepted),
            (&live.accepted_own, &mut self.accepted_own),
            (&live.shed, &mut self.shed),
            (&live.refused, &mut self.refused),
            (&live.unknown, &mut self.unknown),
            (&live.unsent, &mut self.unsent),
        ];
        for (shared, own) in counts {
            shared.fetch_add(std::mem::take(own), Ordering::Relaxed);
        }
        if let Ok(mut recent) = live.recent.lock() {
            // Both hold what a histogram of two digits can hold: they grow as needed.
            let _added = recent.latency.add(&self.latency);
            recent.slip_us_max = recent.slip_us_max.max(self.slip_us_max);
        }
        self.latency.reset();
        self.slip_us_max = 0;
    }
}
