//! Use of the cap, and the busiest second.

use anyhow::Context;
use serde::Serialize;

use super::SECOND_US;
use loadtest::ledger::DecisionTimes;

/// Length of a window in which the cap must be used.
const WINDOW_US: i64 = 10 * SECOND_US;

/// Offset from one window to the next.
const STEP_US: i64 = SECOND_US / 10;

/// With commits faster than this, the pool must use its cap.
pub(super) const QUICK_MS: f64 = 30.0;

/// The pool's p99 over its commits of the last ten seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommitLatencySample {
    pub(super) at_us: i64,
    pub(super) p99_ms: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CapUse {
    pub(super) commits: u64,
    pub(super) busiest_second: u64,
    /// Minimum share of the cap in any ten seconds outside the excepted times; `None` if all are excepted.
    pub(super) min: Option<f64>,
    /// The same over the windows whose p99 was below [`QUICK_MS`].
    pub(super) min_quick: Option<f64>,
    /// Share of these windows in all windows that are not excepted, 0 to 1.
    pub(super) quick_share: Option<f64>,
    /// The same over the excepted windows.
    pub(super) min_excepted: Option<f64>,
    pub(super) average: f64,
    /// Mean number of orders with the same commit time: those of one statement.
    pub(super) orders_per_commit: f64,
}

impl CapUse {
    /// `rate` is the cap, orders a second. Windows that overlap a time in `excepted` are excepted. `samples` are in
    /// order.
    pub(super) fn compute(
        mut commits_us: Vec<i64>,
        rate: u32,
        ended_us: i64,
        excepted: &[(i64, i64)],
        samples: &[CommitLatencySample],
    ) -> anyhow::Result<Self> {
        commits_us.sort_unstable();
        let busiest_second = DecisionTimes::from_iter(commits_us.iter().copied()).busiest_second() as u64;
        // In the first second the pool starts; then it must use the cap.
        let begin_us = commits_us.first().context("no order was committed")? + SECOND_US;
        let within = |from: i64, to: i64| {
            let first = commits_us.partition_point(|at| *at < from);
            commits_us.partition_point(|at| *at < to) - first
        };
        let full = f64::from(rate) * WINDOW_US as f64 / SECOND_US as f64;
        let (mut min, mut min_excepted, mut min_quick) = (None, None, None);
        let (mut windows, mut quick_windows) = (0_u32, 0_u32);
        for from in (begin_us..=ended_us - WINDOW_US).step_by(STEP_US as usize) {
            let to = from + WINDOW_US;
            let part = within(from, to) as f64 / full;
            if excepted.iter().any(|&(begin, end)| from < end && begin < to) {
                lower(&mut min_excepted, part);
                continue;
            }
            lower(&mut min, part);
            windows += 1;
            if is_quick(samples, to) {
                lower(&mut min_quick, part);
                quick_windows += 1;
            }
        }
        let quick = (windows > 0).then(|| f64::from(quick_windows) / f64::from(windows));
        let seconds = (ended_us - begin_us) as f64 / SECOND_US as f64;
        let average = within(begin_us, ended_us) as f64 / (f64::from(rate) * seconds);
        let statements = commits_us.chunk_by(|left, right| left == right).count();
        let orders_per_commit = commits_us.len() as f64 / statements as f64;
        let commits = commits_us.len() as u64;
        Ok(Self {
            commits,
            busiest_second,
            min,
            min_quick,
            quick_share: quick,
            min_excepted,
            average,
            orders_per_commit,
        })
    }
}

fn lower(min: &mut Option<f64>, part: f64) {
    *min = Some(min.map_or(part, |so_far| so_far.min(part)));
}

/// True if the ten seconds before `to` had quick commits, by the first sample after `to`, which is up to a second late.
fn is_quick(samples: &[CommitLatencySample], to: i64) -> bool {
    let after = samples.partition_point(|sample| sample.at_us < to);
    samples
        .get(after)
        .filter(|sample| sample.at_us - to < 2 * SECOND_US)
        .and_then(|sample| sample.p99_ms)
        .is_some_and(|p99| p99 < QUICK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Even commits of `rate` a second for `seconds`.
    fn even(rate: i64, seconds: i64) -> Vec<i64> {
        (0..rate * seconds).map(|number| number * SECOND_US / rate).collect()
    }

    #[test]
    fn an_even_drain_uses_the_whole_cap_and_never_exceeds_it() {
        let used = CapUse::compute(even(100, 30), 100, 30 * SECOND_US, &[], &[]).expect("commits");
        assert_eq!((used.commits, used.busiest_second, used.min), (3_000, 100, Some(1.0)));
        assert_eq!(used.min_excepted, None);
    }

    #[test]
    fn a_gap_shows_unless_it_is_excepted() {
        let mut commits = even(100, 60);
        commits.retain(|at| !(20 * SECOND_US..25 * SECOND_US).contains(at));
        let used = CapUse::compute(commits.clone(), 100, 60 * SECOND_US, &[], &[]).expect("commits");
        assert_eq!(used.min, Some(0.5));
        let excepted = vec![(20 * SECOND_US, 33 * SECOND_US)];
        let used = CapUse::compute(commits, 100, 60 * SECOND_US, &excepted, &[]).expect("commits");
        assert_eq!((used.min, used.min_excepted), (Some(1.0), Some(0.5)));
    }

    #[test]
    fn one_order_too_many_in_a_second_shows() {
        let mut commits = even(100, 20);
        commits.push(10 * SECOND_US + 1);
        let used = CapUse::compute(commits, 100, 20 * SECOND_US, &[], &[]).expect("commits");
        assert_eq!(used.busiest_second, 101);
    }

    #[test]
    fn windows_with_slow_commits_are_excepted() {
        let mut commits = even(100, 60);
        commits.retain(|at| !(20 * SECOND_US..25 * SECOND_US).contains(at));
        let samples: Vec<_> = (0..=60)
            .map(|second| CommitLatencySample {
                at_us: second * SECOND_US,
                p99_ms: Some(if (20..=36).contains(&second) { 400.0 } else { 8.0 }),
            })
            .collect();
        let used = CapUse::compute(commits.clone(), 100, 60 * SECOND_US, &[], &samples).expect("commits");
        assert_eq!((used.min, used.min_quick), (Some(0.5), Some(1.0)));
        assert!(used.quick_share.is_some_and(|part| part > 0.5 && part < 0.9), "{used:?}");
        let used = CapUse::compute(commits, 100, 60 * SECOND_US, &[], &[]).expect("commits");
        assert_eq!(
            (used.min_quick, used.quick_share),
            (None, Some(0.0)),
            "without samples nothing is excepted"
        );
    }
}
