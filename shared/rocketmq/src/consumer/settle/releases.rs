//! Nacks messages: those that the application returns, and those that it dropped unsettled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::TaskTracker;

use super::calls::SettleCalls;
use crate::consumer::receipt::{Receipt, SettleError};
use crate::error::ClientError;
use crate::route::BrokerKey;

/// Maximum queued releases, and as many that were started. Beyond it `nack` waits, and a dropped message reappears when
/// its invisible duration expires.
const QUEUE_MAX: usize = 4_096;

/// Maximum calls in flight to one broker.
const CALLS_MAX: usize = 16;

/// The result of a nack; an error if the queue's task ended before.
pub(in crate::consumer) type NackAnswer = oneshot::Receiver<Result<(), SettleError>>;

struct Release {
    receipt: Arc<Receipt>,
    delay: Duration,
    /// `None` for a dropped message.
    answer: Option<oneshot::Sender<Result<(), SettleError>>>,
}

/// The sending end. The queue's task ends when every clone is dropped and the queue is empty.
#[derive(Clone)]
pub(in crate::consumer) struct ReleaseQueue {
    releases: mpsc::Sender<Release>,
}

/// Room for one release, which the release holds until the queue starts it.
pub(in crate::consumer) struct ReleasePlace(OwnedPermit<Release>);

impl ReleaseQueue {
    pub(super) fn start(calls: Arc<SettleCalls>, tasks: &TaskTracker) -> Self {
        let (releases, queue) = mpsc::channel(QUEUE_MAX);
        tasks.spawn(send_releases(calls, queue, tasks.clone()));
        Self { releases }
    }

    /// Returns a place, or the queue if there is none.
    pub(in crate::consumer) fn try_place(self) -> Result<ReleasePlace, Self> {
        self.releases
            .try_reserve_owned()
            .map(ReleasePlace)
            .map_err(|full| Self { releases: full.into_inner() })
    }

    /// Waits while [`QUEUE_MAX`] releases are queued.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub(in crate::consumer) async fn place(self) -> Result<ReleasePlace, ClientError> {
        self.releases.reserve_owned().await.map(ReleasePlace).map_err(|_| ClientError::Closed)
    }
}

impl ReleasePlace {
    /// Queues the nack of a settled receipt.
    pub(in crate::consumer) fn nack(self, receipt: Arc<Receipt>, delay: Duration) -> NackAnswer {
        let (answer, answered) = oneshot::channel();
        self.0.send(Release { receipt, delay, answer: Some(answer) });
        answered
    }

    /// Queues the nack of a dropped message.
    pub(in crate::consumer) fn release(self, receipt: Arc<Receipt>, delay: Duration) {
        self.0.send(Release { receipt, delay, answer: None });
    }
}

async fn send_releases(calls: Arc<SettleCalls>, mut queue: mpsc::Receiver<Release>, tasks: TaskTracker) {
    let room = Arc::new(Semaphore::new(QUEUE_MAX));
    let mut places: HashMap<Arc<BrokerKey>, Arc<Semaphore>> = HashMap::new();
    while let Some(Release { receipt, delay, answer }) = queue.recv().await {
        let Ok(room) = room.clone().acquire_owned().await else { return };
        let places = places.entry(receipt.broker.clone());
        let places = places.or_insert_with(|| Arc::new(Semaphore::new(CALLS_MAX))).clone();
        let calls = calls.clone();
        tasks.spawn(async move {
            let _places = (room, places.acquire_owned().await);
            let mut handle = receipt.handle().await;
            let result = calls.extend(&receipt, &mut handle, delay).await;
            if result.is_ok() {
                calls.counters.nacked.add(1);
            }
            match (answer, result) {
                (Some(answer), result) => _ = answer.send(result),
                (None, Err(SettleError::Client(error))) => {
                    calls.context.error(&error, &receipt.origin("nacking a dropped message"));
                }
                (None, Ok(()) | Err(SettleError::Expired(_))) => {}
            }
        });
    }
}
