//! The counts and latencies of the last second, while the generator sends.

use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::generator::{LiveCounts, LiveSnapshot};

/// A part of the run, of about a second.
#[derive(Debug)]
pub(super) struct LiveWindow {
    /// Start and end, seconds since the first planned request.
    pub(super) from_s: f64,
    pub(super) until_s: f64,
    /// Counts since the start of the run.
    pub(super) total: LiveSnapshot,
    /// Counts of this window.
    pub(super) counts: LiveSnapshot,
    /// Latencies of accepted requests, and of those without a response until they ended, microseconds.
    pub(super) latency: Histogram<u64>,
    /// Microseconds.
    pub(super) send_delay: Histogram<u64>,
}

/// Cuts the live counts into windows.
#[derive(Debug)]
pub(super) struct LiveWatch {
    /// The first planned request.
    started: Instant,
    last: (f64, LiveSnapshot),
}

impl LiveWatch {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, last: (0.0, LiveSnapshot::default()) }
    }

    /// The window since the previous call.
    pub(super) fn next(&mut self, live: &LiveCounts) -> LiveWindow {
        let until_s = Instant::now().saturating_duration_since(self.started).as_secs_f64();
        let total = live.snapshot();
        let (from_s, before) = std::mem::replace(&mut self.last, (until_s, total));
        let (latency, send_delay) = live.take_recent();
        LiveWindow { from_s, until_s, total, counts: total.since(&before), latency, send_delay }
    }
}

impl LiveWindow {
    /// A rate of this window, from one of its counts.
    pub(super) fn per_second(&self, count: u64) -> f64 {
        count as f64 / (self.until_s - self.from_s).max(1e-3)
    }

    /// A metric of [`crate::scenario::ABORT_METRICS`]: shares of the requests that ended in this window; `None` without
    /// a request, or for a latency that is void because the generator was later than `send_delay_us_max`.
    pub(super) fn metric(&self, name: &str, send_delay_us_max: u32) -> Option<f64> {
        let LiveSnapshot { accepted, shed, refused, unknown, .. } = self.counts;
        let ended = accepted + shed + refused + unknown;
        let share = |count: u64| (ended > 0).then(|| count as f64 / ended as f64);
        let quantile_us = |histogram: &Histogram<u64>, share: f64| {
            (!histogram.is_empty()).then(|| histogram.value_at_quantile(share))
        };
        let send_delay_us = quantile_us(&self.send_delay, 0.999);
        let is_void = send_delay_us > Some(u64::from(send_delay_us_max));
        let ms = |us: u64| us as f64 / 1_000.0;
        match name {
            "accepted_share" => share(accepted),
            "shed_share" => share(shed),
            "refused_share" => share(refused),
            "unknown_share" => share(unknown),
            "p99_ms" if is_void => None,
            "p99_ms" => quantile_us(&self.latency, 0.99).map(ms),
            "send_delay_p999_ms" => send_delay_us.map(ms),
            _ => None,
        }
    }
}
