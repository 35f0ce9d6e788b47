//! The gate's book-keeping, without waiting.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::Usage;
use crate::store::Fence;

/// Smallest grant while more is asked for, as a part of the credits: a fiftieth is what they come to in 20 ms. Smaller
/// grants would make more transactions of the same orders; waiting for larger ones would leave credits idle.
const PORTIONS: u32 = 50;

/// How much lost time the pace makes up for: a timer that fires late must not cost throughput.
const CATCH_UP: Duration = Duration::from_millis(50);

/// What a grant is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    pub(super) orders: NonZeroU32,
    pub(super) fence: Fence,
    pub(super) epoch: u64,
}

#[derive(Debug)]
pub(super) struct State {
    fence: Fence,
    /// Counts leases: what was granted under an earlier one gives nothing back.
    epoch: u64,
    credits: u32,
    /// Credits of orders granted and not yet answered.
    granted: u32,
    /// Credits of orders answered, and when each comes back; soonest first.
    answered: VecDeque<(Instant, u32)>,
    answered_sum: u32,
    /// Before this instant nothing more is granted. `None`: nothing was yet.
    next_grant_at: Option<Instant>,
    peak: u32,
    was_short: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            fence: Fence::Open,
            epoch: 0,
            credits: 0,
            granted: 0,
            answered: VecDeque::new(),
            answered_sum: 0,
            next_grant_at: None,
            peak: 0,
            was_short: false,
        }
    }
}

impl State {
    pub(super) fn bind(&mut self, fence: Fence) {
        *self = Self { fence, epoch: self.epoch + 1, ..Self::default() };
    }

    pub(super) const fn credits(&self) -> u32 {
        self.credits
    }

    /// Whether `fence` was the one in force, with credits.
    pub(super) fn revoke(&mut self, fence: Fence) -> bool {
        let is_in_force = self.fence == fence && self.credits > 0;
        if is_in_force {
            self.credits = 0;
        }
        is_in_force
    }

    /// Whether that is another number than before.
    pub(super) fn set_credits(&mut self, credits: u32, now: Instant) -> bool {
        let is_other = credits != self.credits;
        if is_other {
            self.credits = credits;
            // What was spaced for the old number must not hold up the new one.
            self.next_grant_at = self.next_grant_at.map(|at| at.min(now));
        }
        is_other
    }

    pub(super) fn outstanding(&mut self, now: Instant) -> u32 {
        while let Some(&(free_at, orders)) = self.answered.front() {
            if free_at > now {
                break;
            }
            self.answered.pop_front();
            self.answered_sum -= orders;
        }
        self.granted + self.answered_sum
    }

    pub(super) fn take_usage(&mut self, now: Instant) -> Usage {
        let outstanding = self.outstanding(now);
        let usage = Usage {
            credits: self.credits,
            outstanding,
            outstanding_peak: self.peak.max(outstanding),
            was_short: self.was_short,
        };
        (self.peak, self.was_short) = (outstanding, false);
        usage
    }

    /// What is granted, or when to look again (`None`: when something changes).
    pub(super) fn try_grant(&mut self, orders: u32, now: Instant) -> Result<Granted, Option<Instant>> {
        let free = self.credits.saturating_sub(self.outstanding(now));
        let least = (self.credits / PORTIONS).clamp(1, orders.max(1));
        if free < least {
            self.was_short = true;
            // The soonest return may not suffice; then the caller looks again. With nothing answered, all credits are
            // with commits under way, or there are none: a change will ring.
            return Err(self.answered.front().map(|&(free_at, _)| free_at));
        }
        if let Some(at) = self.next_grant_at.filter(|at| *at > now) {
            self.was_short = true;
            return Err(Some(at));
        }
        let Some(orders) = NonZeroU32::new(orders.min(free)) else { return Err(None) };
        self.granted += orders.get();
        self.peak = self.peak.max(self.granted + self.answered_sum);
        let takes = Duration::from_nanos(u64::from(orders.get()) * 1_000_000_000 / u64::from(self.credits));
        let due = self.next_grant_at.unwrap_or(now);
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(due);
        self.next_grant_at = Some(due.max(earliest) + takes);
        Ok(Granted { orders, fence: self.fence, epoch: self.epoch })
    }

    pub(super) fn answered(&mut self, orders: u32, epoch: u64, free_at: Instant) {
        if epoch == self.epoch {
            self.granted -= orders;
            self.answered_sum += orders;
            self.answered.push_back((free_at, orders));
        }
    }
}
