//! A cap that protects: what a worker commits falls by itself while the database labours, and returns.
//!
//! Additive increase, multiplicative decrease, as TCP does it: every second in which commits are slow or fail takes
//! three tenths off the worker's rate; every second without adds a tenth of its fair share. It only ever lowers what
//! operators allow. Each worker judges by its own commits; those that share a database come to the same judgement,
//! and where only one suffers, its share goes to the others.

use std::time::Duration;

use tokio::time::Instant;

use crate::control::RATE_MAX;
use crate::pipeline::Reading;

/// How often the limit may fall. A lower rate needs a moment to show.
const FALL_EVERY: Duration = Duration::from_secs(1);

/// What a fall leaves.
const FALL_TO: f64 = 0.7;

/// What is regained in a second, of a fair share.
const RISE_PER_SECOND: f64 = 0.1;

/// What always remains, of a fair share: without commits nobody would learn that the database has recovered.
const LEAST: f64 = 0.02;

/// A worker's own limit.
#[derive(Debug)]
pub struct Backoff {
    /// Commits that take longer than this are slow. `None`: the limit never falls.
    slow: Option<Duration>,
    /// Orders a second; `None`: not limited.
    limit: Option<f64>,
    reason: Option<String>,
    fell_at: Option<Instant>,
    seen_at: Option<Instant>,
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
    /// No limit yet. Commits of which a tenth takes longer than `slow` make it fall.
    #[must_use]
    pub const fn new(slow: Option<Duration>) -> Self {
        Self { slow, limit: None, reason: None, fell_at: None, seen_at: None }
    }

    /// Takes in what has happened since the last call.
    pub fn observe(&mut self, reading: &Reading, ceiling: Ceiling, now: Instant) {
        let Some(slow) = self.slow else { return };
        let passed = self.seen_at.replace(now).map_or(Duration::ZERO, |before| now - before);
        let fair = f64::from(ceiling.cap) / f64::from(ceiling.workers.max(1));
        match distress(reading, slow) {
            Some(reason) => {
                self.reason = Some(reason);
                if self.fell_at.is_none_or(|at| now - at >= FALL_EVERY) {
                    self.fell_at = Some(now);
                    // From what was really committed: a limit far above that would fall for long without any effect.
                    let base = self.limit.unwrap_or(f64::INFINITY).min(f64::from(ceiling.used).max(1.0));
                    self.limit = Some((base * FALL_TO).max(fair * LEAST).max(1.0));
                }
            }
            None => {
                let Some(limit) = self.limit else { return };
                if self.fell_at.is_some_and(|at| now - at < FALL_EVERY) {
                    return;
                }
                let limit = limit + fair.max(1.0) * RISE_PER_SECOND * passed.as_secs_f64();
                if limit >= f64::from(ceiling.cap) || (ceiling.cap > 0 && limit >= fair * 2.0) {
                    // Beyond any share that it is likely to get.
                    (self.limit, self.reason) = (None, None);
                } else {
                    self.limit = Some(limit);
                }
            }
        }
    }

    /// Orders a second, 1 to [`RATE_MAX`]; that is no limit.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.map_or(RATE_MAX, |limit| (limit as u32).clamp(1, RATE_MAX))
    }

    /// Why it limits, if it does.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.limit.and(self.reason.as_deref())
    }
}

fn distress(reading: &Reading, slow: Duration) -> Option<String> {
    if reading.failures > 0 {
        return Some(format!("{} transactions failed", reading.failures));
    }
    let slow_ms = slow.as_secs_f64() * 1_000.0;
    let p90_ms = reading.latencies.quantile_ms(0.9)?;
    // A bucket's upper bound is up to half as much again as what was measured.
    (p90_ms > slow_ms * 1.5).then(|| format!("commits take up to {p90_ms:.0} ms (p90), over {slow_ms:.0} ms"))
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
        let mut now = Instant::now();
        let mut limits = Vec::new();
        for second in 0..40 {
            now += Duration::from_secs(1);
            let used = backoff.limit().min(1_000);
            backoff.observe(&reading(if second < 5 { 900 } else { 10 }, 0), Ceiling { used, ..CEILING }, now);
            limits.push(backoff.limit());
            assert_eq!(backoff.reason().is_some(), backoff.limit() < RATE_MAX, "a limit has a reason");
        }
        assert_eq!(&limits[..5], &[700, 489, 342, 239, 167]);
        assert!(limits[5..].is_sorted(), "{limits:?}");
        assert_eq!(limits[39], RATE_MAX);
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
