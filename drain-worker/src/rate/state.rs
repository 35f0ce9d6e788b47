//! The gate's accounting, without waiting.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::GateUsage;
use crate::store::Fence;

/// Minimum grant, while more is requested, as a fraction of the credits: the credits of 20 ms. Smaller grants would
/// mean more transactions; waiting for larger ones would leave credits idle.
const SLICES: u32 = 50;

/// Where a slice is smaller than this, the minimum may be the credits of 40 ms.
const MIN_BATCH: u32 = 8;

/// Time for which a returned credit may be granted again at once, beyond what the last commit took: the writers are away
/// that long. After it the credit is opened like a new one.
const WARM_WINDOW: Duration = Duration::from_millis(100);

/// Maximum of a commit's time that counts for that.
const AWAY_MAX: Duration = Duration::from_secs(5);

/// Credits that are open at a start, as the time in which the rate opens them.
const OPEN_AT_ONCE: Duration = Duration::from_millis(50);

const NANOS: u128 = 1_000_000_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct GrantDetails {
    pub(super) orders: NonZeroU32,
    pub(super) fence: Fence,
    pub(super) epoch: u64,
    pub(super) granted_at: Instant,
}

#[derive(Debug)]
pub(super) struct GateState {
    fence: Fence,
    /// Number of the lease: grants of an earlier one return no credits.
    epoch: u64,
    credits: u32,
    /// Credits of orders that are granted and not complete.
    granted: u32,
    /// Credits of complete orders, and when each returns; soonest first.
    answered: VecDeque<(Instant, u32)>,
    answered_sum: u32,
    /// Credits that returned recently, and when.
    warm: VecDeque<(Instant, u32)>,
    warm_sum: u32,
    /// Duration of the last commit.
    away: Duration,
    opening: OpeningBucket,
    peak: u32,
    was_starved: bool,
    is_starved: bool,
}

/// A token bucket that opens unused credits one by one, so that they are not all granted at once.
#[derive(Debug, Default)]
struct OpeningBucket {
    /// Credits a second.
    rate: u32,
    nanos: u128,
    counted_at: Option<Instant>,
}

impl OpeningBucket {
    /// Maximum of open credits: those of a start, at least one.
    fn nanos_max(&self) -> u128 {
        (u128::from(self.rate) * OPEN_AT_ONCE.as_nanos()).max(NANOS)
    }

    fn open(&mut self, now: Instant) -> u32 {
        let passed = self.counted_at.replace(now).map_or(OPEN_AT_ONCE, |before| now - before);
        self.nanos = (self.nanos + u128::from(self.rate) * passed.as_nanos()).min(self.nanos_max());
        u32::try_from(self.nanos / NANOS).unwrap_or(u32::MAX)
    }

    /// The instant at which `count` credits are open.
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
            away: Duration::ZERO,
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

    pub(super) fn rely_on(&mut self, changes: i64) {
        if let Fence::Lease { id, .. } = self.fence {
            self.fence = Fence::Lease { id, changes };
        }
    }

    /// True if `fence` was in force with credits.
    pub(super) fn revoke(&mut self, fence: Fence) -> bool {
        let is_in_force = self.fence.is_same_lease(fence) && self.credits > 0;
        if is_in_force {
            self.credits = 0;
        }
        is_in_force
    }

    /// True if the number has changed.
    pub(super) fn set_credits(&mut self, credits: u32, target: u32, now: Instant) -> bool {
        self.opening.open(now);
        // A quarter faster than the credits circulate, so that opening never limits the rate.
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

    fn warm(&mut self, now: Instant) -> u32 {
        while let Some(&(at, orders)) = self.warm.front() {
            if now - at <= WARM_WINDOW + self.away {
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

    /// The grant, or when to retry (`None`: after a change).
    pub(super) fn try_grant(&mut self, orders: u32, now: Instant) -> Result<GrantDetails, Option<Instant>> {
        let free = self.credits.saturating_sub(self.outstanding(now));
        let portion = (self.credits / SLICES).max(MIN_BATCH.min(self.credits * 2 / SLICES));
        let least = portion.clamp(1, orders.max(1));
        if free < least {
            (self.is_starved, self.was_starved) = (true, true);
            // The soonest return may not suffice; the caller retries then. With nothing complete, all credits are
            // with commits in flight, or there are none: a change notifies the caller.
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
        Ok(GrantDetails { orders, fence: self.fence, epoch: self.epoch, granted_at: now })
    }

    /// True if the last caller was refused for want of credits, not of time to open them.
    pub(super) const fn is_starved(&self) -> bool {
        self.is_starved
    }

    pub(super) const fn stop_waiting(&mut self) {
        self.is_starved = false;
    }

    /// Returns the credits of orders that will not be committed under this grant.
    pub(super) fn release(&mut self, orders: u32, epoch: u64, now: Instant) {
        if epoch == self.epoch {
            // First those that returned earlier: the warm ones are sorted by time.
            let _outstanding = self.outstanding(now);
            self.granted -= orders;
            self.warm.push_back((now, orders));
            self.warm_sum += orders;
        }
    }

    /// The credits return `window` from now.
    pub(super) fn complete(&mut self, grant: GrantDetails, now: Instant, window: Duration) {
        if grant.epoch == self.epoch {
            let orders = grant.orders.get();
            self.granted -= orders;
            self.answered_sum += orders;
            self.answered.push_back((now + window, orders));
            self.away = (now - grant.granted_at).min(AWAY_MAX);
        }
    }
}
