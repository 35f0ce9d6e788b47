//! Settles messages: acks in batches for each broker, nacks, and releases of dropped messages.

mod ack_queue;
mod calls;
mod releases;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

pub(super) use self::ack_queue::AckQueue;
pub(super) use self::calls::SettleCalls;
pub(super) use self::releases::ReleaseQueue;
use super::receipt::Receipt;
use crate::error::ClientError;
use crate::route::BrokerKey;

pub(super) struct Settler {
    calls: Arc<SettleCalls>,
    /// `None` once closed.
    queues: Mutex<Option<Queues>>,
    tasks: TaskTracker,
}

struct Queues {
    /// By broker and topic, which an ack call has one of.
    acks: HashMap<(Arc<BrokerKey>, String), AckQueue>,
    releases: ReleaseQueue,
}

impl Settler {
    pub(super) fn start(calls: Arc<SettleCalls>, tasks: &TaskTracker) -> Self {
        let queues = Queues { acks: HashMap::new(), releases: ReleaseQueue::start(calls.clone(), tasks) };
        Self { calls, queues: Mutex::new(Some(queues)), tasks: tasks.clone() }
    }

    fn queues(&self) -> MutexGuard<'_, Option<Queues>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn calls(&self) -> &Arc<SettleCalls> {
        &self.calls
    }

    /// Accepts no further settlements; queued ones are still sent.
    pub(super) fn close(&self) {
        self.queues().take();
    }

    /// Returns the queue for the ack of `receipt`.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub(super) fn ack_queue(&self, receipt: &Receipt) -> Result<AckQueue, ClientError> {
        let mut queues = self.queues();
        let queues = queues.as_mut().ok_or(ClientError::Closed)?;
        let queue = queues.acks.entry((receipt.broker.clone(), receipt.topic.clone()));
        Ok(queue
            .or_insert_with(|| AckQueue::start(self.calls.clone(), receipt.topic.clone(), &self.tasks))
            .clone())
    }

    /// Returns the queue for nacks.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub(super) fn release_queue(&self) -> Result<ReleaseQueue, ClientError> {
        self.queues().as_ref().map(|queues| queues.releases.clone()).ok_or(ClientError::Closed)
    }
}
