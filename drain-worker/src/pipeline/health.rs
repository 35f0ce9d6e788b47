//! Whether the database answers: told by the writers, minded by the fetchers, shown to operators.

use tokio::sync::watch;

/// What the writers last saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseHealth {
    /// Transactions commit.
    Up,
    /// Transactions fail for a reason that waiting may mend. Nothing is received meanwhile.
    Down {
        /// Why, without personal data.
        reason: String,
    },
}

/// Shares the database's state. Clones see the same.
#[derive(Clone, Debug)]
pub struct Health {
    state: watch::Sender<DatabaseHealth>,
}

impl Default for Health {
    fn default() -> Self {
        Self { state: watch::Sender::new(DatabaseHealth::Up) }
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
}
