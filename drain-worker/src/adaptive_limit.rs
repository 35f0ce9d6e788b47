//! The adaptive limit: a worker lowers its own rate while that makes commits quicker or stops failures, and raises it
//! afterwards.
//!
//! Multiplicative decrease: the rate falls by three tenths in every second with slow commits but the first, and in every
//! second in which a tenth of the transactions fails. Additive increase: it grows by a tenth of the worker's fair share
//! in every other second. A single slow second is ignored: a flush, a checkpoint. The limit never exceeds what operators
//! allow. Each worker measures its own commits; those that share a database measure the same, and where only one is slow,
//! the others get its share.
//!
//! # Only as long as it helps
//! Commits are slow because the database has too much to do, or because the path to it is long. A lower rate helps
//! against the first only: the credits of a worker bound its orders in flight, so at a third of the rate a saturated
//! database answers in less than half of the time. If it has not, three decreases and a commit's time later, the worker
//! takes its rate back, and the latency that it measured becomes the *baseline*: commits count as slow only above twice
//! that. A second that is clearly quicker ends it. While it excuses slow commits it is measured again every two minutes in
//! the same way, as gradient controllers measure their minimum again.
//!
//! Waits for the locks of other batches do not count. A lower rate makes them shorter, but only as far as there are fewer
//! orders to wait for: along a long path it costs as much throughput as it saves time. A database that is slow to give
//! locks back because it has too much to do is slow to commit as well.
//!
//! A worker that uses less than a twentieth of its fair share does not begin to lower: nothing would change but its rate
//! when orders arrive.
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

/// Decreases that a saturated database answers by halving its latency.
const TRIAL_DECREASES: u32 = 3;

/// Maximum time after these decreases for which a quicker answer is awaited, and for which any answer is.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// A decrease has helped if the latency is at most this part of what it was. Buckets of the histogram are half as much
/// again as the one before, so this is two of them.
const HELPED: f64 = 0.5;

/// Time after which the baseline is measured again.
const BASELINE_AGE: Duration = Duration::from_secs(120);

/// Commits are slow above this multiple of the threshold: a bucket's upper bound exceeds the measured value by at most
/// that.
const TOLERANCE: f64 = 1.5;

/// Commits are slow above this multiple of the baseline, which is a bucket's upper bound itself: two buckets above.
const BASELINE_TOLERANCE: f64 = 2.0;

/// The part of transactions whose failure lowers the limit.
const FAILED_PART: f64 = 0.1;

/// Increase per second, as a fraction of the fair share.
const INCREASE_PER_SECOND: f64 = 0.1;

/// Lower bound, as a fraction of the fair share: without commits a worker could not notice the recovery.
const MIN_FRACTION: f64 = 0.02;

/// Above it the limit is removed: more than any share that a worker is likely to get, in fair shares.
const MAX_FRACTION: f64 = 2.0;

/// Use below this fraction of the fair share is no reason to begin to lower.
const IDLE_FRACTION: f64 = 0.05;

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
    trial: Option<Trial>,
    baseline: Option<Baseline>,
    /// The latency of the last window with answers, ms.
    last_ms: f64,
}

/// The decreases since commits became slow.
#[derive(Debug)]
struct Trial {
    began_at: Instant,
    /// The highest latency since, ms: of commits that began at the higher rate.
    worst_ms: f64,
    /// The limit before.
    limit: Option<f64>,
    decreases: u32,
}

/// A latency that a lower rate did not change.
#[derive(Clone, Copy, Debug)]
struct Baseline {
    ms: f64,
    measured_at: Instant,
}

/// The commits of one window.
#[derive(Debug, Default)]
struct CommitWindow {
    began_at: Option<Instant>,
    latencies: LatencyHistogram,
    failures: u32,
    /// Consecutive slow windows, this one included.
    slow: u32,
}

/// The measurement of a window, ms.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// `None`: commits are in flight and none was answered.
    p50: Option<f64>,
    p90: Option<f64>,
    failures: u32,
    is_failing: bool,
    age: Duration,
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
            trial: None,
            baseline: None,
            last_ms: 0.0,
        }
    }

    /// Evaluates the statistics since the previous call.
    pub fn observe(&mut self, delta: &StatsDelta, load: PoolLoad, now: Instant) {
        let Some(slow) = self.slow else { return };
        let passed = self.observed_at.replace(now).map_or(Duration::ZERO, |before| now - before);
        if load.cap > 0 {
            self.fair = f64::from(load.cap) / f64::from(load.workers.max(1));
        }
        // A batch waits up to a second for credits, and then takes a commit's time.
        let patience = (WINDOW + ms(self.last_ms * TOLERANCE)).min(ANSWER_WAIT_MAX);
        if let Some(measured) = self.window.close(delta, load.used > 0, patience, now) {
            self.evaluate(measured, slow, f64::from(load.used), now);
        }
        self.increase(passed, now);
    }

    fn evaluate(&mut self, measured: Measured, slow: Duration, used: f64, now: Instant) {
        if let Some(p50) = measured.p50 {
            self.last_ms = p50;
            // Clearly quicker: the path has recovered.
            self.baseline = self.baseline.filter(|baseline| p50 > baseline.ms * HELPED);
        }
        let slow_ms = slow.as_secs_f64() * 1_000.0 * TOLERANCE;
        // The baseline excuses commits until it is to be measured again.
        let excused_ms = self
            .baseline
            .filter(|baseline| now - baseline.measured_at < BASELINE_AGE)
            .map_or(slow_ms, |baseline| slow_ms.max(baseline.ms * BASELINE_TOLERANCE));
        let reason = if measured.is_failing {
            Some(format!("{} transactions failed", measured.failures))
        } else {
            match measured.p90 {
                Some(p90) => (p90 > excused_ms).then(|| {
                    format!("commits take up to {p90:.0} ms (p90), over {:.0} ms", excused_ms / TOLERANCE)
                }),
                None => Some("commits in flight are not answered".to_owned()),
            }
        };
        self.window.slow = if reason.is_some() { self.window.slow.saturating_add(1) } else { 0 };
        let Some(reason) = reason else {
            self.trial = None;
            return;
        };
        let is_idle = self.limit.is_none() && used < self.fair * IDLE_FRACTION;
        if self.window.slow < SLOW_WINDOWS || is_idle {
            return;
        }
        let latency_ms = measured.p50.unwrap_or(measured.age.as_secs_f64() * 1_000.0);
        let (limit, fair) = (self.limit, self.fair);
        let trial =
            self.trial.get_or_insert(Trial { began_at: now, worst_ms: latency_ms, limit, decreases: 0 });
        trial.worst_ms = trial.worst_ms.max(latency_ms);
        let is_quicker = measured.p50.is_some() && latency_ms <= trial.worst_ms * HELPED;
        if is_quicker && trial.decreases > 0 {
            // It has helped; whether more of it does is another trial.
            *trial = Trial { began_at: now, worst_ms: latency_ms, limit, decreases: 0 };
        }
        let helps = measured.is_failing || measured.p50.is_none();
        let wait = WINDOW * TRIAL_DECREASES + ms(trial.worst_ms).min(ANSWER_WAIT_MAX);
        if !helps && trial.decreases >= TRIAL_DECREASES && now - trial.began_at >= wait {
            tracing::info!(
                event = "commits_slow_at_any_rate",
                latency_ms = latency_ms.round(),
                "commits are slow and a lower rate does not make them quicker; taking the rate back"
            );
            self.baseline = Some(Baseline { ms: latency_ms, measured_at: now });
            self.limit = trial.limit;
            self.reason = self.limit.and(Some(reason));
            (self.trial, self.window.slow) = (None, 0);
            return;
        }
        trial.decreases += 1;
        self.reason = Some(reason);
        self.decreased_at = Some(now);
        // Based on the committed rate, where there is one: a limit far above it would decrease for a long time without effect.
        let used = if measured.is_failing { 1.0 } else { used.max(1.0) / fair };
        let base = self.limit.unwrap_or(f64::INFINITY).min(used);
        self.limit = Some((base * DECREASE_FACTOR).max(MIN_FRACTION));
    }

    fn increase(&mut self, passed: Duration, now: Instant) {
        let Some(limit) = self.limit else { return };
        if self.window.slow > 0 || self.decreased_at.is_some_and(|at| now - at < WINDOW) {
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

fn ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1_000.0)
}

impl CommitWindow {
    /// Ends the window if its time is over and a commit was answered, or none within `patience`. `is_busy`: commits are
    /// or were in flight; if none was answered, they take longer than any answered one.
    fn close(
        &mut self,
        delta: &StatsDelta,
        is_busy: bool,
        patience: Duration,
        now: Instant,
    ) -> Option<Measured> {
        self.latencies.add(&delta.server_latencies);
        self.failures = self.failures.saturating_add(delta.failures);
        let began_at = *self.began_at.get_or_insert(now);
        let age = now - began_at;
        let p50 = self.latencies.quantile_ms(0.5);
        let is_silent = p50.is_none() && self.failures == 0;
        if age < WINDOW || (is_silent && is_busy && age < patience) {
            return None;
        }
        self.began_at = Some(now);
        let (latencies, failures) = (std::mem::take(&mut self.latencies), std::mem::take(&mut self.failures));
        if is_silent && !is_busy {
            self.slow = 0;
            return None;
        }
        let answered = f64::from(latencies.count());
        let is_failing = f64::from(failures) > (answered + f64::from(failures)) * FAILED_PART;
        Some(Measured { p50, p90: latencies.quantile_ms(0.9), failures, is_failing, age })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::LatencyHistogram;

    const LOAD: PoolLoad = PoolLoad { cap: 2_000, workers: 2, used: 1_000 };

    fn delta(ms: u64, failures: u32) -> StatsDelta {
        let mut server_latencies = LatencyHistogram::default();
        for _ in 0..10 {
            server_latencies.record(Duration::from_millis(ms));
        }
        StatsDelta { server_latencies, failures, ..StatsDelta::default() }
    }

    fn adaptive() -> AdaptiveLimit {
        AdaptiveLimit::new(Some(Duration::from_millis(250)))
    }

    #[tokio::test(start_paused = true)]
    async fn limit_falls_while_commits_are_slow_and_recovers() {
        let mut adaptive = adaptive();
        let start = Instant::now();
        let mut limits = Vec::new();
        for second in 0..80 {
            let used = adaptive.limit().min(1_000);
            // A database that commits 300 orders a second, the rest of the credits waits; from 40 s on it is quick.
            let waits = if second < 40 { 1_000 * u64::from(used) / 300 } else { 0 };
            let commits = delta(waits.saturating_sub(1_000).max(10), 0);
            adaptive.observe(&commits, PoolLoad { used, ..LOAD }, start + Duration::from_secs(second));
            limits.push(adaptive.limit());
            assert_eq!(adaptive.reason().is_some(), adaptive.limit() < RATE_MAX, "a limit has a reason");
        }
        assert_eq!(&limits[..5], &[RATE_MAX, RATE_MAX, 700, 489, 342]);
        assert!(limits[5..40].iter().all(|limit| (150..700).contains(limit)), "{limits:?}");
        assert!(limits[42..].is_sorted(), "{limits:?}");
        assert_eq!(limits[79], RATE_MAX);
    }

    /// The path is long: the limit is taken back after some seconds, and tried again every two minutes.
    #[tokio::test(start_paused = true)]
    async fn limit_does_not_fall_where_that_does_not_help() {
        let mut adaptive = adaptive();
        let start = Instant::now();
        let mut limited = Vec::new();
        for second in 0..300 {
            let used = adaptive.limit().min(1_000);
            let commits = delta(if second < 250 { 2_100 } else { 10 }, 0);
            adaptive.observe(&commits, PoolLoad { used, ..LOAD }, start + Duration::from_secs(second));
            limited.push(adaptive.limit() < RATE_MAX);
        }
        let seconds = |from: usize, to: usize| limited[from..to].iter().filter(|&&limited| limited).count();
        assert!((1..=7).contains(&seconds(0, 120)), "{limited:?}");
        assert!((1..=7).contains(&seconds(120, 240)), "measured again: {limited:?}");
        assert_eq!(seconds(250, 300), 0, "{limited:?}");
    }

    /// At the opening of a sale the worker needs its whole share.
    #[tokio::test(start_paused = true)]
    async fn a_failed_transaction_alone_lowers_nothing() {
        for (used, commits) in [(1, 0), (1, 1), (1_000, 10)] {
            let mut adaptive = adaptive();
            let start = Instant::now();
            for beat in 0_u32..40 {
                let mut delta = delta(10, u32::from(beat == 8));
                if commits == 0 {
                    delta.server_latencies = LatencyHistogram::default();
                }
                adaptive.observe(
                    &delta,
                    PoolLoad { used, ..LOAD },
                    start + Duration::from_millis(250) * beat,
                );
                assert_eq!(adaptive.limit(), RATE_MAX, "beat {beat}, {used} used");
            }
        }
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
        for _ in 0..3 {
            now += WINDOW;
            adaptive.observe(&delta(1, 10), PoolLoad { cap: 2_000, workers: 8, used: 250 }, now);
        }
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
        for tenth in 0..30 {
            adaptive.observe(&delta(1, 3), LOAD, start + Duration::from_millis(100) * tenth);
        }
        assert_eq!(adaptive.limit(), 700);
        for second in 3..100 {
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
