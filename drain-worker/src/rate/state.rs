//! The gate's book-keeping, without waiting.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::GateUsage;
use crate::store::Fence;

/// Smallest grant while more is asked for, as a part of the credits: what they come to in 20 ms. Smaller grants would
/// make more transactions of the same orders; waiting for larger ones would leave more credits idle.
const SLICES: u32 = 50;

/// Where a portion would be smaller than this, it may come to 40 ms.
const MIN_BATCH: u32 = 8;

/// How long a credit that came back may go out again at once. One that nobody needed by then is opened like a new one.
const WARM_WINDOW: Duration = Duration::from_millis(100);

/// How many credits are open for a start, as a time at their rate.
const OPEN_AT_ONCE: Duration = Duration::from_millis(50);

const NANOS: u128 = 1_000_000_000;

/// What a grant is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct GrantDetails {
    pub(super) orders: NonZeroU32,
    pub(super) fence: Fence,
    pub(super) epoch: u64,
}

#[derive(Debug)]
pub(super) struct GateState {
    fence: Fence,
    /// StoreTotals leases: what was granted under an earlier one gives nothing back.
    epoch: u64,
    credits: u32,
    /// Credits of orders granted and not yet answered.
    granted: u32,
    /// Credits of orders answered, and when each comes back; soonest first.
    answered: VecDeque<(Instant, u32)>,
    answered_sum: u32,
    /// Credits that came back a moment ago, and when.
    warm: VecDeque<(Instant, u32)>,
    warm_sum: u32,
    opening: OpeningBucket,
    peak: u32,
    was_starved: bool,
    /// Whether somebody waits for a credit.
    is_starved: bool,
}

/// Credits that are opened one after the other, so that not all go out at once: a token bucket.
#[derive(Debug, Default)]
struct OpeningBucket {
    /// Opened in a second.
    rate: u32,
    /// Open now, in billionths.
    nanos: u128,
    counted_at: Option<Instant>,
}

impl OpeningBucket {
    /// Most that are open: a start's worth, and at least one.
    fn nanos_max(&self) -> u128 {
        (u128::from(self.rate) * OPEN_AT_ONCE.as_nanos()).max(NANOS)
    }

    fn open(&mut self, now: Instant) -> u32 {
        let passed = self.counted_at.replace(now).map_or(OPEN_AT_ONCE, |before| now - before);
        self.nanos = (self.nanos + u128::from(self.rate) * passed.as_nanos()).min(self.nanos_max());
        u32::try_from(self.nanos / NANOS).unwrap_or(u32::MAX)
    }

    /// When so many more are open than now.
    fn open_at(&self, now: Instant, count: u32) -> Instant {
        let nanos = (u128::from(count) * NANOS).min(self.nanos_max()).saturating_sub(self.nanos);
        now + Duration::from_nanos(
            u64::try_from(nanos / u128::from(self.rate.max(1)) + 1).unwrap_or(u64::MAX),
        )
    }
}

impl Default for GateState {
    fn default() -> Self {
        Self {
            fence: Fence::Open,
            epoch: 0,
            credits: 0,
            granted: 0,
            answered: VecDeque::new(),
            answered_sum: 0,
            warm: VecDeque::new(),
            warm_sum: 0,
            opening: OpeningBucket::default(),
            peak: 0,
            was_starved: false,
            is_starved: false,
        }
    }
}

impl GateState {
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
    pub(super) fn set_credits(&mut self, credits: u32, target: u32, now: Instant) -> bool {
        self.opening.open(now);
        // A quarter faster than the credits go round, so that opening lags behind nothing else.
        let rate = credits.max(target);
        self.opening.rate = rate.saturating_add(rate / 4);
        std::mem::replace(&mut self.credits, credits) != credits
    }

    pub(super) fn outstanding(&mut self, now: Instant) -> u32 {
        while let Some(&(free_at, orders)) = self.answered.front() {
            if free_at > now {
                break;
            }
            self.answered.pop_front();
            self.answered_sum -= orders;
            self.warm.push_back((free_at, orders));
            self.warm_sum += orders;
        }
        self.granted + self.answered_sum
    }

    /// Credits that came back a moment ago.
    fn warm(&mut self, now: Instant) -> u32 {
        while let Some(&(at, orders)) = self.warm.front() {
            if now - at <= WARM_WINDOW {
                break;
            }
            self.warm.pop_front();
            self.warm_sum -= orders;
        }
        self.warm_sum
    }

    fn take_warm(&mut self, mut orders: u32) {
        self.warm_sum -= orders;
        while orders > 0
            && let Some((_, first)) = self.warm.front_mut()
        {
            let taken = orders.min(*first);
            *first -= taken;
            orders -= taken;
            if *first == 0 {
                self.warm.pop_front();
            }
        }
    }

    pub(super) fn take_usage(&mut self, now: Instant) -> GateUsage {
        let outstanding = self.outstanding(now);
        let usage = GateUsage {
            credits: self.credits,
            outstanding,
            outstanding_peak: self.peak.max(outstanding),
            was_starved: self.was_starved || self.is_starved,
        };
        (self.peak, self.was_starved) = (outstanding, false);
        usage
    }

    /// What is granted, or when to look again (`None`: when something changes).
    pub(super) fn try_grant(&mut self, orders: u32, now: Instant) -> Result<GrantDetails, Option<Instant>> {
        let free = self.credits.saturating_sub(self.outstanding(now));
        let portion = (self.credits / SLICES).max(MIN_BATCH.min(self.credits * 2 / SLICES));
        let least = portion.clamp(1, orders.max(1));
        if free < least {
            (self.is_starved, self.was_starved) = (true, true);
            // The soonest return may not suffice; then the caller looks again. With nothing answered, all credits are
            // with commits under way, or there are none: a change will ring.
            return Err(self.answered.front().map(|&(free_at, _)| free_at));
        }
        self.is_starved = false;
        let (warm, open) = (self.warm(now), self.opening.open(now));
        let may = orders.min(free).min(warm.saturating_add(open));
        if may < least {
            let opens_at = self.opening.open_at(now, least - warm.min(least));
            let returns_at = self.answered.front().map(|&(free_at, _)| free_at);
            return Err(Some(returns_at.map_or(opens_at, |at| at.min(opens_at))));
        }
        let Some(orders) = NonZeroU32::new(may) else { return Err(None) };
        let from_warm = may.min(warm);
        self.take_warm(from_warm);
        self.opening.nanos -= u128::from(may - from_warm) * NANOS;
        self.granted += may;
        self.peak = self.peak.max(self.granted + self.answered_sum);
        Ok(GrantDetails { orders, fence: self.fence, epoch: self.epoch })
    }

    /// Nobody waits for a credit any more.
    pub(super) const fn stop_waiting(&mut self) {
        self.is_starved = false;
    }

    pub(super) fn complete(&mut self, orders: u32, epoch: u64, free_at: Instant) {
        if epoch == self.epoch {
            self.granted -= orders;
            self.answered_sum += orders;
            self.answered.push_back((free_at, orders));
        }
    }
}
