//! The adaptive limit: a worker lowers its own rate while the database is slow or failing, and raises it afterwards.
//!
//! Additive increase, multiplicative decrease, as in TCP. The rate decreases by three tenths in every second with
//! failed transactions, and in every second with slow commits but the first. It increases by a tenth of the worker's
//! fair share in every other second. A single slow second is ignored: a flush, a checkpoint. The limit never exceeds
//! what operators allow. Each worker measures its own commits; those that share a database measure the same, and
//! where only one is slow, the others get its share.
//!
//! The limit is stored as a fraction of the fair share. When workers leave, the remaining ones commit exactly what
//! those committed, and the pool's rate neither falls nor jumps.

use std::time::Duration;

use tokio::time::Instant;

use crate::control::RATE_MAX;
use crate::pipeline::{LatencyHistogram, StatsDelta};

/// Minimum time between decreases, and the time over which commits are measured: a lower rate needs a moment to show.
const WINDOW: Duration = Duration::from_secs(1);

/// Consecutive slow windows before a decrease.
const SLOW_WINDOWS: u32 = 2;

const DECREASE_FACTOR: f64 = 0.7;

/// Increase per second, as a fraction of the fair share.
const INCREASE_PER_SECOND: f64 = 0.1;

/// Lower bound, as a fraction of the fair share: without commits a worker could not notice the recovery.
const MIN_FRACTION: f64 = 0.02;

/// Above it the limit is removed: more than any share that a worker is likely to get, in fair shares.
const MAX_FRACTION: f64 = 2.0;

#[derive(Debug)]
pub struct AdaptiveLimit {
    /// Commits are slow from this duration on. `None`: the limit is off.
    slow: Option<Duration>,
    /// In fair shares; `None`: not limited.
    limit: Option<f64>,
    /// The worker's fair share of the cap when the cap was last above 0, orders a second.
    fair: f64,
    reason: Option<String>,
    decreased_at: Option<Instant>,
    observed_at: Option<Instant>,
    window: CommitWindow,
}

/// The commits of one window.
#[derive(Debug, Default)]
struct CommitWindow {
    began_at: Option<Instant>,
    latencies: LatencyHistogram,
    /// Consecutive slow windows before this one.
    slow_before: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct PoolLoad {
    /// Orders a second.
    pub cap: u32,
    pub workers: u32,
    /// Orders that the worker committed in the last second, about.
    pub used: u32,
}

impl AdaptiveLimit {
    /// Not limited yet. It decreases when a tenth of the commits takes longer than `slow` for two seconds.
    #[must_use]
    pub fn new(slow: Option<Duration>) -> Self {
        Self {
            slow,
            limit: None,
            fair: 1.0,
            reason: None,
            decreased_at: None,
            observed_at: None,
            window: CommitWindow::default(),
        }
    }

    /// Evaluates the statistics since the previous call.
    pub fn observe(&mut self, delta: &StatsDelta, load: PoolLoad, now: Instant) {
        let Some(slow) = self.slow else { return };
        let passed = self.observed_at.replace(now).map_or(Duration::ZERO, |before| now - before);
        if load.cap > 0 {
            self.fair = f64::from(load.cap) / f64::from(load.workers.max(1));
        }
        let slow = self.window.close(&delta.latencies, slow, load.used > 0, now);
        let failed = (delta.failures > 0).then(|| format!("{} transactions failed", delta.failures));
        match failed.or(slow) {
            Some(reason) => {
                self.reason = Some(reason);
                self.decrease(f64::from(load.used), now);
            }
            None => self.increase(passed, now),
        }
    }

    fn decrease(&mut self, used: f64, now: Instant) {
        if self.decreased_at.is_some_and(|at| now - at < WINDOW) {
            return;
        }
        self.decreased_at = Some(now);
        // Based on the committed rate: a limit far above it would decrease for a long time without effect.
        let base = self.limit.unwrap_or(f64::INFINITY).min(used.max(1.0) / self.fair);
        self.limit = Some((base * DECREASE_FACTOR).max(MIN_FRACTION));
    }

    fn increase(&mut self, passed: Duration, now: Instant) {
        let Some(limit) = self.limit else { return };
        if self.window.slow_before > 0 || self.decreased_at.is_some_and(|at| now - at < WINDOW) {
            return;
        }
        // A share below one order a second would otherwise never recover.
        let increase = INCREASE_PER_SECOND.max(INCREASE_PER_SECOND / self.fair);
        let limit = limit + increase * passed.as_secs_f64();
        self.limit = (limit < MAX_FRACTION).then_some(limit);
        if self.limit.is_none() {
            self.reason = None;
        }
    }

    /// Orders a second, 1 to [`RATE_MAX`], which means not limited.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.map_or(RATE_MAX, |limit| ((limit * self.fair) as u32).clamp(1, RATE_MAX))
    }

    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.limit.and(self.reason.as_deref())
    }
}

impl CommitWindow {
    /// Ends the window if its time is over; returns the reason if it was slow and not the first slow one. `is_busy`:
    /// commits are or were in flight; if none was answered, they take longer than any answered one.
    fn close(
        &mut self,
        latencies: &LatencyHistogram,
        slow: Duration,
        is_busy: bool,
        now: Instant,
    ) -> Option<String> {
        self.latencies.add(latencies);
        let began_at = *self.began_at.get_or_insert(now);
        if now - began_at < WINDOW {
            return None;
        }
        self.began_at = Some(now);
        let slow_ms = slow.as_secs_f64() * 1_000.0;
        let reason = match std::mem::take(&mut self.latencies).quantile_ms(0.9) {
            // A bucket's upper bound exceeds the measured value by at most a half.
            Some(p90_ms) => (p90_ms > slow_ms * 1.5)
                .then(|| format!("commits take up to {p90_ms:.0} ms (p90), over {slow_ms:.0} ms")),
            None => is_busy.then(|| "commits in flight are not answered".to_owned()),
        };
        self.slow_before = if reason.is_some() { self.slow_before.saturating_add(1) } else { 0 };
        reason.filter(|_| self.slow_before >= SLOW_WINDOWS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::LatencyHistogram;

    const LOAD: PoolLoad = PoolLoad { cap: 2_000, workers: 2, used: 1_000 };

    fn delta(ms: u64, failures: u32) -> StatsDelta {
        let mut latencies = LatencyHistogram::default();
        for _ in 0..10 {
            latencies.record(Duration::from_millis(ms));
        }
        StatsDelta { latencies, failures, ..StatsDelta::default() }
    }

    fn adaptive() -> AdaptiveLimit {
        AdaptiveLimit::new(Some(Duration::from_millis(250)))
    }

    #[tokio::test(start_paused = true)]
    async fn limit_falls_while_commits_are_slow_and_recovers() {
        let mut adaptive = adaptive();
        let start = Instant::now();
        let mut limits = Vec::new();
        for second in 0..40 {
            let used = adaptive.limit().min(1_000);
            let commits = delta(if second < 7 { 900 } else { 10 }, 0);
            adaptive.observe(&commits, PoolLoad { used, ..LOAD }, start + Duration::from_secs(second));
            limits.push(adaptive.limit());
            assert_eq!(adaptive.reason().is_some(), adaptive.limit() < RATE_MAX, "a limit has a reason");
        }
        assert_eq!(&limits[..7], &[RATE_MAX, RATE_MAX, 700, 489, 342, 239, 167]);
        assert!(limits[7..].is_sorted(), "{limits:?}");
        assert_eq!(limits[39], RATE_MAX);
    }

    /// A heartbeat of a worker with a small share has so few commits that one slow commit is a tenth of them.
    #[tokio::test(start_paused = true)]
    async fn a_single_slow_commit_does_not_lower_the_limit() {
        let mut adaptive = adaptive();
        let start = Instant::now();
        for beat in 0_u32..80 {
            // Every fifth second all commits of one heartbeat are slow.
            let ms = if beat % 20 == 0 { 900 } else { 10 };
            adaptive.observe(&delta(ms, 0), LOAD, start + Duration::from_millis(250) * beat);
            assert_eq!(adaptive.reason(), None, "beat {beat}");
        }
    }

    /// The slower the commits, the fewer windows contain any.
    #[tokio::test(start_paused = true)]
    async fn a_silent_database_is_slow_and_an_idle_one_is_not() {
        for (used, falls) in [(200, true), (0, false)] {
            let mut adaptive = adaptive();
            let start = Instant::now();
            for beat in 0_u32..40 {
                let now = start + Duration::from_millis(250) * beat;
                adaptive.observe(&StatsDelta::default(), PoolLoad { used, ..LOAD }, now);
            }
            assert_eq!(adaptive.limit() < 100, falls, "{used} under way: {}", adaptive.limit());
            assert_eq!(adaptive.reason().is_some(), falls);
        }
        // The credits of a single order are outstanding for a second after its answer.
        let mut lone = adaptive();
        let start = Instant::now();
        for second in 0..30 {
            let commits = if second % 3 == 0 { delta(5, 0) } else { StatsDelta::default() };
            let used = u32::from(second % 3 != 2);
            lone.observe(&commits, PoolLoad { used, ..LOAD }, start + Duration::from_secs(second));
            assert_eq!(lone.reason(), None, "second {second}");
        }
    }

    /// The remaining workers commit what the leaving ones committed.
    #[tokio::test(start_paused = true)]
    async fn the_limit_follows_the_fair_share() {
        let mut adaptive = adaptive();
        let mut now = Instant::now();
        adaptive.observe(&delta(1, 1), PoolLoad { cap: 2_000, workers: 8, used: 250 }, now);
        assert_eq!(adaptive.limit(), 175);
        for (cap, workers, limit) in [(2_000, 2, 700), (4_000, 2, 1_400), (0, 2, 1_400), (400, 1, 280)] {
            now += Duration::from_millis(1);
            adaptive.observe(&delta(1, 0), PoolLoad { cap, workers, used: 250 }, now);
            assert_eq!(adaptive.limit(), limit, "cap {cap}, {workers} workers");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn limit_falls_once_a_second_and_never_to_zero() {
        let mut adaptive = adaptive();
        let start = Instant::now();
        for tenth in 0..10 {
            adaptive.observe(&delta(1, 3), LOAD, start + Duration::from_millis(100) * tenth);
        }
        assert_eq!(adaptive.limit(), 700);
        for second in 1..100 {
            adaptive.observe(&delta(1, 3), PoolLoad { used: 0, ..LOAD }, start + Duration::from_secs(second));
        }
        assert_eq!(adaptive.limit(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn limit_never_falls_with_quick_commits_or_when_disabled() {
        let now = Instant::now();
        let mut quick = adaptive();
        quick.observe(&delta(200, 0), LOAD, now);
        quick.observe(&StatsDelta::default(), LOAD, now);
        let mut off = AdaptiveLimit::new(None);
        off.observe(&delta(60_000, 9), LOAD, now);
        for adaptive in [quick, off] {
            assert_eq!((adaptive.limit(), adaptive.reason()), (RATE_MAX, None));
        }
    }
}
