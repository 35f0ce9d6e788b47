//! What happened, and whether it was allowed to.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// A run's commits and caps.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// When, and how many orders; ascending.
    pub(crate) commits: Vec<(Instant, u64)>,
    /// Caps in force from then on, sampled where they change; ascending.
    pub(crate) caps: Vec<(Instant, u64)>,
    pub(crate) refused: u64,
    pub(crate) fenced: u64,
    pub(crate) ended: Option<Instant>,
}

impl Trace {
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

    /// The highest cap in force at some time of `from..=to`.
    fn cap_max(&self, from: Instant, to: Instant) -> u64 {
        let before = self.caps.iter().rev().find(|(at, _)| *at <= from);
        let within = self.caps.iter().filter(|(at, _)| *at > from && *at <= to);
        before.into_iter().chain(within).map(|(_, cap)| *cap).max().unwrap_or(0)
    }

    /// No second holds more orders than the highest cap that was in force in it, or so long before.
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

    /// From `after` a change of the cap on, five seconds hold no more than the new one allows and nearly as much.
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

    /// Orders by the second.
    pub(crate) fn by_second(&self) -> Vec<u64> {
        let begin = self.caps[0].0;
        let seconds = self.ended.map_or(0, |ended| (ended - begin).as_secs());
        (0..seconds)
            .map(|second| self.within(begin + SECOND * second as u32, begin + SECOND * (second as u32 + 1)))
            .collect()
    }

    /// The least part of the cap that was used in any window of so long, from `warm_up` after the beginning on.
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
