//! Computes a worker's share at a heartbeat.

use std::time::Duration;

use crate::store::{GroupSnapshot, Lease, LeaseId};

/// Time for which an order that cannot be split stays with one worker.
const TURN_US: i64 = 5_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareDecision {
    pub cap: u32,
    pub workers: u32,
    /// The share that the worker would have if all were split anew.
    pub target: u32,
    /// The share that the worker approaches: its target, or its present share if moving would help no worker.
    pub goal: u32,
    /// The share to store now: never less than the credits that the worker holds.
    pub share: u32,
    /// True if nothing is left that this worker could do soon.
    pub is_settled: bool,
}

impl ShareDecision {
    /// Credits to open in a second: the even part of the cap, or the goal if that is more.
    #[must_use]
    pub fn pace(&self) -> u32 {
        self.goal.max(self.cap / self.workers.max(1))
    }
}

/// A worker's input to a decision.
#[derive(Clone, Copy, Debug)]
pub struct ShareRequest {
    pub lease: LeaseId,
    /// Credits that are outstanding or may be granted ([`crate::rate::GateUsage::holds`]).
    pub holds: u32,
    /// Orders a second that the worker could commit.
    pub wanted: u32,
    /// Orders a second, by the worker's [`crate::adaptive_limit`].
    pub limit: u32,
    /// Time since the previous decision.
    pub passed: Duration,
}

/// Decides about one worker's share. The share of a fenced lease counts as long as it is not 0.
///
/// Shares move only where that helps a worker: one keeps what it has while no worker is short of what it needs, none
/// has less than half of its target, and the cap is not exceeded. So demand that changes below the cap moves nothing.
///
/// A share grows about as fast as the worker can open credits ([`crate::rate`]): credits that one worker acquires early
/// are unusable for the others meanwhile.
#[must_use]
pub fn allocate(group: &GroupSnapshot, request: ShareRequest) -> ShareDecision {
    let ShareRequest { lease: me, holds, wanted, limit, passed } = request;
    let cap = group.settings.cap_at(group.now_us).orders_per_second;
    let is_in = |lease: &Lease| lease.id == me || lease.is_live(group.now_us);
    let wants: Vec<u32> = group
        .leases
        .iter()
        .map(|lease| match lease.id == me {
            true => wanted,
            false if is_in(lease) => lease.wanted,
            false => 0,
        })
        .collect();
    let turn = u64::try_from(group.now_us / TURN_US).unwrap_or(0);
    let targets = split(cap, &wants, turn);
    let workers = u32::try_from(group.leases.iter().filter(|lease| is_in(lease)).count()).unwrap_or(u32::MAX);
    let fair = cap / workers.max(1);
    let mine = group.leases.iter().position(|lease| lease.id == me);
    let target = mine.map_or(0, |place| targets[place]).min(limit);
    let stored = mine.map_or(0, |place| group.leases[place].share);

    let others = || group.leases.iter().zip(targets.iter().zip(&wants)).filter(|(lease, _)| lease.id != me);
    let taken: u64 = others().map(|(lease, _)| u64::from(lease.share)).sum();
    let is_exceeded = taken + u64::from(stored) > u64::from(cap);
    let another_lacks =
        others().any(|(lease, (&target, &wanted))| is_in(lease) && lacks(lease.share, target, wanted));
    let another_gives = others()
        .any(|(lease, (&target, _))| lease.share > target && (is_in(lease) || lease.fenced_us.is_some()));

    let goal = if stored > target {
        if is_exceeded || another_lacks || stored > limit { target } else { stored }
    } else if wanted > stored || stored < target - target / 4 {
        // Sooner than the others give something for it, so that it does not stay at the edge.
        target
    } else {
        stored
    };
    let (share, is_settled) = if goal > stored {
        let free = u64::from(cap).saturating_sub(taken + u64::from(stored));
        let step = (f64::from(target.max(fair)) * 1.25 * passed.as_secs_f64()).ceil() as u32;
        let missing = goal - stored;
        let raise = missing.min(u32::try_from(free).unwrap_or(u32::MAX)).min(step.max(target / 8).max(1));
        // Each raise costs the others' raises a second attempt, so no worker collects crumbs.
        let raise = if raise == missing || raise >= target / 128 { raise } else { 0 };
        let waits = another_gives && lacks(stored, target, wanted);
        (stored + raise, raise == missing || (raise == 0 && !waits))
    } else {
        let share = goal.max(holds).min(stored);
        let is_crumb = share > goal && stored - share < stored / 32;
        (if is_crumb { stored } else { share }, share == goal)
    };
    ShareDecision { cap, workers, target, goal, share, is_settled }
}

/// True if a worker with this share is short of what it needs, or has little of what a burst may need. The tolerance is a part
/// of the cap that stays unused while one worker could use it.
const fn lacks(share: u32, target: u32, wanted: u32) -> bool {
    let need = if target < wanted { target } else { wanted };
    share < need - need / 128 || share < target / 2
}

/// Splits `cap` among workers by their demands; a demand of 0 gets 0.
///
/// No worker gets more than its demand while another has less: the demands are filled evenly. What remains after that
/// is divided equally, so that a burst finds room on any worker. A cap smaller than the number of workers goes to those
/// with orders first, and rotates among them with `turn`: each has its turn once within (workers / cap) turns.
fn split(cap: u32, wanted: &[u32], turn: u64) -> Vec<u32> {
    let takes_part = |want: u32| want > 0;
    let count = wanted.iter().filter(|&&want| takes_part(want)).count();
    let mut shares = vec![0; wanted.len()];
    let mut left = cap;
    if usize::try_from(cap).is_ok_and(|cap| cap < count) {
        // An idle worker asks for one order a second, to have room for a first one. It waits for its turn at the end.
        let busy: Vec<u32> = wanted.iter().map(|&want| if want > 1 { want } else { 0 }).collect();
        left = fill(left, &busy, &mut shares, turn);
        if busy.iter().any(|&want| want > 0) && left > 0 {
            let idle: Vec<u32> = wanted.iter().map(|&want| u32::from(want == 1)).collect();
            let mut more = vec![0; wanted.len()];
            left = fill(left, &idle, &mut more, turn);
            shares.iter_mut().zip(more).for_each(|(share, more)| *share += more);
        }
    }
    if shares.iter().all(|&share| share == 0) {
        left = fill(left, wanted, &mut shares, turn);
    }
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
    // Each turn serves the next `odd` workers. Where everybody has something, it is not worth moving.
    let first = if even > 0 { 0 } else { (turn % count as u64) as usize * odd % count };
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
            changes: 0,
            joined_us: 0,
            expires_us: NOW + 1,
            fenced_us: None,
            report: String::new(),
        }
    }

    fn group(leases: Vec<Lease>) -> GroupSnapshot {
        let settings = GroupSettings::new(Rate::new(2_000).expect("within bounds"));
        GroupSnapshot { now_us: NOW, revision: 0, version: 0, settings, leases }
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
        for (passed_ms, expected) in [(0, 250), (50, 250), (400, 1_000), (799, 1_998), (900, 2_000)] {
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

    fn decide(leases: Vec<Lease>, holds: u32, wanted: u32, limit: u32) -> ShareDecision {
        let passed = Duration::from_secs(1);
        allocate(&group(leases), ShareRequest { lease: LeaseId::from_u128(1), holds, wanted, limit, passed })
    }

    #[test]
    fn a_silent_worker_counts_and_wants_nothing() {
        let expired = Lease { expires_us: NOW, ..lease(2, 800, MUCH) };
        let fenced = Lease { fenced_us: Some(NOW), ..lease(2, 800, MUCH) };
        for other in [expired, fenced] {
            assert_eq!(decided(vec![lease(1, 0, MUCH), other.clone()], 0, MUCH), (2_000, 1_200), "{other:?}");
        }
    }

    /// Demand below the cap moves nothing, however it changes.
    #[test]
    fn shares_stay_while_no_worker_lacks() {
        for (others, stored, wanted, limit, goal) in [
            (vec![lease(2, 1_000, 10)], 1_000, 10, MUCH, 1_000),
            (vec![lease(2, 600, 10)], 1_400, 10, MUCH, 1_400),
            (vec![lease(2, 600, 600)], 1_400, 1_390, MUCH, 1_400),
            // The other worker needs more, or has less than half of its even part.
            (vec![lease(2, 600, 700)], 1_400, 10, MUCH, 655),
            (vec![lease(2, 400, 10)], 1_600, 10, MUCH, 1_000),
            // Two halves to within the tolerance.
            (vec![lease(2, 994, MUCH)], 1_006, MUCH, MUCH, 1_006),
            (vec![lease(2, 1_040, MUCH)], 960, 960, MUCH, 960),
            // Above the cap, and above its own limit.
            (vec![lease(2, 1_100, 10)], 1_400, 10, MUCH, 1_000),
            (vec![lease(2, 600, 10)], 1_400, 300, 300, 300),
        ] {
            let leases = [vec![lease(1, stored, wanted)], others.clone()].concat();
            assert_eq!(decide(leases, 0, wanted, limit).goal, goal, "{others:?} {stored} {wanted}");
        }
    }

    #[test]
    fn settled_when_nothing_is_left_to_do() {
        let settled = |others: Vec<Lease>, stored, holds| {
            decide([vec![lease(1, stored, MUCH)], others].concat(), holds, MUCH, MUCH).is_settled
        };
        assert!(settled(vec![lease(2, 1_000, MUCH)], 1_000, 1_000));
        assert!(!settled(vec![lease(2, 0, MUCH)], 1_500, 1_500), "credits are out");
        assert!(settled(vec![lease(2, 0, MUCH)], 1_500, 1_000), "lowered");
        assert!(!settled(vec![lease(2, 1_500, MUCH)], 500, 500), "the other worker gives");
        let third = lease(3, 2_000, 0);
        assert!(!settled(vec![third], 0, 0), "a leaving worker gives");
        let lapsed = Lease { expires_us: NOW, ..lease(2, 2_000, MUCH) };
        assert!(
            settled(vec![lapsed], 0, 0),
            "faster heartbeats do not shorten the wait for its transactions"
        );
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
            (2, &[1, 1, MUCH, 1], &[0, 0, 2, 0]),
            (3, &[1, 1, 2, 1], &[1, 0, 2, 0]),
            (2, &[1, 1, 1], &[1, 1, 0]),
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
                    let is_idle = wanted[left] == 1 && (cap as usize) < wanted.len();
                    prop_assert!(wanted[right] == 0 || is_idle || shares[right] <= shares[left] + 1, "{shares:?} {wanted:?}");
                }
            }
        }

        #[test]
        fn a_cap_below_the_worker_count_rotates(cap in 1_u32..8, count in 1_usize..20) {
            let wanted = vec![u32::MAX; count];
            let mut served = vec![false; count];
            for turn in 0..count.div_ceil(cap as usize) as u64 {
                for (place, share) in split(cap, &wanted, turn).into_iter().enumerate() {
                    served[place] |= share > 0;
                }
            }
            prop_assert!(served.into_iter().all(|served| served));
        }
    }
}
