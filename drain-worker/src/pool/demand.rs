//! How many orders a second a worker could use.

use std::time::Duration;

use tokio::time::Instant;

use crate::control::RATE_MAX;
use crate::rate::GateUsage;

/// How long a worker that ran short goes on wanting as much: longer than the pauses between receives.
const SATURATION_HOLD: Duration = Duration::from_millis(1_500);

/// Tells need from usage.
#[derive(Debug, Default)]
pub(super) struct DemandEstimator {
    saturated_until: Option<Instant>,
    /// What is wanted while it is hungry.
    wanted: u32,
}

impl DemandEstimator {
    /// Whether it ran short a moment before `now`.
    pub(super) fn is_saturated(&self, now: Instant) -> bool {
        self.saturated_until.is_some_and(|until| now < until)
    }

    /// Orders a second that could be used, 1 to `limit` (at least 1).
    ///
    /// Who had to wait for a credit while most were out wants four times what it has, and four times that once it has
    /// half of it: a few orders too many do not move the shares of the whole pool, and real need has all it can get after
    /// a few heartbeats. Else it is a quarter more than
    /// was used, in steps, so that shares are not moved for nothing.
    pub(super) fn wanted(&mut self, usage: &GateUsage, limit: u32, now: Instant) -> u32 {
        let used = step_up(usage.outstanding_peak.saturating_add(usage.outstanding_peak / 4));
        let most_are_out = u64::from(usage.outstanding_peak) * 5 >= u64::from(usage.credits) * 4;
        if usage.was_starved && most_are_out {
            self.saturated_until = Some(now + SATURATION_HOLD);
            if usage.credits.saturating_mul(2) >= self.wanted {
                self.wanted = usage.credits.saturating_mul(4).clamp(4, RATE_MAX);
            }
        } else if !self.is_saturated(now) {
            self.wanted = 0;
        }
        self.wanted.max(used).min(limit).max(1)
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

    fn usage(credits: u32, outstanding_peak: u32, was_starved: bool) -> GateUsage {
        GateUsage { credits, outstanding: 0, outstanding_peak, was_starved }
    }

    #[tokio::test(start_paused = true)]
    async fn who_runs_short_wants_more_and_forgets_it_after_a_while() {
        let mut demand = DemandEstimator::default();
        let start = Instant::now();
        let later = start + SATURATION_HOLD / 2;
        for (what, seen, limit, at, wanted) in [
            ("idle", usage(1_000, 0, false), RATE_MAX, start, 1),
            ("waits for the pace, not for credits", usage(1_000, 400, true), RATE_MAX, start, 512),
            ("short", usage(1_000, 900, true), RATE_MAX, start, 4_000),
            ("short of a share that is not there yet", usage(10, 10, true), RATE_MAX, later, 4_000),
            ("backed off", usage(0, 0, true), 300, later, 300),
            ("quiet for a moment", usage(1_000, 10, false), RATE_MAX, start + SATURATION_HOLD, 4_000),
            ("quiet", usage(1_000, 10, false), RATE_MAX, later + SATURATION_HOLD, 12),
        ] {
            assert_eq!(demand.wanted(&seen, limit, at), wanted, "{what}");
        }
        let mut new = DemandEstimator::default();
        assert_eq!(new.wanted(&usage(0, 0, true), RATE_MAX, start), 4, "nothing yet, and something to do");
    }

    #[test]
    fn steps_are_never_below() {
        for orders in 0..100_000 {
            let step = step_up(orders);
            assert!(step >= orders && step <= orders * 3 / 2 + 1, "{orders} {step}");
        }
    }
}
