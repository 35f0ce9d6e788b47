//! The rate gate never exceeds the cap in any window of a second, and uses it.

#![allow(clippy::expect_used, reason = "tests use expect with the expectation")]

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use drain_worker::rate::{Grant, RateGate, WINDOW};
use drain_worker::store::{Fence, LeaseId};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

/// The window of the cap.
const SECOND: Duration = Duration::from_secs(1);

fn some(orders: u32) -> NonZeroU32 {
    NonZeroU32::new(orders).expect("not zero")
}

/// Returns a gate all of whose credits are free and may be granted at once.
async fn warm(credits: u32) -> RateGate {
    let gate = RateGate::standalone(some(credits));
    let mut left = credits;
    while let Some(asked) = NonZeroU32::new(left) {
        let grant = gate.acquire(asked).await;
        left -= grant.orders().get();
        grant.complete();
    }
    // The credits return in portions, and are granted together once more.
    for _ in 0..3 {
        sleep(WINDOW).await;
        let mut grants = Vec::new();
        let mut left = credits;
        while let Some(asked) = NonZeroU32::new(left) {
            let grant = gate.acquire(asked).await;
            left -= grant.orders().get();
            grants.push(grant);
        }
        grants.into_iter().for_each(Grant::complete);
    }
    sleep(WINDOW).await;
    gate
}

/// Returns the maximum of orders committed in any window of a second (half open).
fn busiest_window(commits: &[(Instant, u64)]) -> u64 {
    let mut commits = commits.to_vec();
    commits.sort_unstable_by_key(|&(at, _)| at);
    let mut window: VecDeque<(Instant, u64)> = VecDeque::new();
    let (mut sum, mut most) = (0, 0);
    for (at, orders) in commits {
        window.push_back((at, orders));
        sum += orders;
        while let Some(&(first, left)) = window.front()
            && first + SECOND <= at
        {
            window.pop_front();
            sum -= left;
        }
        most = most.max(sum);
    }
    most
}

/// Runs writers with commits of random size and duration; the commit is at any time between grant and response.
async fn run_writers(
    seed: u64,
    cap: u32,
    batch_max: u32,
    latency_ms_max: u64,
    length: Duration,
) -> Vec<(Instant, u64)> {
    let gate = RateGate::standalone(some(cap));
    let end = Instant::now() + length;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let gate = gate.clone();
        let mut random = StdRng::seed_from_u64(seed ^ (writer << 32));
        writers.spawn(async move {
            let mut commits = Vec::new();
            while Instant::now() < end {
                let orders = random.random_range(1..=batch_max.min(cap));
                let grant = gate.acquire(some(orders)).await;
                let before = Duration::from_micros(random.random_range(0..=latency_ms_max * 1_000));
                let after = Duration::from_micros(random.random_range(0..=latency_ms_max * 1_000));
                sleep(before).await;
                commits.push((Instant::now(), u64::from(grant.orders().get())));
                sleep(after).await;
                grant.complete();
            }
            commits
        });
    }
    writers.join_all().await.concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_window_of_a_second_exceeds_the_cap(
        seed: u64, cap in 1_u32..5_000, batch_max in 1_u32..400, latency_ms_max in 0_u64..1_500,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("runtime");
        let commits = runtime.block_on(run_writers(seed, cap, batch_max, latency_ms_max, Duration::from_secs(20)));
        prop_assert!(busiest_window(&commits) <= u64::from(cap), "{} > {cap}", busiest_window(&commits));
    }
}

#[tokio::test(start_paused = true)]
async fn the_cap_is_used_when_commits_are_quick() {
    for (cap, batch) in [(2_000, 200), (2_000, 40), (250, 64), (250, 5), (30, 200)] {
        let commits = run_writers(7, cap, batch, 5, Duration::from_secs(60)).await;
        let total: u64 = commits.iter().map(|&(_, orders)| orders).sum();
        let used = total as f64 / (f64::from(cap) * 60.0);
        // Commits take 5 ms on average: 1 / 1.005, less half a portion that lies idle.
        assert!((0.97..=1.0).contains(&used), "{cap} in batches of up to {batch}: {used}");
    }
}

/// Returns the maximum of orders in any tenth of a second.
fn busiest_tenth(commits: &[(Instant, u64)], from: Instant, to: Instant) -> u64 {
    let tenth = |at: Instant| (at - from).as_millis() / 100;
    let mut tenths = std::collections::BTreeMap::new();
    for &(at, orders) in commits.iter().filter(|(at, _)| (from..to).contains(at)) {
        *tenths.entry(tenth(at)).or_insert(0) += orders;
    }
    tenths.into_values().max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn a_start_is_spread_evenly_over_each_second() {
    let start = Instant::now();
    let commits = run_writers(3, 2_000, 200, 5, Duration::from_secs(10)).await;
    for second in 0..10 {
        let (from, to) = (start + SECOND * second, start + SECOND * (second + 1));
        let most = busiest_tenth(&commits, from, to);
        // An even tenth has 200; at a start 250 are opened, and 125 are open at once.
        assert!(most <= 450, "second {second}: {most}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_after_idling_is_spread_too() {
    let gate = RateGate::standalone(some(1_000));
    sleep(SECOND * 60).await;
    let start = Instant::now();
    let mut granted = 0;
    while granted < 1_000 {
        let grant = gate.acquire(some(1_000 - granted)).await;
        granted += grant.orders().get();
        grant.complete();
    }
    let took = start.elapsed();
    assert!((Duration::from_millis(700)..Duration::from_millis(800)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_single_order_never_waits() {
    for credits in [1, 2_000] {
        let gate = RateGate::standalone(some(credits));
        for _ in 0..5 {
            sleep(SECOND * 2).await;
            let start = Instant::now();
            gate.acquire(some(1)).await.complete();
            assert_eq!(start.elapsed(), Duration::ZERO, "{credits}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_credit_is_released_one_second_after_the_response() {
    let gate = warm(10).await;
    let grant = gate.acquire(some(10)).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(gate.outstanding(), 10, "a commit in flight keeps its credits");
    grant.complete();
    advance(Duration::from_millis(1_000)).await;
    assert_eq!(gate.outstanding(), 10);
    advance(Duration::from_millis(2)).await;
    assert_eq!(gate.outstanding(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_raised_cap_wakes_waiting_callers() {
    let gate = RateGate::standalone(some(1));
    let first = gate.acquire(some(1)).await;
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.acquire(some(100)).await }
    });
    sleep(Duration::from_millis(10)).await;
    assert!(!waiting.is_finished());
    gate.set_credits(1_000);
    let _granted = waiting.await.expect("granted");
    first.complete();
}

#[tokio::test(start_paused = true)]
async fn a_grant_has_the_free_credits_but_a_minimum_size() {
    let gate = warm(100).await;
    let first = gate.acquire(some(99)).await;
    assert_eq!(first.orders().get(), 99);
    // A single credit is free: less than a fiftieth of all, and less than requested.
    let more = tokio::time::timeout(Duration::from_secs(60), gate.acquire(some(40))).await;
    assert!(more.is_err());
    let one = gate.acquire(some(1)).await;
    assert_eq!(one.orders().get(), 1, "a complete grant is never below the minimum");
    one.complete();
    first.complete();
    sleep(WINDOW).await;
    let all = gate.acquire(some(500)).await;
    assert_eq!(all.orders().get(), 100, "the single credit was released too");
}

#[tokio::test(start_paused = true)]
async fn a_new_lease_starts_without_outstanding_credits() {
    let (first, second) = (Fence::of(LeaseId::from_u128(1)), Fence::of(LeaseId::from_u128(2)));
    let gate = RateGate::closed();
    gate.bind(first);
    assert!(tokio::time::timeout(WINDOW * 9, gate.acquire(some(1))).await.is_err(), "no credits, no grants");
    gate.set_credits(10);
    let old = gate.acquire(some(10)).await;
    assert_eq!((old.fence(), gate.outstanding()), (first, old.orders().get()));
    gate.bind(second);
    assert_eq!((gate.credits(), gate.outstanding()), (0, 0));
    gate.set_credits(10);
    let new = gate.acquire(some(10)).await;
    assert_eq!(new.fence(), second);
    old.complete();
    assert_eq!(gate.outstanding(), new.orders().get(), "grants of the first lease release no credits");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_fence_grants_nothing_and_fails_waiting_callers() {
    let fence = Fence::of(LeaseId::from_u128(1));
    let gate = RateGate::closed();
    gate.bind(fence);
    gate.set_credits(10);
    gate.revoke(Fence::of(LeaseId::from_u128(2)));
    assert_eq!(gate.credits(), 10, "another's fence");
    gate.revoke(fence);
    gate.revoked().await;
    assert!(tokio::time::timeout(WINDOW * 9, gate.acquire(some(1))).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_acquire_takes_no_credits() {
    let gate = RateGate::standalone(some(1));
    let first = gate.acquire(some(1)).await;
    let second = tokio::time::timeout(Duration::from_millis(500), gate.acquire(some(1))).await;
    assert!(second.is_err());
    first.complete();
    sleep(WINDOW + Duration::from_millis(1)).await;
    assert_eq!(gate.outstanding(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_grant_keeps_its_credits() {
    let gate = warm(10).await;
    drop(gate.acquire(some(4)).await);
    sleep(WINDOW * 100).await;
    assert_eq!(gate.outstanding(), 4, "it may still be committed");
    gate.bind(Fence::Open);
    assert_eq!(gate.outstanding(), 0);
}
