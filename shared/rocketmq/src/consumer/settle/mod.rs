//! Settles messages: acks in batches for each broker, nacks, and releases of dropped messages.

mod ack_queue;
mod calls;
mod releases;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use self::ack_queue::AckQueue;
pub(super) use self::calls::SettleCalls;
use self::releases::Release;
use super::receipt::{Receipt, SettleError};
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
    releases: mpsc::Sender<Release>,
}

impl Settler {
    pub(super) fn start(calls: Arc<SettleCalls>, tasks: &TaskTracker) -> Self {
        let queues = Queues { acks: HashMap::new(), releases: releases::start(calls.clone(), tasks) };
        Self { calls, queues: Mutex::new(Some(queues)), tasks: tasks.clone() }
    }

    pub(super) const fn calls(&self) -> &Arc<SettleCalls> {
        &self.calls
    }

    /// Accepts no further settlements; queued ones are still sent.
    pub(super) fn close(&self) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn ack_queue(&self, receipt: &Receipt) -> Result<AckQueue, ClientError> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queues = queues.as_mut().ok_or(ClientError::Closed)?;
        let queue = queues.acks.entry((receipt.broker.clone(), receipt.topic.clone()));
        Ok(queue
            .or_insert_with(|| AckQueue::start(self.calls.clone(), receipt.topic.clone(), &self.tasks))
            .clone())
    }

    pub(super) async fn ack(&self, receipt: Arc<Receipt>) -> Result<(), SettleError> {
        self.ack_queue(&receipt)?.ack(receipt).await
    }

    pub(super) async fn nack(&self, receipt: &Receipt, delay: Duration) -> Result<(), SettleError> {
        self.calls.extend(receipt, delay).await?;
        self.calls.counters.nacked.add(1);
        Ok(())
    }

    /// Nacks a dropped message without waiting. If the queue is full or the client is closed, the message reappears when
    /// its invisible duration expires.
    pub(super) fn release(&self, receipt: Arc<Receipt>, delay: Duration) {
        if let Some(queues) = &*self.queues.lock().unwrap_or_else(PoisonError::into_inner) {
            let _expires_by_itself = queues.releases.try_send(Release { receipt, delay });
        }
    }
}
