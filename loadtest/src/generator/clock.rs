#![allow(
    clippy::disallowed_types,
    reason = "threads outside any runtime, whose time cannot be paused, measure real time"
)]

use std::time::Duration;
use std::time::Instant;

/// Counts nanoseconds from the start of the plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlanClock {
    start: Instant,
}
impl PlanClock {
    /// Creates a clock whose plan starts after `delay`, so that every thread is ready.
    pub(super) fn starting_in(delay: Duration) -> Self {
        Self { start: Instant::now() + delay }
    }

    pub(super) fn now_ns(self) -> u64 {
        Instant::now().saturating_duration_since(self.start).as_nanos() as u64
    }

    pub(super) fn until_start(self) -> Duration {
        self.start.saturating_duration_since(Instant::now())
    }
}
