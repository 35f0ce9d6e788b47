//! Settlements: acks that travel together, and messages given back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::lease::{Lease, SettleError};
use crate::config::{Endpoint, RetryConfig};
use crate::context::{ClientContext, Counters};
use crate::error::{ClientError, check};
use crate::protocol::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, ChangeInvisibleDurationRequest,
    ChangeInvisibleDurationResponse, Code, Resource, duration, path,
};
use crate::transport::Transports;

/// Most receipts in one call.
const ACKS_PER_CALL: usize = 64;

/// Most ack calls under way at once.
const ACK_CALLS_MAX: usize = 8;

/// Most settlements waiting; beyond it, who acks waits, and a dropped message is left to lapse.
const QUEUE_MAX: usize = 4_096;

const RETRY: RetryConfig = RetryConfig {
    attempts_max: u32::MAX,
    backoff_initial: Duration::from_millis(50),
    backoff_max: Duration::from_secs(2),
};

/// The calls that settle.
pub(super) struct Wire {
    pub(super) transports: Arc<Transports>,
    pub(super) group: Resource,
    pub(super) request_timeout: Duration,
    pub(super) counters: Arc<Counters>,
    pub(super) context: Arc<dyn ClientContext>,
}

type Answer = Result<(), SettleError>;

struct Ack {
    lease: Arc<Lease>,
    receipt: String,
    answer: oneshot::Sender<Answer>,
}

/// A message dropped unsettled.
struct Release {
    lease: Arc<Lease>,
    delay: Duration,
}

/// Takes settlements and carries them out. Each kind has one task, which ends when the settler is closed and its
/// queue is empty.
pub(super) struct Settler {
    wire: Arc<Wire>,
    queues: Mutex<Option<Queues>>,
}

#[derive(Clone)]
struct Queues {
    acks: mpsc::Sender<Ack>,
    releases: mpsc::Sender<Release>,
}

impl Settler {
    pub(super) fn start(wire: Arc<Wire>, tasks: &TaskTracker) -> Self {
        let (acks, ack_queue) = mpsc::channel(QUEUE_MAX);
        let (releases, release_queue) = mpsc::channel(QUEUE_MAX);
        tasks.spawn(carry_out_acks(wire.clone(), ack_queue, tasks.clone()));
        tasks.spawn(carry_out_releases(wire.clone(), release_queue));
        Self { wire, queues: Mutex::new(Some(Queues { acks, releases })) }
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    fn queues(&self) -> Option<Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes no more settlements; those taken are carried out.
    pub(super) fn close(&self) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) async fn ack(&self, lease: Arc<Lease>) -> Answer {
        let queues = self.queues().ok_or(ClientError::Closed)?;
        // Waits for an extension under way: it replaces the receipt.
        let receipt = lease.receipt().await.clone();
        let (answer, answered) = oneshot::channel();
        queues.acks.send(Ack { lease, receipt, answer }).await.map_err(|_| ClientError::Closed)?;
        drop(queues);
        answered.await.unwrap_or(Err(SettleError::Client(ClientError::Closed)))
    }

    pub(super) async fn nack(&self, lease: Arc<Lease>, delay: Duration) -> Answer {
        let result = self.wire.extend(&lease, delay).await;
        if result.is_ok() {
            self.wire.counters.nacked.add(1);
        }
        result
    }

    /// Gives a message back without waiting. With a full queue or a closed client it is left to lapse.
    pub(super) fn release(&self, lease: Arc<Lease>, delay: Duration) {
        if let Some(queues) = self.queues() {
            let _left_to_lapse = queues.releases.try_send(Release { lease, delay });
        }
    }
}

impl Wire {
    /// Hides the message for `hidden` from now and takes over the new receipt.
    pub(super) async fn extend(&self, lease: &Lease, hidden: Duration) -> Answer {
        let mut receipt = lease.receipt().await;
        let request = ChangeInvisibleDurationRequest {
            group: Some(self.group.clone()),
            topic: Some(self.topic(&lease.topic)),
            receipt_handle: receipt.clone(),
            invisible_duration: Some(duration(hidden)),
            message_id: lease.message_id.clone(),
        };
        let asked_at = Instant::now();
        let response: ChangeInvisibleDurationResponse =
            lease.transport.unary(path::CHANGE_INVISIBLE_DURATION, request, self.request_timeout).await?;
        check("ChangeInvisibleDuration", response.status).map_err(expired)?;
        if !response.receipt_handle.is_empty() {
            *receipt = response.receipt_handle;
        }
        // From before the call: the client's idea of the end is never later than the broker's.
        lease.set_hidden_until(asked_at + hidden);
        Ok(())
    }

    fn topic(&self, name: &str) -> Resource {
        Resource { resource_namespace: self.group.resource_namespace.clone(), name: name.to_owned() }
    }

    /// Acks one call's worth, trying again for as long as a receipt may still be valid.
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
            let (again, over): (Vec<_>, Vec<_>) =
                acks.into_iter().partition(|ack| error.is_retryable() && ack.lease.hidden_until() > retry_at);
            for ack in over {
                self.counters.ack_failures.add(1);
                let _nobody_waits = ack.answer.send(Err(expired(error.clone())));
            }
            acks = again;
            sleep(if acks.is_empty() { Duration::ZERO } else { wait }).await;
        }
    }

    /// One call. The error comes with those it did not settle.
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
                    message_id: ack.lease.message_id.clone(),
                    receipt_handle: ack.receipt.clone(),
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
        // Entries answer for themselves; with none, the call's status answers for all.
        let mut by_receipt: HashMap<String, _> =
            response.entries.into_iter().map(|entry| (entry.receipt_handle, entry.status)).collect();
        let mut remaining = Vec::new();
        let mut last = None;
        for ack in acks {
            let status = by_receipt.remove(&ack.receipt).unwrap_or_else(|| response.status.clone());
            match check("AckMessage", status) {
                Ok(()) => {
                    self.counters.acked.add(1);
                    let _nobody_waits = ack.answer.send(Ok(()));
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

/// Tells a receipt that is no longer valid from other refusals.
fn expired(error: ClientError) -> SettleError {
    match error {
        ClientError::Status { code: Code::INVALID_RECEIPT_HANDLE, message } => SettleError::Expired(message),
        other => SettleError::Client(other),
    }
}

async fn carry_out_acks(wire: Arc<Wire>, mut queue: mpsc::Receiver<Ack>, tasks: TaskTracker) {
    let calls = Arc::new(Semaphore::new(ACK_CALLS_MAX));
    let mut waiting = Vec::with_capacity(ACKS_PER_CALL);
    // What waits when a call's place is free travels together: no timer, and under load full calls.
    while let Ok(place) = calls.clone().acquire_owned().await {
        if queue.recv_many(&mut waiting, ACKS_PER_CALL).await == 0 {
            return;
        }
        let mut groups: HashMap<(Endpoint, String), Vec<Ack>> = HashMap::new();
        for ack in waiting.drain(..) {
            let place = (ack.lease.transport.endpoint().clone(), ack.lease.topic.clone());
            groups.entry(place).or_default().push(ack);
        }
        let wire = wire.clone();
        tasks.spawn(async move {
            for ((endpoint, topic), acks) in groups {
                wire.ack(&endpoint, &topic, acks).await;
            }
            drop(place);
        });
    }
}

async fn carry_out_releases(wire: Arc<Wire>, mut queue: mpsc::Receiver<Release>) {
    while let Some(Release { lease, delay }) = queue.recv().await {
        match wire.extend(&lease, delay).await {
            Ok(()) => wire.counters.nacked.add(1),
            Err(SettleError::Client(error)) => wire.context.error(&error, "giving a message back"),
            Err(SettleError::Expired(_)) => {}
        }
    }
}
