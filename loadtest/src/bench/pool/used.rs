//! How much of the cap was used, and whether any second exceeded it.

use anyhow::Context;
use serde::Serialize;

use super::SECOND_US;
use crate::ledger::busiest_window;

/// The window in which the cap is to be used.
const WINDOW_US: i64 = 10 * SECOND_US;

/// From one window to the next.
const STEP_US: i64 = SECOND_US / 10;

/// Commits that take less than this leave the cap no excuse.
pub(super) const QUICK_MS: f64 = 30.0;

/// What the pool said about its commits of the ten seconds before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at_us: i64,
    pub(super) p99_ms: Option<f64>,
}

/// What the commit times say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Used {
    /// All of them.
    pub(super) commits: u64,
    /// The most orders within any second.
    pub(super) busiest_second: u64,
    /// The least part of the cap in any ten seconds that are not excepted. `None`: all are.
    pub(super) least: Option<f64>,
    /// As `least`, of those windows in which 99 of 100 commits took less than [`QUICK_MS`].
    pub(super) least_quick: Option<f64>,
    /// How many of the windows that are not excepted those are, 0 to 1.
    pub(super) quick: Option<f64>,
    /// As `least`, of those that are excepted.
    pub(super) least_spared: Option<f64>,
    /// From the first commit to the end.
    pub(super) average: f64,
    /// Orders that share a commit time, on average: those of one statement.
    pub(super) orders_per_commit: f64,
}

impl Used {
    /// Of `commits_us`, under a cap of `rate` orders a second, until `ended_us`. Windows that touch a time of `spared`
    /// are excepted. `samples`, in order, tell how long commits took.
    pub(super) fn of(
        mut commits_us: Vec<i64>,
        rate: u32,
        ended_us: i64,
        spared: &[(i64, i64)],
        samples: &[Sample],
    ) -> anyhow::Result<Self> {
        commits_us.sort_unstable();
        let busiest_second = busiest_window(commits_us.iter().copied()) as u64;
        // The first second fills; then the cap is to be used.
        let begin_us = commits_us.first().context("nothing was committed")? + SECOND_US;
        let within = |from: i64, to: i64| {
            let first = commits_us.partition_point(|at| *at < from);
            commits_us.partition_point(|at| *at < to) - first
        };
        let full = f64::from(rate) * WINDOW_US as f64 / SECOND_US as f64;
        let (mut least, mut least_spared, mut least_quick) = (None, None, None);
        let (mut windows, mut quick_windows) = (0_u32, 0_u32);
        for from in (begin_us..=ended_us - WINDOW_US).step_by(STEP_US as usize) {
            let to = from + WINDOW_US;
            let part = within(from, to) as f64 / full;
            if spared.iter().any(|&(begin, end)| from < end && begin < to) {
                lower(&mut least_spared, part);
                continue;
            }
            lower(&mut least, part);
            windows += 1;
            if is_quick(samples, to) {
                lower(&mut least_quick, part);
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
            least,
            least_quick,
            quick,
            least_spared,
            average,
            orders_per_commit,
        })
    }
}

fn lower(least: &mut Option<f64>, part: f64) {
    *least = Some(least.map_or(part, |so_far| so_far.min(part)));
}

/// Whether the ten seconds until `to` had quick commits, by the first sample after them, which is up to a second late.
fn is_quick(samples: &[Sample], to: i64) -> bool {
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

    /// `rate` a second, evenly, for so many seconds.
    fn even(rate: i64, seconds: i64) -> Vec<i64> {
        (0..rate * seconds).map(|number| number * SECOND_US / rate).collect()
    }

    #[test]
    fn an_even_drain_uses_all_and_exceeds_nothing() {
        let used = Used::of(even(100, 30), 100, 30 * SECOND_US, &[], &[]).expect("commits");
        assert_eq!((used.commits, used.busiest_second, used.least), (3_000, 100, Some(1.0)));
        assert_eq!(used.least_spared, None);
    }

    #[test]
    fn a_gap_shows_unless_it_is_excepted() {
        let mut commits = even(100, 60);
        commits.retain(|at| !(20 * SECOND_US..25 * SECOND_US).contains(at));
        let used = Used::of(commits.clone(), 100, 60 * SECOND_US, &[], &[]).expect("commits");
        assert_eq!(used.least, Some(0.5));
        let spared = vec![(20 * SECOND_US, 33 * SECOND_US)];
        let used = Used::of(commits, 100, 60 * SECOND_US, &spared, &[]).expect("commits");
        assert_eq!((used.least, used.least_spared), (Some(1.0), Some(0.5)));
    }

    #[test]
    fn one_order_too_many_in_a_second_shows() {
        let mut commits = even(100, 20);
        commits.push(10 * SECOND_US + 1);
        let used = Used::of(commits, 100, 20 * SECOND_US, &[], &[]).expect("commits");
        assert_eq!(used.busiest_second, 101);
    }

    #[test]
    fn slow_commits_are_an_excuse_where_the_pool_said_so() {
        let mut commits = even(100, 60);
        commits.retain(|at| !(20 * SECOND_US..25 * SECOND_US).contains(at));
        let samples: Vec<_> = (0..=60)
            .map(|second| Sample {
                at_us: second * SECOND_US,
                p99_ms: Some(if (20..=36).contains(&second) { 400.0 } else { 8.0 }),
            })
            .collect();
        let used = Used::of(commits.clone(), 100, 60 * SECOND_US, &[], &samples).expect("commits");
        assert_eq!((used.least, used.least_quick), (Some(0.5), Some(1.0)));
        assert!(used.quick.is_some_and(|part| part > 0.5 && part < 0.9), "{used:?}");
        let used = Used::of(commits, 100, 60 * SECOND_US, &[], &[]).expect("commits");
        assert_eq!((used.least_quick, used.quick), (None, Some(0.0)), "nothing said, nothing excused");
    }
}
