//! The commits of a run, checked against the caps in force.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Time and orders of each commit; ascending.
    pub(crate) commits: Vec<(Instant, u64)>,
    /// Caps in force from this time on, sampled at each change; ascending.
    pub(crate) caps: Vec<(Instant, u64)>,
    pub(crate) refused: u64,
    pub(crate) fenced: u64,
    pub(crate) lost: usize,
    pub(crate) ended: Option<Instant>,
}

impl Trace {
    /// Removes the last `commits`: a failover has lost them.
    pub(crate) fn lose(&mut self, commits: usize) {
        self.commits.truncate(self.commits.len() - commits);
        self.lost += commits;
    }

    pub(crate) fn commits(&self) -> usize {
        self.commits.len()
    }

    pub(crate) fn orders(&self) -> u64 {
        self.commits.iter().map(|(_, orders)| orders).sum()
    }

    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    pub(crate) const fn fenced(&self) -> u64 {
        self.fenced
    }

    /// Returns the highest cap in force at any time of `from..=to`.
    fn cap_max(&self, from: Instant, to: Instant) -> u64 {
        let before = self.caps.iter().rev().find(|(at, _)| *at <= from);
        let within = self.caps.iter().filter(|(at, _)| *at > from && *at <= to);
        before.into_iter().chain(within).map(|(_, cap)| *cap).max().unwrap_or(0)
    }

    /// Checks that no second has more orders than the highest cap in force during it or during `late` before it.
    pub(crate) fn check(&self, late: Duration) -> Result<(), String> {
        let mut window: VecDeque<(Instant, u64)> = VecDeque::new();
        let mut sum = 0;
        for &(at, orders) in &self.commits {
            window.push_back((at, orders));
            sum += orders;
            while window.front().is_some_and(|(first, _)| at - *first >= SECOND) {
                sum -= window.pop_front().map_or(0, |(_, orders)| orders);
            }
            let from = window.front().map_or(at, |(first, _)| *first);
            let cap = self.cap_max(from.checked_sub(late).unwrap_or(from), at);
            if sum > cap {
                let begin = self.caps[0].0;
                return Err(format!(
                    "{sum} orders within a second, cap {cap}, at {:?}; {:?}",
                    at - begin,
                    self.caps.iter().map(|(at, cap)| (*at - begin, *cap)).collect::<Vec<_>>()
                ));
            }
        }
        Ok(())
    }

    /// Checks that from `after` a change of the cap on, five seconds hold no more orders than the new cap allows, and
    /// nearly as many.
    pub(crate) fn check_reached(&self, after: Duration) -> Result<(), String> {
        for pair in self.caps.windows(2) {
            let (at, cap) = pair[1];
            let seen = self.within(at + after, at + after + SECOND * 5);
            if seen > cap * 5 || (seen as f64) < cap as f64 * 5.0 * 0.85 {
                return Err(format!(
                    "{seen} orders in the five seconds from {after:?} after the cap became {cap}"
                ));
            }
        }
        Ok(())
    }

    fn within(&self, from: Instant, to: Instant) -> u64 {
        let first = self.commits.partition_point(|(at, _)| *at < from);
        self.commits[first..].iter().take_while(|(at, _)| *at < to).map(|(_, orders)| orders).sum()
    }

    /// Returns the orders between two seconds since the start.
    pub(crate) fn within_seconds(&self, from: u32, to: u32) -> u64 {
        let begin = self.caps[0].0;
        self.within(begin + SECOND * from, begin + SECOND * to)
    }

    /// Returns the orders of each second.
    pub(crate) fn by_second(&self) -> Vec<u64> {
        let begin = self.caps[0].0;
        let seconds = self.ended.map_or(0, |ended| (ended - begin).as_secs());
        (0..seconds)
            .map(|second| self.within(begin + SECOND * second as u32, begin + SECOND * (second as u32 + 1)))
            .collect()
    }

    /// Returns the minimum share of the cap used in any window of this length, from `warm_up` after the start on.
    pub(crate) fn least_used(&self, window: Duration, warm_up: Duration) -> f64 {
        let (begin, cap) = self.caps[0];
        let ended = self.ended.unwrap_or(begin);
        let mut least = f64::INFINITY;
        let mut from = begin + warm_up;
        while from + window <= ended {
            least = least.min(self.within(from, from + window) as f64 / (cap as f64 * window.as_secs_f64()));
            from += SECOND / 4;
        }
        least
    }
}
