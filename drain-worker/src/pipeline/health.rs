//! The circuit breaker: whether the database takes orders. Told by the writers, minded by the fetchers, shown to
//! operators.
//!
//! It opens at the first failure that waiting may mend. While it is open nothing is received, so no delivery attempt is
//! burnt, and of all writers one at a time tries its own batch again, ever more slowly. The first that succeeds closes
//! it.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard, watch};

/// What the writers last saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseHealth {
    /// Transactions commit: the breaker is closed.
    Up,
    /// Transactions fail for a reason that waiting may mend: the breaker is open.
    Down {
        /// Why, without personal data.
        reason: String,
    },
}

/// Shares the database's state. Clones see the same.
#[derive(Clone, Debug)]
pub struct Health {
    state: watch::Sender<DatabaseHealth>,
    /// Whoever holds it probes.
    probe: Arc<Mutex<()>>,
}

/// The right to try whether the database is back.
#[derive(Debug)]
pub(super) struct Probe<'a> {
    _turn: MutexGuard<'a, ()>,
}

impl Default for Health {
    fn default() -> Self {
        Self { state: watch::Sender::new(DatabaseHealth::Up), probe: Arc::default() }
    }
}

impl Health {
    /// What the writers last saw.
    #[must_use]
    pub fn database(&self) -> DatabaseHealth {
        self.state.borrow().clone()
    }

    pub(super) fn up(&self) {
        let recovered = self.state.send_if_modified(|state| {
            let was_down = *state != DatabaseHealth::Up;
            *state = DatabaseHealth::Up;
            was_down
        });
        if recovered {
            tracing::info!("the database answers again");
        }
    }

    pub(super) fn down(&self, reason: &str) {
        let fell = self.state.send_if_modified(|state| {
            let was_up = *state == DatabaseHealth::Up;
            *state = DatabaseHealth::Down { reason: reason.to_owned() };
            was_up
        });
        if fell {
            tracing::error!(reason, "the database does not take orders; waiting for it");
        }
    }

    /// Waits while the database is down.
    pub(super) async fn until_up(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        let _up = state.wait_for(|state| *state == DatabaseHealth::Up).await;
    }

    /// After a failure: waits until the database is up again (`None`), or it is this caller's turn to find out.
    pub(super) async fn until_up_or_probe(&self) -> Option<Probe<'_>> {
        tokio::select! {
            biased;
            () = self.until_up() => None,
            turn = self.probe.lock() => Some(Probe { _turn: turn }),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_probes_and_success_frees_all() {
        let health = Health::default();
        assert!(health.until_up_or_probe().await.is_none(), "closed: nobody probes");
        health.down("planted");
        let probe = health.until_up_or_probe().await.expect("the first probes");
        assert!(health.until_up_or_probe().now_or_never().is_none(), "the others wait");
        drop(probe);
        let _second = health.until_up_or_probe().await.expect("then the next");
        let waiting = health.until_up_or_probe();
        health.up();
        assert!(waiting.await.is_none());
        health.until_up().await;
    }
}
