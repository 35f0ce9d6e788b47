//! How many orders a second a worker could use.

use std::time::Duration;

use tokio::time::Instant;

use crate::control::RATE_MAX;
use crate::rate::Usage;

/// How long a worker that ran short is taken to want all it can get: longer than the pauses between receives.
const HUNGRY_FOR: Duration = Duration::from_millis(1_500);

/// Tells need from usage.
#[derive(Debug, Default)]
pub(super) struct Appetite {
    hungry_until: Option<Instant>,
}

impl Appetite {
    /// Whether all that can be got was wanted at `now`.
    pub(super) fn is_hungry(&self, now: Instant) -> bool {
        self.hungry_until.is_some_and(|until| now < until)
    }

    /// Orders a second that could be used, 1 to `limit` (at least 1).
    ///
    /// Who had to wait for a credit while most were out wants all it can get; else a quarter more than was used, in steps,
    /// so that shares are not moved for nothing.
    pub(super) fn wanted(&mut self, usage: &Usage, limit: u32, now: Instant) -> u32 {
        let most_are_out = u64::from(usage.outstanding_peak) * 5 >= u64::from(usage.credits) * 4;
        if usage.was_short && most_are_out {
            self.hungry_until = Some(now + HUNGRY_FOR);
        }
        let wanted = if self.is_hungry(now) {
            RATE_MAX
        } else {
            step_up(usage.outstanding_peak.saturating_add(usage.outstanding_peak / 4))
        };
        wanted.min(limit).max(1)
    }
}

/// The next of 0, 1, 2, 3, 4, 6, 8, 12, 16, … that is no less.
const fn step_up(orders: u32) -> u32 {
    if orders < 4 {
        return orders;
    }
    let power = 1 << orders.ilog2();
    if orders == power {
        power
    } else if orders <= power + power / 2 {
        power + power / 2
    } else {
        power.saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(credits: u32, outstanding_peak: u32, was_short: bool) -> Usage {
        Usage { credits, outstanding: 0, outstanding_peak, was_short }
    }

    #[tokio::test(start_paused = true)]
    async fn who_runs_short_wants_all_and_forgets_it_after_a_while() {
        let mut appetite = Appetite::default();
        let start = Instant::now();
        assert_eq!(appetite.wanted(&usage(1_000, 0, false), RATE_MAX, start), 1);
        assert_eq!(
            appetite.wanted(&usage(1_000, 400, true), RATE_MAX, start),
            512,
            "short of pace, not of credits"
        );
        assert_eq!(appetite.wanted(&usage(1_000, 900, true), RATE_MAX, start), RATE_MAX);
        assert_eq!(appetite.wanted(&usage(0, 0, true), 300, start), 300, "backed off");
        assert_eq!(appetite.wanted(&usage(1_000, 10, false), RATE_MAX, start + HUNGRY_FOR / 2), RATE_MAX);
        assert_eq!(appetite.wanted(&usage(1_000, 10, false), RATE_MAX, start + HUNGRY_FOR), 12);
    }

    #[test]
    fn steps_are_never_below() {
        for orders in 0..100_000 {
            let step = step_up(orders);
            assert!(step >= orders && step <= orders * 3 / 2 + 1, "{orders} {step}");
        }
    }
}
