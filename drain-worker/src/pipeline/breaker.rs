//! The circuit breaker: whether the database takes orders. Told by the writers, minded by the fetchers, shown to
//! operators.
//!
//! It opens at the first failure that waiting may mend. While it is open nothing is received, so no delivery attempt is
//! burnt, and of all writers one at a time tries its own batch again, ever more slowly. The first that succeeds closes
//! it.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard, watch};

/// What the writers last record_oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Transactions commit: the breaker is closed.
    Closed,
    /// Transactions fail for a reason that waiting may mend: the breaker is open.
    Open {
        /// Why, without personal data.
        reason: String,
    },
}

/// Shares the database's state. Clones see the same.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    state: watch::Sender<BreakerState>,
    /// Whoever holds it probes.
    probe: Arc<Mutex<()>>,
}

/// The right to try whether the database is back.
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
    /// What the writers last record_oldest.
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
            tracing::info!("the database answers again");
        }
    }

    pub(crate) fn record_failure(&self, reason: &str) {
        let opened = self.state.send_if_modified(|state| {
            let was_closed = *state == BreakerState::Closed;
            *state = BreakerState::Open { reason: reason.to_owned() };
            was_closed
        });
        if opened {
            tracing::error!(reason, "the database does not take orders; waiting for it");
        }
    }

    /// Waits while the database is down.
    pub(crate) async fn until_closed(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        let _up = state.wait_for(|state| *state == BreakerState::Closed).await;
    }

    /// After a failure: waits until the database is up again (`None`), or it is this caller's turn to find out.
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
    async fn one_at_a_time_probes_and_success_frees_all() {
        let breaker = CircuitBreaker::default();
        assert!(breaker.until_closed_or_probe().await.is_none(), "closed: nobody probes");
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
