//! Computes a worker's share at a heartbeat.

use std::time::Duration;

use crate::rate::WINDOW;
use crate::store::{GroupSnapshot, Lease, LeaseId};

/// Time for which an order that cannot be split stays with one worker.
const TURN_US: i64 = 5_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareDecision {
    pub cap: u32,
    pub workers: u32,
    /// The share that the worker will have in the end.
    pub target: u32,
    /// The share from now on, as the database stores it: never less than the credits that the worker holds.
    pub share: u32,
    /// True if every worker has nearly its target.
    pub is_settled: bool,
}

impl ShareDecision {
    /// Credits to open in a second: the even part of the cap, or the target if that is more.
    #[must_use]
    pub fn pace(&self) -> u32 {
        self.target.max(self.cap / self.workers.max(1))
    }

    /// The gate's credits once the share is stored.
    #[must_use]
    pub fn credits(&self) -> u32 {
        self.target.min(self.share)
    }
}

/// A worker's input to a heartbeat.
#[derive(Clone, Copy, Debug)]
pub struct ShareRequest {
    pub lease: LeaseId,
    /// Credits that are outstanding or may be granted ([`crate::rate::GateUsage::holds`]).
    pub holds: u32,
    /// Orders a second that the worker could commit.
    pub wanted: u32,
    /// Orders a second, by the worker's [`crate::adaptive_limit`].
    pub limit: u32,
    pub passed: Duration,
}

/// Computes one worker's share.
///
/// A share grows no faster than the worker can open credits ([`crate::rate`]): credits that one worker acquires early
/// are unusable for the others meanwhile.
///
/// The caller holds the group's lock, and stores the share before it releases the lock.
#[must_use]
pub fn allocate(group: &GroupSnapshot, request: ShareRequest) -> ShareDecision {
    let ShareRequest { lease: me, holds, wanted, limit, passed } = request;
    let cap = group.settings.cap_at(group.now_us).orders_per_second;
    let wants: Vec<u32> = group
        .leases
        .iter()
        .map(|lease| {
            if lease.id == me {
                wanted
            } else if is_live(lease, group.now_us) {
                lease.wanted
            } else {
                0
            }
        })
        .collect();
    let turn = u64::try_from(group.now_us / TURN_US).unwrap_or(0);
    let targets = split(cap, &wants, turn);
    let mine = group.leases.iter().position(|lease| lease.id == me);
    let target = mine.map_or(0, |place| targets[place]).min(limit);
    let workers = group.leases.iter().filter(|lease| lease.id == me || is_live(lease, group.now_us)).count();
    let workers = u32::try_from(workers).unwrap_or(u32::MAX);
    let fair = cap / workers.max(1);
    let others = group.leases.iter().filter(|lease| lease.id != me);
    let taken: u64 = others.map(|lease| u64::from(counted(lease, group.now_us))).sum();
    let free = u64::from(cap).saturating_sub(taken + u64::from(holds));
    let step = (f64::from(target.max(fair)) * 1.25 * passed.as_secs_f64()).ceil() as u64;
    let raise = u64::from(target.saturating_sub(holds)).min(free).min(step.max(1));
    let share = holds.saturating_add(u32::try_from(raise).unwrap_or(0));
    let tolerance = (cap / 50).max(1);
    let is_settled =
        group.leases.iter().zip(targets.iter().zip(&wants)).all(|(lease, (&target, &wanted))| {
            if lease.id != me && lease.fenced_us.is_none() && !is_live(lease, group.now_us) {
                // The lease expired; faster heartbeats do not shorten the wait for its transactions.
                return true;
            }
            let share = if lease.id == me { share } else { counted(lease, group.now_us) };
            // A share beyond the demand is for a burst: it may arrive later, or never at a worker that backs off.
            let need = target.min(wanted);
            share <= target + tolerance && share + tolerance >= need && share.saturating_mul(2) >= need
        });
    ShareDecision { cap, workers, target, share, is_settled }
}

pub(super) const fn is_live(lease: &Lease, now_us: i64) -> bool {
    lease.fenced_us.is_none() && lease.expires_us > now_us
}

/// The part of the cap that a lease occupies: its share, until one second after fencing.
fn counted(lease: &Lease, now_us: i64) -> u32 {
    let window_us = i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX);
    match lease.fenced_us {
        Some(fenced_us) if now_us - fenced_us > window_us => 0,
        _ => lease.share,
    }
}

/// Splits `cap` among workers by their demands; a demand of 0 gets 0.
///
/// No worker gets more than its demand while another has less: the demands are filled evenly. What remains after that
/// is divided equally, so that a burst finds room on any worker. Orders that cannot be divided evenly rotate with
/// `turn`, so that a cap smaller than the pool serves every worker in the end.
fn split(cap: u32, wanted: &[u32], turn: u64) -> Vec<u32> {
    let takes_part = |want: u32| want > 0;
    let mut shares = vec![0; wanted.len()];
    let mut left = fill(cap, wanted, &mut shares, turn);
    if left > 0 {
        let equal: Vec<u32> = wanted.iter().map(|&want| if takes_part(want) { left } else { 0 }).collect();
        let mut more = vec![0; wanted.len()];
        left = fill(left, &equal, &mut more, turn);
        shares.iter_mut().zip(more).for_each(|(share, more)| *share += more);
    }
    debug_assert!(left == 0 || wanted.iter().all(|&want| want == 0), "all of the cap is given out");
    shares
}

/// Fills `wanted` evenly into `shares`, which are 0. Returns the remainder.
fn fill(amount: u32, wanted: &[u32], shares: &mut [u32], turn: u64) -> u32 {
    let mut by_want: Vec<usize> = (0..wanted.len()).filter(|&place| wanted[place] > 0).collect();
    by_want.sort_by_key(|&place| wanted[place]);
    let mut left = amount;
    let mut unfilled = by_want.as_slice();
    // The smallest demand first: the rest of its even part goes to the others.
    while let Some((&place, others)) = unfilled.split_first() {
        let even = left / u32::try_from(unfilled.len()).unwrap_or(u32::MAX);
        if wanted[place] > even {
            break;
        }
        shares[place] = wanted[place];
        left -= wanted[place];
        unfilled = others;
    }
    if unfilled.is_empty() {
        return left;
    }
    // The others want more than an even part each; in the order of their indexes, not of their demands.
    let mut short = unfilled.to_vec();
    short.sort_unstable();
    let count = short.len();
    let even = left / u32::try_from(count).unwrap_or(u32::MAX);
    let odd = usize::try_from(left).unwrap_or(usize::MAX) % count;
    let first = usize::try_from(turn % count as u64).unwrap_or(0);
    for (index, place) in short.into_iter().enumerate() {
        let is_extra = (index + count - first) % count < odd;
        shares[place] = even + u32::from(is_extra);
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::control::{GroupSettings, Rate};

    const NOW: i64 = 1_000_000_000;
    const MUCH: u32 = 1_000_000;

    fn lease(id: u128, share: u32, wanted: u32) -> Lease {
        Lease {
            id: LeaseId::from_u128(id),
            worker: String::new(),
            share,
            wanted,
            joined_us: 0,
            expires_us: NOW + 1,
            fenced_us: None,
            report: String::new(),
        }
    }

    fn group(leases: Vec<Lease>) -> GroupSnapshot {
        let settings = GroupSettings::new(Rate::new(2_000).expect("within bounds"));
        GroupSnapshot { now_us: NOW, revision: 0, settings, leases }
    }

    fn decided(leases: Vec<Lease>, holds: u32, wanted: u32) -> (u32, u32) {
        let request = ShareRequest {
            lease: LeaseId::from_u128(1),
            holds,
            wanted,
            limit: MUCH,
            passed: Duration::from_secs(1),
        };
        let decision = allocate(&group(leases), request);
        (decision.target, decision.share)
    }

    #[test]
    fn a_share_grows_only_into_the_free_part() {
        for (others, holds, expected) in [
            (vec![], 0, (2_000, 2_000)),
            // Nothing is free until the other worker has lowered its share.
            (vec![lease(2, 2_000, MUCH)], 0, (1_000, 0)),
            (vec![lease(2, 1_400, MUCH)], 0, (1_000, 600)),
            (vec![lease(2, 1_400, MUCH)], 500, (1_000, 600)),
            // It lowers to what it holds, not below.
            (vec![lease(2, 0, MUCH)], 1_800, (1_000, 1_800)),
            // An idle worker leaves all but its demand.
            (vec![lease(2, 10, 10)], 0, (1_990, 1_990)),
            // A leaving worker counts while it holds credits.
            (vec![lease(2, 300, 0)], 0, (2_000, 1_700)),
            // More credits are outstanding than the cap allows, since the cap was lowered.
            (vec![lease(2, 2_500, MUCH)], 100, (1_000, 100)),
        ] {
            let leases = [vec![lease(1, holds, MUCH)], others.clone()].concat();
            assert_eq!(decided(leases, holds, MUCH), expected, "{others:?} {holds}");
        }
    }

    #[test]
    fn a_share_grows_as_fast_as_credits_are_opened() {
        for (passed_ms, expected) in [(0, 1), (50, 125), (400, 1_000), (799, 1_998), (900, 2_000)] {
            let request = ShareRequest {
                lease: LeaseId::from_u128(1),
                holds: 0,
                wanted: MUCH,
                limit: MUCH,
                passed: Duration::from_millis(passed_ms),
            };
            assert_eq!(allocate(&group(vec![lease(1, 0, MUCH)]), request).share, expected, "{passed_ms} ms");
        }
    }

    #[test]
    fn a_fenced_worker_counts_for_one_more_second() {
        let dead =
            |expires_us: i64, fenced_us: Option<i64>| Lease { expires_us, fenced_us, ..lease(2, 800, MUCH) };
        for (other, expected) in [
            (dead(NOW, None), (2_000, 1_200)),
            (dead(NOW - 9_000_000, None), (2_000, 1_200)),
            (dead(NOW - 9_000_000, Some(NOW - 1_001_000)), (2_000, 1_200)),
            (dead(NOW - 9_000_000, Some(NOW - 1_001_001)), (2_000, 2_000)),
        ] {
            assert_eq!(decided(vec![lease(1, 0, MUCH), other.clone()], 0, MUCH), expected, "{other:?}");
        }
    }

    #[test]
    fn settled_when_every_lease_has_its_share() {
        let settled = |other: Lease, holds| {
            let request = ShareRequest {
                lease: LeaseId::from_u128(1),
                holds,
                wanted: MUCH,
                limit: MUCH,
                passed: Duration::ZERO,
            };
            allocate(&group(vec![lease(1, 0, MUCH), other]), request).is_settled
        };
        assert!(settled(lease(2, 1_000, MUCH), 1_000));
        assert!(settled(lease(2, 1_030, MUCH), 970));
        assert!(!settled(lease(2, 1_500, MUCH), 500));
        assert!(!settled(lease(2, 0, MUCH), 1_500));
        // Little, but twice what it has.
        assert!(settled(lease(2, 4, 8), 1_992));
        // A worker that backs off leaves most of its possible share.
        assert!(settled(lease(2, 300, 300), 1_700));
        let lapsed = Lease { expires_us: NOW, ..lease(2, 900, MUCH) };
        assert!(settled(lapsed, 2_000));
        assert!(!settled(lease(2, 3, 8), 1_992));
    }

    #[test]
    fn shares_follow_demand() {
        const MUCH: u32 = u32::MAX;
        for (cap, wanted, expected) in [
            (2_000, &[MUCH][..], &[2_000][..]),
            (2_000, &[MUCH, MUCH], &[1_000, 1_000]),
            (2_000, &[MUCH, 1], &[1_999, 1]),
            (2_000, &[MUCH, 1, 500], &[1_499, 1, 500]),
            (2_000, &[1, 1], &[1_000, 1_000]),
            (2_000, &[100, 300], &[900, 1_100]),
            (2_000, &[MUCH, 0], &[2_000, 0]),
            (0, &[MUCH, 5], &[0, 0]),
            (2_000, &[0, 0], &[0, 0]),
            (7, &[MUCH, MUCH, MUCH], &[3, 2, 2]),
            (1, &[MUCH, 1, 1], &[1, 0, 0]),
        ] {
            assert_eq!(split(cap, wanted, 0), expected, "{cap} {wanted:?}");
        }
    }

    proptest! {
        #[test]
        fn the_whole_cap_is_split_and_never_more(
            cap in 0_u32..5_000_000, wanted in prop::collection::vec(prop_oneof![Just(0), 1..100_u32, any::<u32>()], 0..40), turn: u64,
        ) {
            let shares = split(cap, &wanted, turn);
            let sum: u64 = shares.iter().map(|&share| u64::from(share)).sum();
            prop_assert_eq!(sum, if wanted.iter().all(|&want| want == 0) { 0 } else { u64::from(cap) });
            for (left, right) in (0..wanted.len()).flat_map(|left| (0..wanted.len()).map(move |right| (left, right))) {
                if wanted[left] == 0 {
                    prop_assert_eq!(shares[left], 0);
                } else if shares[left] < wanted[left] {
                    // A worker below its demand has no less than any other, except for one order.
                    prop_assert!(wanted[right] == 0 || shares[right] <= shares[left] + 1, "{shares:?} {wanted:?}");
                }
            }
        }

        #[test]
        fn a_cap_below_the_worker_count_rotates(cap in 1_u32..8, count in 1_usize..20) {
            let wanted = vec![u32::MAX; count];
            let mut served = vec![false; count];
            for turn in 0..count as u64 {
                for (place, share) in split(cap, &wanted, turn).into_iter().enumerate() {
                    served[place] |= share > 0;
                }
            }
            prop_assert!(served.into_iter().all(|served| served));
        }
    }
}
