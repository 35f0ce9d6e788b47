//! The generator's clock.

#![allow(
    clippy::disallowed_types,
    reason = "threads outside any runtime, whose time cannot be paused, measure real time"
)]

use std::time::Duration;
use std::time::Instant;

/// Nanoseconds since the first instant of the plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlanClock {
    start: Instant,
}
impl PlanClock {
    /// A clock whose plan begins after `delay`, so that every thread is there when it does.
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
