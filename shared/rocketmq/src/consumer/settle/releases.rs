//! Nacks messages that were dropped unsettled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::calls::SettleCalls;
use crate::consumer::receipt::{Receipt, SettleError};
use crate::route::BrokerKey;

/// Maximum queued releases, and as many that were started. Beyond it a dropped message reappears when its invisible
/// duration expires.
const QUEUE_MAX: usize = 4_096;

/// Maximum calls in flight to one broker.
const CALLS_MAX: usize = 16;

pub(super) struct Release {
    pub(super) receipt: Arc<Receipt>,
    pub(super) delay: Duration,
}

/// Starts the task that nacks. It ends when the sending end is dropped and the queue is empty.
pub(super) fn start(calls: Arc<SettleCalls>, tasks: &TaskTracker) -> mpsc::Sender<Release> {
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    tasks.spawn(send_releases(calls, queue, tasks.clone()));
    sender
}

async fn send_releases(calls: Arc<SettleCalls>, mut queue: mpsc::Receiver<Release>, tasks: TaskTracker) {
    let room = Arc::new(Semaphore::new(QUEUE_MAX));
    let mut places: HashMap<Arc<BrokerKey>, Arc<Semaphore>> = HashMap::new();
    while let Some(Release { receipt, delay }) = queue.recv().await {
        let Ok(room) = room.clone().acquire_owned().await else { return };
        let places = places.entry(receipt.broker.clone());
        let places = places.or_insert_with(|| Arc::new(Semaphore::new(CALLS_MAX))).clone();
        let calls = calls.clone();
        tasks.spawn(async move {
            let _places = (room, places.acquire_owned().await);
            match calls.extend(&receipt, delay).await {
                Ok(()) => calls.counters.nacked.add(1),
                Err(SettleError::Client(error)) => calls.context.error(&error, "nacking a dropped message"),
                Err(SettleError::Expired(_)) => {}
            }
        });
    }
}
