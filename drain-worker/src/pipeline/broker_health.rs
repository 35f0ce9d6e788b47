//! Finds out from receives if the broker is down. An idle worker receives as well.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time for which receives must fail before the broker counts as down: a connection that is replaced takes less.
const DOWN_AFTER: Duration = Duration::from_secs(2);

/// Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct BrokerHealth(Arc<Mutex<Option<Failing>>>);

#[derive(Clone, Debug)]
struct Failing {
    since: Instant,
    reason: String,
}

impl BrokerHealth {
    fn lock(&self) -> MutexGuard<'_, Option<Failing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record_success(&self) {
        *self.lock() = None;
    }

    pub(super) fn record_failure(&self, reason: String) {
        let mut failing = self.lock();
        let since = failing.as_ref().map_or_else(Instant::now, |failing| failing.since);
        *failing = Some(Failing { since, reason });
    }

    /// The reason why nothing can be received; `None`: the last receive succeeded, or receives have failed for a moment
    /// only.
    #[must_use]
    pub fn outage(&self) -> Option<String> {
        let failing = self.lock();
        failing
            .as_ref()
            .filter(|failing| failing.since.elapsed() >= DOWN_AFTER)
            .map(|failing| failing.reason.clone())
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
        tokio::time::sleep(DOWN_AFTER).await;
        health.record_failure("closed".to_owned());
        assert_eq!(health.outage().as_deref(), Some("closed"));
        health.record_success();
        assert_eq!(health.outage(), None);
    }
}
