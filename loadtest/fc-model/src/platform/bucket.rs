//! The delivery quota: a burst of starts at once, then a number of starts each minute.

use crate::Nanos;
use crate::rules::DeliveryRate;

const MINUTE: u64 = 60_000_000_000;

/// A token bucket on the driver's clock, exact in integers. One unit is [`MINUTE`] credits; every nanosecond adds
/// `per_min` credits.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    credits: u64,
    credits_max: u64,
    per_min: u64,
    filled_at: Nanos,
}

impl TokenBucket {
    pub(super) fn full(delivery: DeliveryRate) -> Self {
        let credits_max = u64::from(delivery.burst) * MINUTE;
        Self { credits: credits_max, credits_max, per_min: u64::from(delivery.per_min), filled_at: 0 }
    }

    fn fill(&mut self, now: Nanos) {
        let passed = now.saturating_sub(self.filled_at);
        self.filled_at = self.filled_at.max(now);
        self.credits = self.credits.saturating_add(passed.saturating_mul(self.per_min)).min(self.credits_max);
    }

    pub(super) fn has(&mut self, now: Nanos, units: u64) -> bool {
        self.fill(now);
        self.credits >= units * MINUTE
    }

    /// Takes `units`. The caller has checked [`Self::has`].
    pub(super) fn take(&mut self, units: u64) {
        debug_assert!(self.credits >= units * MINUTE);
        self.credits = self.credits.saturating_sub(units * MINUTE);
    }

    /// The time at which `units` will be available; `None`: never.
    pub(super) fn when(&self, units: u64) -> Option<Nanos> {
        let wanted = units * MINUTE;
        let missing = wanted.saturating_sub(self.credits);
        match missing {
            0 => Some(self.filled_at),
            _ if wanted > self.credits_max || self.per_min == 0 => None,
            _ => Some(self.filled_at.saturating_add(missing.div_ceil(self.per_min))),
        }
    }
}
