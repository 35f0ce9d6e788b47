//! The acks of one broker and topic: queued, sent in batches, retried. A broker that fails delays no other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::calls::{AckEntry, SettleCalls};
use crate::config::RetryConfig;
use crate::consumer::receipt::{Receipt, SettleError};
use crate::error::ClientError;

/// Maximum receipts of one call.
const ACKS_PER_CALL: usize = 64;

/// Maximum ack calls in flight.
const CALLS_MAX: usize = 8;

/// Maximum acks without a result. Beyond it `ack` waits.
const ACKS_MAX: usize = 4_096;

/// The result of an ack; an error if the queue's task ended before.
pub(in crate::consumer) type AckAnswer = oneshot::Receiver<Result<(), SettleError>>;

const RETRY: RetryConfig = RetryConfig {
    attempts_max: u32::MAX,
    backoff_initial: Duration::from_millis(50),
    backoff_max: Duration::from_secs(2),
};

struct Ack {
    receipt: Arc<Receipt>,
    handle: String,
    answer: oneshot::Sender<Result<(), SettleError>>,
    _room: OwnedSemaphorePermit,
}

/// The sending end. The queue's task ends when every clone is dropped and the queue is empty.
#[derive(Clone)]
pub(in crate::consumer) struct AckQueue {
    acks: mpsc::UnboundedSender<Ack>,
    room: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// Room for one ack, which the ack holds until it has a result.
pub(in crate::consumer) struct AckPlace {
    queue: AckQueue,
    room: OwnedSemaphorePermit,
}

impl AckQueue {
    pub(super) fn start(calls: Arc<SettleCalls>, topic: String, tasks: &TaskTracker) -> Self {
        // Bounded by `room`.
        let (acks, queue) = mpsc::unbounded_channel();
        tasks.spawn(send_acks(calls, topic, queue, tasks.clone()));
        Self { acks, room: Arc::new(Semaphore::new(ACKS_MAX)), tasks: tasks.clone() }
    }

    /// Returns a place, or the queue if there is none.
    pub(in crate::consumer) fn try_place(self) -> Result<AckPlace, Self> {
        match self.room.clone().try_acquire_owned() {
            Ok(room) => Ok(AckPlace { queue: self, room }),
            Err(_full) => Err(self),
        }
    }

    /// Waits while [`ACKS_MAX`] acks have no result.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub(in crate::consumer) async fn place(self) -> Result<AckPlace, ClientError> {
        let room = self.room.clone().acquire_owned().await.map_err(|_| ClientError::Closed)?;
        Ok(AckPlace { queue: self, room })
    }

    fn push(&self, ack: Ack) {
        // The queue's task ends when no end is left that could still send, so it takes this ack.
        let _taken = self.acks.send(ack);
    }
}

impl AckPlace {
    /// Queues the ack of a settled receipt.
    pub(in crate::consumer) fn ack(self, receipt: Arc<Receipt>) -> AckAnswer {
        let (answer, answered) = oneshot::channel();
        let Self { queue, room } = self;
        if let Some(handle) = receipt.try_handle() {
            queue.push(Ack { receipt, handle, answer, _room: room });
        } else {
            // An extension in flight replaces the handle, and the acks behind this one do not wait for it.
            let tasks = queue.tasks.clone();
            tasks.spawn(async move {
                let handle = receipt.handle().await.clone();
                queue.push(Ack { receipt, handle, answer, _room: room });
            });
        }
        answered
    }
}

async fn send_acks(
    calls: Arc<SettleCalls>,
    topic: String,
    mut queue: mpsc::UnboundedReceiver<Ack>,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(CALLS_MAX));
    // A free place sends everything that is queued: no timer, and full calls under load.
    while let Ok(place) = places.clone().acquire_owned().await {
        let mut acks = Vec::new();
        if queue.recv_many(&mut acks, ACKS_PER_CALL).await == 0 {
            return;
        }
        tasks.spawn(send_batch(calls.clone(), topic.clone(), acks, place, places.clone()));
    }
}

/// Makes a call, and retries what failed while its receipts may be valid. A backoff holds no place.
async fn send_batch(
    calls: Arc<SettleCalls>,
    topic: String,
    mut acks: Vec<Ack>,
    mut place: OwnedSemaphorePermit,
    places: Arc<Semaphore>,
) {
    for attempt in 1.. {
        let Some(first) = acks.first() else { return };
        let entries: Vec<_> =
            acks.iter().map(|ack| AckEntry { receipt: &ack.receipt, handle: &ack.handle }).collect();
        let results = calls.ack(&first.receipt.transport, &topic, &entries).await;
        drop(place);
        let wait = RETRY.backoff(attempt);
        let retry_at = Instant::now() + wait;
        acks = acks
            .into_iter()
            .zip(results)
            .filter_map(|(ack, result)| conclude(&calls, ack, result, retry_at))
            .collect();
        if acks.is_empty() {
            return;
        }
        sleep(wait).await;
        let Ok(next) = places.clone().acquire_owned().await else { return };
        place = next;
    }
}

/// Answers the ack, or returns it if it is to be retried.
fn conclude(
    calls: &SettleCalls,
    ack: Ack,
    result: Result<(), ClientError>,
    retry_at: Instant,
) -> Option<Ack> {
    let answer = match result {
        Ok(()) => {
            calls.counters.acked.add(1);
            Ok(())
        }
        Err(error) if error.is_retryable() && ack.receipt.hidden_until() > retry_at => return Some(ack),
        Err(error) => {
            calls.counters.ack_failures.add(1);
            Err(SettleError::from_call(error))
        }
    };
    let _receiver_dropped = ack.answer.send(answer);
    None
}
