//! The deliveries in flight.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

/// Runs deliveries, and knows which began before a flush.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// Each wait ends an epoch, so that it does not wait for later deliveries.
    epochs: Mutex<Vec<TaskTracker>>,
}

impl Deliveries {
    fn epochs(&self) -> MutexGuard<'_, Vec<TaskTracker>> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `delivery` in a task of its own.
    pub(super) fn spawn(&self, delivery: impl Future<Output = ()> + Send + 'static) {
        let mut epochs = self.epochs();
        if epochs.is_empty() {
            epochs.push(TaskTracker::new());
        }
        if let Some(current) = epochs.last() {
            current.spawn(delivery);
        }
    }

    /// Waits for the deliveries that began before.
    pub(super) async fn settled(&self) {
        let earlier = {
            let mut epochs = self.epochs();
            epochs.retain(|epoch| !epoch.is_empty());
            let earlier = epochs.clone();
            epochs.push(TaskTracker::new());
            earlier
        };
        for epoch in earlier {
            epoch.close();
            epoch.wait().await;
        }
    }
}
