//! A budget of log lines for events that overload would repeat thousands of times a second.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

const SECOND_MS: u64 = 1_000;

/// Every budget that has recorded an event.
static BUDGETS: Mutex<Vec<&'static LogBudget>> = Mutex::new(Vec::new());

/// Allows one kind of event a number of lines a second, and counts the events beyond it. A line with the count follows:
/// with the first event of a later second, or by [`log_suppressed`]. So the events of all lines add up.
///
/// Lock-free on an event's way, and without a timer. It reads the wall clock, so an instance that was frozen logs an
/// earlier count with its first event.
#[derive(Debug)]
pub struct LogBudget {
    lines_max: u64,
    /// Logs a count of events that got no line of their own.
    log_count: fn(u64),
    /// Start of the current second, milliseconds since 1970.
    began_ms: AtomicU64,
    /// Events since then.
    events: AtomicU64,
    is_listed: AtomicBool,
}

/// Lines that the caller of [`LogBudget::admit`] logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogDecision {
    /// True if the event gets a line of its own.
    pub emit: bool,
    /// Events of an earlier second that got no line; 0 if there are none to log.
    pub suppressed: u64,
}

impl LogBudget {
    /// At most `lines_max` lines a second, plus one by `log_count`.
    #[must_use]
    pub const fn new(lines_max: u64, log_count: fn(u64)) -> Self {
        Self {
            lines_max,
            log_count,
            began_ms: AtomicU64::new(0),
            events: AtomicU64::new(0),
            is_listed: AtomicBool::new(false),
        }
    }

    /// A budget of an object that lives as long as the process, such as one that tests have several of.
    #[must_use]
    pub fn leaked(lines_max: u64, log_count: fn(u64)) -> &'static Self {
        Box::leak(Box::new(Self::new(lines_max, log_count)))
    }

    /// Records an event whose line has only a count.
    pub fn count(&'static self) {
        self.record(|| (self.log_count)(1));
    }

    /// Records an event; calls `log` if it gets a line of its own.
    pub fn record(&'static self, log: impl FnOnce()) {
        let decision = self.admit();
        self.log_count(decision.suppressed);
        if decision.emit {
            log();
        }
    }

    /// Records an event, for a caller that does something around the lines.
    pub fn admit(&'static self) -> LogDecision {
        if !self.is_listed.swap(true, Ordering::Relaxed) {
            BUDGETS.lock().unwrap_or_else(PoisonError::into_inner).push(self);
        }
        self.admit_at(now_ms())
    }

    /// Logs `events` that got no line of their own, unless there are none.
    pub fn log_count(&self, events: u64) {
        if events > 0 {
            (self.log_count)(events);
        }
    }

    fn admit_at(&self, now_ms: u64) -> LogDecision {
        let began_ms = self.began_ms.load(Ordering::Relaxed);
        // A clock that was set back must not suppress lines until it has caught up.
        let is_over = now_ms.saturating_sub(began_ms) >= SECOND_MS || now_ms < began_ms;
        let begins = is_over
            && self.began_ms.compare_exchange(began_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let suppressed =
            if begins { self.events.swap(0, Ordering::Relaxed).saturating_sub(self.lines_max) } else { 0 };
        let emit = self.events.fetch_add(1, Ordering::Relaxed) < self.lines_max;
        LogDecision { emit, suppressed }
    }

    fn take_suppressed(&self) -> u64 {
        // The lines of this second stay used.
        let used_up = |events: u64| Some(events.min(self.lines_max));
        let events = self.events.fetch_update(Ordering::Relaxed, Ordering::Relaxed, used_up);
        events.unwrap_or_default().saturating_sub(self.lines_max)
    }
}

/// Logs every count of events that got no line. Call it whenever metrics are logged, and before the process ends.
pub fn log_suppressed() {
    // A copy: a line must not be written with the lock held.
    let budgets = BUDGETS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for budget in budgets {
        budget.log_count(budget.take_suppressed());
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
    fn each_second_allows_its_lines_and_the_suppressed_count_follows() {
        let budget = LogBudget::new(2, |_| {});
        let expected = [
            (0, LogDecision { emit: true, suppressed: 0 }),
            (10, LogDecision { emit: true, suppressed: 0 }),
            (20, LogDecision { emit: false, suppressed: 0 }),
            (999, LogDecision { emit: false, suppressed: 0 }),
            (1_000, LogDecision { emit: true, suppressed: 2 }),
            (9_000, LogDecision { emit: true, suppressed: 0 }),
        ];
        for (after_ms, decision) in expected {
            assert_eq!(budget.admit_at(START_MS + after_ms), decision, "after {after_ms} ms");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_suppresses_no_line() {
        let budget = LogBudget::new(1, |_| {});
        assert!(budget.admit_at(START_MS).emit);
        assert!(budget.admit_at(START_MS - 3_600_000).emit);
    }

    proptest! {
        #[test]
        fn every_event_gets_a_line_or_is_counted(
            steps in proptest::collection::vec((0_u64..700, any::<bool>()), 1..200),
            lines_max in 0_u64..4,
        ) {
            let budget = LogBudget::new(lines_max, |_| {});
            let (mut now_ms, mut logged) = (START_MS, 0);
            for (step_ms, is_flushed) in &steps {
                now_ms += step_ms;
                let decision = budget.admit_at(now_ms);
                logged += u64::from(decision.emit) + decision.suppressed;
                if *is_flushed {
                    logged += budget.take_suppressed();
                }
            }
            logged += budget.take_suppressed();
            prop_assert_eq!(logged, steps.len() as u64);
        }
    }
}
