//! Rate limit for log lines that overload would repeat thousands of times a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Allows a number of lines in each interval and counts the events beyond it.
///
/// Lock-free and without a timer: the next event after the interval, or a flush at shutdown, reports the count. It
/// reads the wall clock, so an instance that was frozen reports the earlier count with its first event.
#[derive(Debug)]
pub struct LogRateLimiter {
    interval_ms: u64,
    lines_max: u64,
    /// Start of the interval, milliseconds since 1970.
    began_ms: AtomicU64,
    /// Events in the interval.
    events: AtomicU64,
}

/// Lines that the caller of [`LogRateLimiter::check`] logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogDecision {
    /// True if the event gets a line of its own.
    pub emit: bool,
    /// Events of an earlier interval that got no line; 0 if there are none to report.
    pub suppressed: u64,
}

impl LogRateLimiter {
    /// At most `lines_max` lines in each `interval`, plus one that reports the count of the others.
    #[must_use]
    pub const fn new(lines_max: u64, interval: Duration) -> Self {
        Self {
            interval_ms: interval.as_millis() as u64,
            lines_max,
            began_ms: AtomicU64::new(0),
            events: AtomicU64::new(0),
        }
    }

    /// Records an event.
    pub fn check(&self) -> LogDecision {
        self.check_at(now_ms())
    }

    /// Records an event; returns the count since the last line, this event included, if a line is due.
    pub fn count_due(&self) -> Option<u64> {
        let decision = self.check();
        Some(decision.suppressed + u64::from(decision.emit)).filter(|events| *events > 0)
    }

    /// [`Self::check`] at `now_ms`, milliseconds since 1970.
    pub fn check_at(&self, now_ms: u64) -> LogDecision {
        let suppressed = self.take_due_at(now_ms);
        let emit = self.events.fetch_add(1, Ordering::Relaxed) < self.lines_max;
        LogDecision { emit, suppressed }
    }

    /// Takes the count of suppressed events if their interval is over at `now_ms`; 0 otherwise.
    pub fn take_due_at(&self, now_ms: u64) -> u64 {
        let began_ms = self.began_ms.load(Ordering::Relaxed);
        // A clock that was set back must not suppress lines until it has caught up.
        let is_over = now_ms.saturating_sub(began_ms) >= self.interval_ms || now_ms < began_ms;
        let begins = is_over
            && self.began_ms.compare_exchange(began_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if begins { self.events.swap(0, Ordering::Relaxed).saturating_sub(self.lines_max) } else { 0 }
    }

    /// Takes the count of suppressed events at any time; for the flush at shutdown.
    pub fn take_suppressed(&self) -> u64 {
        self.events.swap(0, Ordering::Relaxed).saturating_sub(self.lines_max)
    }
}

/// The wall clock, milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START_MS: u64 = 1_700_000_000_000;

    #[test]
    fn each_interval_allows_its_lines_and_reports_the_suppressed_count_afterwards() {
        let limiter = LogRateLimiter::new(2, Duration::from_secs(1));
        let expected = [
            (0, LogDecision { emit: true, suppressed: 0 }),
            (10, LogDecision { emit: true, suppressed: 0 }),
            (20, LogDecision { emit: false, suppressed: 0 }),
            (999, LogDecision { emit: false, suppressed: 0 }),
            (1_000, LogDecision { emit: true, suppressed: 2 }),
            (9_000, LogDecision { emit: true, suppressed: 0 }),
        ];
        for (after_ms, decision) in expected {
            assert_eq!(limiter.check_at(START_MS + after_ms), decision, "after {after_ms} ms");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_suppresses_no_line() {
        let limiter = LogRateLimiter::new(1, Duration::from_secs(1));
        assert!(limiter.check_at(START_MS).emit);
        assert!(limiter.check_at(START_MS - 3_600_000).emit);
    }

    proptest! {
        #[test]
        fn every_event_gets_a_line_or_is_counted(
            steps_ms in proptest::collection::vec(0_u64..700, 1..200),
            lines_max in 0_u64..4,
        ) {
            let limiter = LogRateLimiter::new(lines_max, Duration::from_secs(1));
            let (mut now_ms, mut reported) = (START_MS, 0);
            for step_ms in &steps_ms {
                now_ms += step_ms;
                let decision = limiter.check_at(now_ms);
                reported += u64::from(decision.emit) + decision.suppressed;
            }
            reported += limiter.take_suppressed();
            prop_assert_eq!(reported, steps_ms.len() as u64);
        }
    }
}
