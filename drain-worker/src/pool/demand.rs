//! Estimates how many orders a second a worker could commit.

use std::time::Duration;

use tokio::time::Instant;

use crate::control::RATE_MAX;
use crate::rate::GateUsage;

/// Time for which a saturated worker retains its demand: longer than the pauses between receives.
const SATURATION_HOLD: Duration = Duration::from_millis(1_500);

#[derive(Debug, Default)]
pub(super) struct DemandEstimator {
    saturated_until: Option<Instant>,
    /// The demand while saturated.
    wanted: u32,
}

impl DemandEstimator {
    /// True if the worker was short of credits recently.
    pub(super) fn is_saturated(&self, now: Instant) -> bool {
        self.saturated_until.is_some_and(|until| now < until)
    }

    /// Orders a second that the worker could commit, 1 to `limit` (at least 1).
    ///
    /// A saturated worker (a caller waited for a credit while most were outstanding) asks for 4× its share, and again
    /// for 4× once it has half of that. So a few orders more do not move the whole pool's shares, and real demand
    /// gets its share after a few heartbeats. Otherwise the demand is 1.25× the usage, in steps, so that shares do
    /// not move without need.
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

/// The next of 0, 1, 2, 3, 4, 6, 8, 12, 16, … that is not smaller.
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
    async fn demand_rises_when_starved_and_falls_after_a_while() {
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
    fn steps_round_up() {
        for orders in 0..100_000 {
            let step = step_up(orders);
            assert!(step >= orders && step <= orders * 3 / 2 + 1, "{orders} {step}");
        }
    }
}
