//! A worker's observations of the leases, by its own clock.
//!
//! The database's clock may be set forward or back. Forward, it ends leases early, which is safe: a fence goes only
//! between two transactions. Back, it would keep a dead worker's lease for as long. So a worker also counts a lease as
//! silent that it has read twice, further apart than a lease's duration by its own clock, with the same expiry: its
//! worker did not renew it in between, because each renewal writes another one. And the second for which a fenced share
//! still counts begins when the worker first reads that the lease is fenced: later than the fencing, so later than the
//! last commit under it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::rate::WINDOW;
use crate::store::{Lease, LeaseId};

/// Time beyond a lease's duration after which an unrenewed lease counts as silent.
const SILENCE_MARGIN: Duration = Duration::from_millis(500);

/// Time for which a fenced lease is still listed, so that operators see it.
const SHOWN_AFTER_FENCING: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug)]
struct Observation {
    expires_us: i64,
    /// When this expiry was first read.
    first_at: Instant,
    /// When it was last read.
    last_at: Instant,
    fenced_at: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct ObservedLeases(HashMap<LeaseId, Observation>);

impl ObservedLeases {
    /// Records what was read at `now`, and sets the share of fenced leases to 0 where it is free.
    pub(super) fn observe(&mut self, leases: &mut [Lease], now: Instant) {
        let before = std::mem::take(&mut self.0);
        for lease in leases {
            let known = before.get(&lease.id).filter(|known| known.expires_us == lease.expires_us);
            let fenced_before = before.get(&lease.id).and_then(|known| known.fenced_at);
            let fenced_at = lease.fenced_us.map(|_| fenced_before.unwrap_or(now));
            if fenced_at.is_some_and(|at| now - at > WINDOW) {
                lease.share = 0;
            }
            let first_at = known.map_or(now, |known| known.first_at);
            let seen = Observation { expires_us: lease.expires_us, first_at, last_at: now, fenced_at };
            self.0.insert(lease.id, seen);
        }
    }

    /// The expiry of the lease as last read.
    pub(super) fn expiry(&self, lease: LeaseId) -> Option<i64> {
        self.0.get(&lease).map(|seen| seen.expires_us)
    }

    /// True if a lease of the duration `ttl` was not renewed for longer than that.
    pub(super) fn is_silent(&self, lease: LeaseId, ttl: Duration) -> bool {
        self.0.get(&lease).is_some_and(|seen| seen.last_at - seen.first_at > ttl + SILENCE_MARGIN)
    }

    /// True if the lease has been fenced for long enough to be deleted.
    pub(super) fn is_shown(&self, lease: LeaseId, now: Instant) -> bool {
        self.0
            .get(&lease)
            .and_then(|seen| seen.fenced_at)
            .is_some_and(|fenced_at| now - fenced_at > SHOWN_AFTER_FENCING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(expires_us: i64, fenced_us: Option<i64>) -> Lease {
        Lease {
            id: LeaseId::from_u128(1),
            worker: String::new(),
            share: 100,
            wanted: 1,
            changes: 0,
            joined_us: 0,
            expires_us,
            fenced_us,
            report: String::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_silent_by_the_observers_clock_and_free_a_second_after_its_fencing_was_read() {
        let (ttl, start) = (Duration::from_secs(3), Instant::now());
        let id = LeaseId::from_u128(1);
        let mut observed = ObservedLeases::default();
        let mut shares = Vec::new();
        for (ms, expires_us, fenced_us, is_silent) in [
            (0, 9_000_000, None, false),
            (3_400, 9_000_000, None, false),
            // Renewed by a clock that was set back.
            (3_600, 8_000_000, None, false),
            (7_000, 8_000_000, None, false),
            (7_200, 8_000_000, None, true),
            (8_000, 8_000_000, Some(i64::MIN), true),
            (9_001, 8_000_000, Some(i64::MIN), true),
            (9_002, 8_000_000, Some(i64::MIN), true),
        ] {
            let now = start + Duration::from_millis(ms);
            let mut leases = [lease(expires_us, fenced_us)];
            observed.observe(&mut leases, now);
            assert_eq!(observed.is_silent(id, ttl), is_silent, "{ms} ms");
            shares.push(leases[0].share);
        }
        assert_eq!(shares, [100, 100, 100, 100, 100, 100, 100, 0]);
        assert!(observed.is_shown(id, start + Duration::from_secs(24)));
        assert!(!observed.is_shown(id, start + Duration::from_secs(22)));
    }
}
