//! Failures under overload come by the thousand; a few lines a second tell of them all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Lets a number of lines through in each interval and counts the rest. Holds no lock and starts no timer: what was
/// counted is told by the next event after the interval, or by whoever asks for it at an end.
///
/// Time is the wall clock's: an instance that was frozen may tell at once what it had counted before.
#[derive(Debug)]
pub struct LineBudget {
    interval_ms: u64,
    lines_max: u64,
    /// When the interval began, milliseconds since 1970.
    began_ms: AtomicU64,
    /// Events in it.
    events: AtomicU64,
}

/// What an event may log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The event's own line.
    pub own: bool,
    /// Events of an earlier interval that had no line; zero: nothing to tell.
    pub kept: u64,
}

impl LineBudget {
    /// At most `lines_max` lines in each `interval`, and one for the rest.
    #[must_use]
    pub const fn new(lines_max: u64, interval: Duration) -> Self {
        Self {
            interval_ms: interval.as_millis() as u64,
            lines_max,
            began_ms: AtomicU64::new(0),
            events: AtomicU64::new(0),
        }
    }

    /// An event, now.
    pub fn event(&self) -> Lines {
        self.event_at(now_ms())
    }

    /// An event, now, of those that are only counted. How many there were since the last line, this one included, if a
    /// line is due.
    pub fn due(&self) -> Option<u64> {
        let lines = self.event();
        Some(lines.kept + u64::from(lines.own)).filter(|events| *events > 0)
    }

    /// An event at `now_ms`, milliseconds since 1970.
    pub fn event_at(&self, now_ms: u64) -> Lines {
        let kept = self.kept_at(now_ms);
        let own = self.events.fetch_add(1, Ordering::Relaxed) < self.lines_max;
        Lines { own, kept }
    }

    /// Events without a line so far, if their interval is over: to be told now.
    pub fn kept_at(&self, now_ms: u64) -> u64 {
        let began_ms = self.began_ms.load(Ordering::Relaxed);
        // A clock that was set back must not hold lines up until it has caught up.
        let is_over = now_ms.saturating_sub(began_ms) >= self.interval_ms || now_ms < began_ms;
        let begins = is_over
            && self.began_ms.compare_exchange(began_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if begins { self.events.swap(0, Ordering::Relaxed).saturating_sub(self.lines_max) } else { 0 }
    }

    /// Events without a line so far, whether their interval is over or not: nothing may come after an end.
    pub fn rest(&self) -> u64 {
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
    fn some_lines_an_interval_and_the_count_of_the_rest_after_it() {
        let budget = LineBudget::new(2, Duration::from_secs(1));
        let expected = [
            (0, Lines { own: true, kept: 0 }),
            (10, Lines { own: true, kept: 0 }),
            (20, Lines { own: false, kept: 0 }),
            (999, Lines { own: false, kept: 0 }),
            (1_000, Lines { own: true, kept: 2 }),
            (9_000, Lines { own: true, kept: 0 }),
        ];
        for (after_ms, lines) in expected {
            assert_eq!(budget.event_at(START_MS + after_ms), lines, "after {after_ms} ms");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        let budget = LineBudget::new(1, Duration::from_secs(1));
        assert!(budget.event_at(START_MS).own);
        assert!(budget.event_at(START_MS - 3_600_000).own);
    }

    proptest! {
        #[test]
        fn every_event_has_its_line_or_is_counted(
            steps_ms in proptest::collection::vec(0_u64..700, 1..200),
            lines_max in 0_u64..4,
        ) {
            let budget = LineBudget::new(lines_max, Duration::from_secs(1));
            let (mut now_ms, mut told) = (START_MS, 0);
            for step_ms in &steps_ms {
                now_ms += step_ms;
                let lines = budget.event_at(now_ms);
                told += u64::from(lines.own) + lines.kept;
            }
            told += budget.rest();
            prop_assert_eq!(told, steps_ms.len() as u64);
        }
    }
}
