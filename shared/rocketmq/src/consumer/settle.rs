//! Settles messages: batches acks, and nacks dropped messages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::receipt::{Receipt, SettleError};
use crate::config::{Endpoint, RetryConfig};
use crate::context::{ClientContext, Counters};
use crate::error::{ClientError, check};
use crate::protocol::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, ChangeInvisibleDurationRequest,
    ChangeInvisibleDurationResponse, Code, Resource, duration, path,
};
use crate::transport::Transports;

/// Maximum receipts of one call.
const ACKS_PER_CALL: usize = 64;

/// Maximum ack calls in flight.
const ACK_CALLS_MAX: usize = 8;

/// Maximum queued settlements. Beyond it `ack` waits, and a dropped message reappears when its invisible duration
/// expires.
const QUEUE_MAX: usize = 4_096;

const RETRY: RetryConfig = RetryConfig {
    attempts_max: u32::MAX,
    backoff_initial: Duration::from_millis(50),
    backoff_max: Duration::from_secs(2),
};

/// The calls that settle messages.
pub(super) struct SettleClient {
    pub(super) transports: Arc<Transports>,
    pub(super) group: Resource,
    pub(super) request_timeout: Duration,
    pub(super) counters: Arc<Counters>,
    pub(super) context: Arc<dyn ClientContext>,
}

type Answer = Result<(), SettleError>;

struct Ack {
    receipt: Arc<Receipt>,
    handle: String,
    answer: oneshot::Sender<Answer>,
}

/// A message that was dropped unsettled.
struct Release {
    receipt: Arc<Receipt>,
    delay: Duration,
}

/// Queues settlements. Each kind has one task, which ends when the settler is closed and its queue is empty.
pub(super) struct Settler {
    client: Arc<SettleClient>,
    queues: Mutex<Option<Queues>>,
}

#[derive(Clone)]
struct Queues {
    acks: mpsc::Sender<Ack>,
    releases: mpsc::Sender<Release>,
}

impl Settler {
    pub(super) fn start(client: Arc<SettleClient>, tasks: &TaskTracker) -> Self {
        let (acks, ack_queue) = mpsc::channel(QUEUE_MAX);
        let (releases, release_queue) = mpsc::channel(QUEUE_MAX);
        tasks.spawn(send_acks(client.clone(), ack_queue, tasks.clone()));
        tasks.spawn(send_releases(client.clone(), release_queue));
        Self { client, queues: Mutex::new(Some(Queues { acks, releases })) }
    }

    pub(super) fn client(&self) -> &SettleClient {
        &self.client
    }

    fn queues(&self) -> Option<Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Accepts no further settlements; queued ones are still sent.
    pub(super) fn close(&self) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) async fn ack(&self, receipt: Arc<Receipt>) -> Answer {
        let queues = self.queues().ok_or(ClientError::Closed)?;
        // Waits for an extension in flight, which replaces the handle.
        let handle = receipt.handle().await.clone();
        let (answer, answered) = oneshot::channel();
        queues.acks.send(Ack { receipt, handle, answer }).await.map_err(|_| ClientError::Closed)?;
        drop(queues);
        answered.await.unwrap_or(Err(SettleError::Client(ClientError::Closed)))
    }

    pub(super) async fn nack(&self, receipt: Arc<Receipt>, delay: Duration) -> Answer {
        let result = self.client.extend(&receipt, delay).await;
        if result.is_ok() {
            self.client.counters.nacked.add(1);
        }
        result
    }

    /// Nacks a dropped message without waiting. If the queue is full or the client is closed, the message reappears when
    /// its invisible duration expires.
    pub(super) fn release(&self, receipt: Arc<Receipt>, delay: Duration) {
        if let Some(queues) = self.queues() {
            let _expires_by_itself = queues.releases.try_send(Release { receipt, delay });
        }
    }
}

impl SettleClient {
    /// Hides the message for `hidden` from now and stores the new handle.
    pub(super) async fn extend(&self, receipt: &Receipt, hidden: Duration) -> Answer {
        let mut handle = receipt.handle().await;
        let request = ChangeInvisibleDurationRequest {
            group: Some(self.group.clone()),
            topic: Some(self.topic(&receipt.topic)),
            receipt_handle: handle.clone(),
            invisible_duration: Some(duration(hidden)),
            message_id: receipt.message_id.clone(),
        };
        let asked_at = Instant::now();
        let response: ChangeInvisibleDurationResponse =
            receipt.transport.unary(path::CHANGE_INVISIBLE_DURATION, request, self.request_timeout).await?;
        check("ChangeInvisibleDuration", response.status).map_err(expired)?;
        if !response.receipt_handle.is_empty() {
            *handle = response.receipt_handle;
        }
        // From before the call, so that the client's deadline is never later than the broker's.
        receipt.set_hidden_until(asked_at + hidden);
        Ok(())
    }

    fn topic(&self, name: &str) -> Resource {
        Resource { resource_namespace: self.group.resource_namespace.clone(), name: name.to_owned() }
    }

    /// Acks one call's receipts; retries as long as a receipt may still be valid.
    async fn ack(&self, endpoint: &Endpoint, topic: &str, mut acks: Vec<Ack>) {
        let mut attempt = 0;
        while !acks.is_empty() {
            attempt += 1;
            let error = match self.ack_once(endpoint, topic, acks).await {
                Ok(()) => return,
                Err((remaining, error)) => {
                    acks = remaining;
                    error
                }
            };
            let wait = RETRY.backoff(attempt);
            let retry_at = Instant::now() + wait;
            let (again, over): (Vec<_>, Vec<_>) = acks
                .into_iter()
                .partition(|ack| error.is_retryable() && ack.receipt.hidden_until() > retry_at);
            for ack in over {
                self.counters.ack_failures.add(1);
                let _receiver_dropped = ack.answer.send(Err(expired(error.clone())));
            }
            acks = again;
            sleep(if acks.is_empty() { Duration::ZERO } else { wait }).await;
        }
    }

    /// Makes one call. An error returns the acks that it did not settle.
    async fn ack_once(
        &self,
        endpoint: &Endpoint,
        topic: &str,
        acks: Vec<Ack>,
    ) -> Result<(), (Vec<Ack>, ClientError)> {
        let request = AckMessageRequest {
            group: Some(self.group.clone()),
            topic: Some(self.topic(topic)),
            entries: acks
                .iter()
                .map(|ack| AckMessageEntry {
                    message_id: ack.receipt.message_id.clone(),
                    receipt_handle: ack.handle.clone(),
                })
                .collect(),
        };
        let transport = match self.transports.get(endpoint) {
            Ok(transport) => transport,
            Err(error) => return Err((acks, error)),
        };
        let response: AckMessageResponse =
            match transport.unary(path::ACK_MESSAGE, request, self.request_timeout).await {
                Ok(response) => response,
                Err(error) => return Err((acks, error)),
            };
        // An entry has its own status; without entries the call's status applies to all.
        let mut by_handle: HashMap<String, _> =
            response.entries.into_iter().map(|entry| (entry.receipt_handle, entry.status)).collect();
        let mut remaining = Vec::new();
        let mut last = None;
        for ack in acks {
            let status = by_handle.remove(&ack.handle).unwrap_or_else(|| response.status.clone());
            match check("AckMessage", status) {
                Ok(()) => {
                    self.counters.acked.add(1);
                    let _receiver_dropped = ack.answer.send(Ok(()));
                }
                Err(error) => {
                    remaining.push(ack);
                    last = Some(error);
                }
            }
        }
        last.map_or(Ok(()), |error| Err((remaining, error)))
    }
}

/// Distinguishes an expired receipt from other errors.
fn expired(error: ClientError) -> SettleError {
    match error {
        ClientError::Status { code: Code::INVALID_RECEIPT_HANDLE, message } => SettleError::Expired(message),
        other => SettleError::Client(other),
    }
}

async fn send_acks(client: Arc<SettleClient>, mut queue: mpsc::Receiver<Ack>, tasks: TaskTracker) {
    let calls = Arc::new(Semaphore::new(ACK_CALLS_MAX));
    let mut waiting = Vec::with_capacity(ACKS_PER_CALL);
    // A free slot sends everything that is queued: no timer, and full calls under load.
    while let Ok(slot) = calls.clone().acquire_owned().await {
        if queue.recv_many(&mut waiting, ACKS_PER_CALL).await == 0 {
            return;
        }
        let mut groups: HashMap<(Endpoint, String), Vec<Ack>> = HashMap::new();
        for ack in waiting.drain(..) {
            let target = (ack.receipt.transport.endpoint().clone(), ack.receipt.topic.clone());
            groups.entry(target).or_default().push(ack);
        }
        let client = client.clone();
        tasks.spawn(async move {
            for ((endpoint, topic), acks) in groups {
                client.ack(&endpoint, &topic, acks).await;
            }
            drop(slot);
        });
    }
}

async fn send_releases(client: Arc<SettleClient>, mut queue: mpsc::Receiver<Release>) {
    while let Some(Release { receipt, delay }) = queue.recv().await {
        match client.extend(&receipt, delay).await {
            Ok(()) => client.counters.nacked.add(1),
            Err(SettleError::Client(error)) => client.context.error(&error, "nacking a dropped message"),
            Err(SettleError::Expired(_)) => {}
        }
    }
}
