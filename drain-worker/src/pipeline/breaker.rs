//! The circuit breaker of the database.
//!
//! It opens at the first transient failure. While it is open nothing is received, so no delivery attempt is spent,
//! and one writer at a time retries its own batch, with growing pauses. The first success closes it.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard, watch};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    /// Transactions fail transiently.
    Open {
        /// Without personal data.
        reason: String,
    },
}

/// Clones share one state.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    state: watch::Sender<BreakerState>,
    probe: Arc<Mutex<()>>,
}

/// The permission to probe the database.
#[derive(Debug)]
pub(crate) struct ProbeTurn<'a> {
    _turn: MutexGuard<'a, ()>,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self { state: watch::Sender::new(BreakerState::Closed), probe: Arc::default() }
    }
}

impl CircuitBreaker {
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.state.borrow().clone()
    }

    pub(crate) fn record_success(&self) {
        let recovered = self.state.send_if_modified(|state| {
            let was_open = *state != BreakerState::Closed;
            *state = BreakerState::Closed;
            was_open
        });
        if recovered {
            tracing::info!(event = "database_recovered", "the database commits again");
        }
    }

    pub(crate) fn record_failure(&self, reason: &str) {
        let opened = self.state.send_if_modified(|state| {
            let was_closed = *state == BreakerState::Closed;
            *state = BreakerState::Open { reason: reason.to_owned() };
            was_closed
        });
        if opened {
            tracing::error!(
                event = "database_unavailable",
                reason,
                "the database commits no orders; retrying"
            );
        }
    }

    pub(crate) async fn until_closed(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        let _up = state.wait_for(|state| *state == BreakerState::Closed).await;
    }

    /// After a failure: waits until the breaker closes (`None`), or until it is this caller's turn to probe.
    pub(crate) async fn until_closed_or_probe(&self) -> Option<ProbeTurn<'_>> {
        tokio::select! {
            biased;
            () = self.until_closed() => None,
            turn = self.probe.lock() => Some(ProbeTurn { _turn: turn }),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_probe_at_a_time_and_success_closes_the_breaker() {
        let breaker = CircuitBreaker::default();
        assert!(breaker.until_closed_or_probe().await.is_none(), "closed: no probe");
        breaker.record_failure("planted");
        let probe = breaker.until_closed_or_probe().await.expect("the first probes");
        assert!(breaker.until_closed_or_probe().now_or_never().is_none(), "the others wait");
        drop(probe);
        let _second = breaker.until_closed_or_probe().await.expect("then the next");
        let waiting = breaker.until_closed_or_probe();
        breaker.record_success();
        assert!(waiting.await.is_none());
        breaker.until_closed().await;
    }
}
