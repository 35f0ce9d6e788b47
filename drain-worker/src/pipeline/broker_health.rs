//! Finds out if the broker is down: from receives, and by checks while none ends, as in a paused worker or in a long poll.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::rocketmq::StreamConsumer;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Time for which receives or checks must fail before the broker counts as down: a connection that is replaced takes
/// less.
const DOWN_AFTER: Duration = Duration::from_secs(2);

/// Time without the end of a receive after which the broker is checked.
const CHECK_AFTER: Duration = Duration::from_secs(3);

/// Time after which a failed receive, followed by no other, says less than a successful check: more than the pause
/// between receives that fail.
const RECEIVE_FAILURE_MAX: Duration = Duration::from_secs(15);

/// Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct BrokerHealth(Arc<Mutex<HealthState>>);

#[derive(Debug, Default)]
struct HealthState {
    receives: Option<Failing>,
    checks: Option<Failing>,
    /// When the last receive ended.
    received_at: Option<Instant>,
    /// Receives that failed since the worker started.
    failures: u64,
}

#[derive(Clone, Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    reason: String,
}

impl Failing {
    fn again(before: Option<Self>, reason: String) -> Self {
        let last = Instant::now();
        Self { since: before.map_or(last, |before| before.since), last, reason }
    }
}

impl BrokerHealth {
    fn lock(&self) -> MutexGuard<'_, HealthState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record_success(&self) {
        let mut state = self.lock();
        let failures = state.failures;
        *state = HealthState { received_at: Some(Instant::now()), failures, ..HealthState::default() };
    }

    pub(super) fn record_failure(&self, reason: String) {
        let mut state = self.lock();
        state.receives = Some(Failing::again(state.receives.take(), reason));
        state.failures += 1;
        state.received_at = Some(Instant::now());
    }

    fn record_check(&self, result: Result<(), String>) {
        let mut state = self.lock();
        match result {
            Ok(()) => {
                let is_recent = |failing: &Failing| failing.last.elapsed() <= RECEIVE_FAILURE_MAX;
                state.receives = state.receives.take().filter(is_recent);
                state.checks = None;
            }
            Err(reason) => state.checks = Some(Failing::again(state.checks.take(), reason)),
        }
    }

    /// Checks the broker while no receive ends, until `shutdown`.
    pub(super) async fn check_loop(self, consumer: StreamConsumer, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(sleep(CHECK_AFTER / 2)).await.is_some() {
            let is_known = self.lock().received_at.is_some_and(|at| at.elapsed() < CHECK_AFTER);
            if is_known {
                continue;
            }
            let Some(result) = shutdown.run_until_cancelled(consumer.check()).await else { return };
            self.record_check(result.map_err(|error| error.to_string()));
        }
    }

    /// Receives that failed since the worker started.
    #[must_use]
    pub fn receive_failures(&self) -> u64 {
        self.lock().failures
    }

    /// The reason why nothing can be received; `None`: the last receive or check succeeded, or they have failed for a
    /// moment only.
    #[must_use]
    pub fn outage(&self) -> Option<String> {
        let state = self.lock();
        let mut failing = [&state.receives, &state.checks].into_iter().flatten();
        failing.find(|failing| failing.since.elapsed() >= DOWN_AFTER).map(|failing| failing.reason.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_begins_after_some_time_and_ends_with_a_success() {
        let health = BrokerHealth::default();
        for _ in 0..3 {
            health.record_failure("refused".to_owned());
            assert_eq!(health.outage(), None);
        }
        sleep(DOWN_AFTER).await;
        health.record_failure("closed".to_owned());
        assert_eq!(health.outage().as_deref(), Some("closed"));
        health.record_success();
        assert_eq!(health.outage(), None);
    }

    /// A worker that is paused during an outage receives nothing, and a check alone finds the end of it.
    #[tokio::test(start_paused = true)]
    async fn a_check_ends_an_outage_once_no_receive_fails_any_more() {
        let health = BrokerHealth::default();
        health.record_failure("refused".to_owned());
        sleep(DOWN_AFTER).await;
        health.record_check(Ok(()));
        assert_eq!(health.outage().as_deref(), Some("refused"), "a receive has just failed");
        sleep(RECEIVE_FAILURE_MAX).await;
        health.record_check(Ok(()));
        assert_eq!(health.outage(), None);
        health.record_check(Err("silent".to_owned()));
        sleep(DOWN_AFTER).await;
        assert_eq!(health.outage().as_deref(), Some("silent"));
        health.record_check(Ok(()));
        assert_eq!(health.outage(), None);
    }
}
