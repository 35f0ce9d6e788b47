//! A cap that protects: what a worker commits falls by itself while the database labours, and returns.
//!
//! Additive increase, multiplicative decrease, as TCP does it: every second in which transactions fail, and every second
//! but the first in which commits are slow, takes three tenths off the worker's rate; every other one adds a tenth of
//! its fair share. One slow second is a hiccup: a flush, a checkpoint. It only ever lowers what operators allow. Each
//! worker judges by its own commits; those that share a database come to the same judgement, and where only one suffers,
//! its share goes to the others.
//!
//! The limit is kept as a part of the fair share. So when workers leave, those that stay take over what these committed,
//! no less and no more, and the pool as a whole neither falls nor jumps.

use std::time::Duration;

use tokio::time::Instant;

use crate::control::RATE_MAX;
use crate::pipeline::{Latencies, Reading};

/// How often the limit may fall, and how long commits are gathered for a judgement. A lower rate needs a moment to show.
const FALL_EVERY: Duration = Duration::from_secs(1);

/// After so many slow seconds on end it falls.
const SLOW_SECONDS: u32 = 2;

/// What a fall leaves.
const FALL_TO: f64 = 0.7;

/// What is regained in a second, of a fair share.
const RISE_PER_SECOND: f64 = 0.1;

/// What always remains, of a fair share: without commits nobody would learn that the database has recovered.
const LEAST: f64 = 0.02;

/// Beyond any share that a worker is likely to get, in fair shares.
const MOST: f64 = 2.0;

/// A worker's own limit.
#[derive(Debug)]
pub struct Backoff {
    /// Commits that take longer than this are slow. `None`: the limit never falls.
    slow: Option<Duration>,
    /// In fair shares; `None`: not limited.
    limit: Option<f64>,
    /// A worker's fair share of the cap when that was last above 0, orders a second.
    fair: f64,
    reason: Option<String>,
    fell_at: Option<Instant>,
    seen_at: Option<Instant>,
    second: Second,
}

/// The commits of a second.
#[derive(Debug, Default)]
struct Second {
    began_at: Option<Instant>,
    latencies: Latencies,
    /// Seconds on end, before this one, in which commits were slow.
    slow_before: u32,
}

/// What the limit is judged against.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    /// The pool's cap, orders a second.
    pub cap: u32,
    /// Workers that share it.
    pub workers: u32,
    /// Orders that the worker committed in the last second, about.
    pub used: u32,
}

impl Backoff {
    /// No limit yet. Commits of which a tenth takes longer than `slow`, for two seconds, make it fall.
    #[must_use]
    pub fn new(slow: Option<Duration>) -> Self {
        Self {
            slow,
            limit: None,
            fair: 1.0,
            reason: None,
            fell_at: None,
            seen_at: None,
            second: Second::default(),
        }
    }

    /// Takes in what has happened since the last call.
    pub fn observe(&mut self, reading: &Reading, ceiling: Ceiling, now: Instant) {
        let Some(slow) = self.slow else { return };
        let passed = self.seen_at.replace(now).map_or(Duration::ZERO, |before| now - before);
        if ceiling.cap > 0 {
            self.fair = f64::from(ceiling.cap) / f64::from(ceiling.workers.max(1));
        }
        let slow = self.second.judge(&reading.latencies, slow, ceiling.used > 0, now);
        let failed = (reading.failures > 0).then(|| format!("{} transactions failed", reading.failures));
        match failed.or(slow) {
            Some(reason) => {
                self.reason = Some(reason);
                self.fall(f64::from(ceiling.used), now);
            }
            None => self.rise(passed, now),
        }
    }

    fn fall(&mut self, used: f64, now: Instant) {
        if self.fell_at.is_some_and(|at| now - at < FALL_EVERY) {
            return;
        }
        self.fell_at = Some(now);
        // From what was really committed: a limit far above that would fall for long without any effect.
        let base = self.limit.unwrap_or(f64::INFINITY).min(used.max(1.0) / self.fair);
        self.limit = Some((base * FALL_TO).max(LEAST));
    }

    fn rise(&mut self, passed: Duration, now: Instant) {
        let Some(limit) = self.limit else { return };
        if self.second.slow_before > 0 || self.fell_at.is_some_and(|at| now - at < FALL_EVERY) {
            return;
        }
        // A share of less than one order a second would take for ever.
        let rise = RISE_PER_SECOND.max(RISE_PER_SECOND / self.fair);
        let limit = limit + rise * passed.as_secs_f64();
        self.limit = (limit < MOST).then_some(limit);
        if self.limit.is_none() {
            self.reason = None;
        }
    }

    /// Orders a second, 1 to [`RATE_MAX`]; that is no limit.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.map_or(RATE_MAX, |limit| ((limit * self.fair) as u32).clamp(1, RATE_MAX))
    }

    /// Why it limits, if it does.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.limit.and(self.reason.as_deref())
    }
}

impl Second {
    /// Why the commits are slow, if a second is over and it was not the first slow one. `is_busy`: some are under way, or
    /// were a second ago; if none was answered, those take longer than any that were.
    fn judge(
        &mut self,
        latencies: &Latencies,
        slow: Duration,
        is_busy: bool,
        now: Instant,
    ) -> Option<String> {
        self.latencies.add(latencies);
        let began_at = *self.began_at.get_or_insert(now);
        if now - began_at < FALL_EVERY {
            return None;
        }
        self.began_at = Some(now);
        let slow_ms = slow.as_secs_f64() * 1_000.0;
        let reason = match std::mem::take(&mut self.latencies).quantile_ms(0.9) {
            // A bucket's upper bound is up to half as much again as what was measured.
            Some(p90_ms) => (p90_ms > slow_ms * 1.5)
                .then(|| format!("commits take up to {p90_ms:.0} ms (p90), over {slow_ms:.0} ms")),
            None => is_busy.then(|| "commits under way are not answered".to_owned()),
        };
        self.slow_before = if reason.is_some() { self.slow_before.saturating_add(1) } else { 0 };
        reason.filter(|_| self.slow_before >= SLOW_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Latencies;

    const CEILING: Ceiling = Ceiling { cap: 2_000, workers: 2, used: 1_000 };

    fn reading(ms: u64, failures: u32) -> Reading {
        let mut latencies = Latencies::default();
        for _ in 0..10 {
            latencies.record(Duration::from_millis(ms));
        }
        Reading { latencies, failures, ..Reading::default() }
    }

    fn backoff() -> Backoff {
        Backoff::new(Some(Duration::from_millis(250)))
    }

    #[tokio::test(start_paused = true)]
    async fn it_falls_while_the_database_labours_and_returns() {
        let mut backoff = backoff();
        let start = Instant::now();
        let mut limits = Vec::new();
        for second in 0..40 {
            let used = backoff.limit().min(1_000);
            let commits = reading(if second < 7 { 900 } else { 10 }, 0);
            backoff.observe(&commits, Ceiling { used, ..CEILING }, start + Duration::from_secs(second));
            limits.push(backoff.limit());
            assert_eq!(backoff.reason().is_some(), backoff.limit() < RATE_MAX, "a limit has a reason");
        }
        assert_eq!(&limits[..7], &[RATE_MAX, RATE_MAX, 700, 489, 342, 239, 167]);
        assert!(limits[7..].is_sorted(), "{limits:?}");
        assert_eq!(limits[39], RATE_MAX);
    }

    /// A heartbeat of a worker with a small share has so few commits that one slow one is a tenth of them.
    #[tokio::test(start_paused = true)]
    async fn a_hiccup_is_not_distress() {
        let mut backoff = backoff();
        let start = Instant::now();
        for beat in 0_u32..80 {
            // Every fifth second all commits of one heartbeat are slow.
            let ms = if beat % 20 == 0 { 900 } else { 10 };
            backoff.observe(&reading(ms, 0), CEILING, start + Duration::from_millis(250) * beat);
            assert_eq!(backoff.reason(), None, "beat {beat}");
        }
    }

    /// The slower the commits, the fewer seconds have any that could be judged.
    #[tokio::test(start_paused = true)]
    async fn a_database_that_answers_nothing_is_slow_and_one_that_is_asked_nothing_is_not() {
        for (used, falls) in [(200, true), (0, false)] {
            let mut backoff = backoff();
            let start = Instant::now();
            for beat in 0_u32..40 {
                let now = start + Duration::from_millis(250) * beat;
                backoff.observe(&Reading::default(), Ceiling { used, ..CEILING }, now);
            }
            assert_eq!(backoff.limit() < 100, falls, "{used} under way: {}", backoff.limit());
            assert_eq!(backoff.reason().is_some(), falls);
        }
        // The credits of a lone order last for a second after its answer.
        let mut lone = backoff();
        let start = Instant::now();
        for second in 0..30 {
            let commits = if second % 3 == 0 { reading(5, 0) } else { Reading::default() };
            let used = u32::from(second % 3 != 2);
            lone.observe(&commits, Ceiling { used, ..CEILING }, start + Duration::from_secs(second));
            assert_eq!(lone.reason(), None, "second {second}");
        }
    }

    /// What workers that leave committed is taken over by those that stay.
    #[tokio::test(start_paused = true)]
    async fn the_limit_follows_the_fair_share() {
        let mut backoff = backoff();
        let mut now = Instant::now();
        backoff.observe(&reading(1, 1), Ceiling { cap: 2_000, workers: 8, used: 250 }, now);
        assert_eq!(backoff.limit(), 175);
        for (cap, workers, limit) in [(2_000, 2, 700), (4_000, 2, 1_400), (0, 2, 1_400), (400, 1, 280)] {
            now += Duration::from_millis(1);
            backoff.observe(&reading(1, 0), Ceiling { cap, workers, used: 250 }, now);
            assert_eq!(backoff.limit(), limit, "cap {cap}, {workers} workers");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_falls_once_a_second_and_never_to_nothing() {
        let mut backoff = backoff();
        let start = Instant::now();
        for tenth in 0..10 {
            backoff.observe(&reading(1, 3), CEILING, start + Duration::from_millis(100) * tenth);
        }
        assert_eq!(backoff.limit(), 700);
        for second in 1..100 {
            backoff.observe(
                &reading(1, 3),
                Ceiling { used: 0, ..CEILING },
                start + Duration::from_secs(second),
            );
        }
        assert_eq!(backoff.limit(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn quick_commits_and_switched_off_limits_never_fall() {
        let now = Instant::now();
        let mut quick = backoff();
        quick.observe(&reading(200, 0), CEILING, now);
        quick.observe(&Reading::default(), CEILING, now);
        let mut off = Backoff::new(None);
        off.observe(&reading(60_000, 9), CEILING, now);
        for backoff in [quick, off] {
            assert_eq!((backoff.limit(), backoff.reason()), (RATE_MAX, None));
        }
    }
}
