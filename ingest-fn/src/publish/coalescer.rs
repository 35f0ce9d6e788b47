//! Puts concurrent orders into one message.
//!
//! The cost of broker and producer is per message, not per byte, so concurrent orders share a message. An order is sent at
//! once if no send is in flight and none has begun for as long as the linger. Otherwise orders gather until the message
//! is full or the linger has elapsed. The end of a send does not seal the batch: a fast broker would receive messages of
//! few orders each, and each costs as much as a full one.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shared::envelope::{EncodedOrder, ORDERS_MAX, PREFIX_BYTES_MAX, encode_batch};
use shared::order::OrderId;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::{OrderPublisher, PublishError, WarmUpError};

/// A message key is a UUID's text and one byte of separator.
const KEY_BYTES: usize = 37;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Orders in one message, capped at [`ORDERS_MAX`].
    pub orders_max: NonZeroUsize,
    /// Bytes of body and keys together; a larger order is sent alone.
    pub bytes_max: usize,
    /// Time that an order waits for others while a send is in flight, and for as long after the begin of the last one.
    pub linger: Duration,
}

/// A message ready to be sent.
#[derive(Debug)]
pub struct SealedBatch {
    /// The envelope.
    pub body: Bytes,
    /// Orders in `body`, in the same sequence.
    pub order_ids: Vec<OrderId>,
}

/// Sends messages to the broker. Tests replace it.
pub trait BatchSink: Send + Sync + 'static {
    /// Starts to send at the call, not at the first poll. The future returns when the broker has acknowledged the
    /// message or its delivery has failed.
    fn send(&self, batch: SealedBatch) -> impl Future<Output = Result<(), PublishError>> + Send + 'static;

    /// As [`OrderPublisher::warm_up`].
    ///
    /// # Errors
    /// As [`OrderPublisher::warm_up`].
    fn warm_up(&self) -> impl Future<Output = Result<(), WarmUpError>> + Send {
        std::future::ready(Ok(()))
    }

    /// As [`OrderPublisher::close`].
    fn close(&self, bound: Duration) -> impl Future<Output = bool> + Send {
        let _nothing_in_flight = bound;
        std::future::ready(true)
    }
}

/// Coalesces orders. Clones share one open batch.
#[derive(Debug)]
pub struct Coalescer<S> {
    inner: Arc<Inner<S>>,
}

impl<S> Clone for Coalescer<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

#[derive(Debug)]
struct Inner<S> {
    sink: S,
    limits: BatchLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Batch,
    open_bytes: usize,
    /// Number of the open batch, so that a late linger does not seal a later batch.
    number: u64,
    /// Time at which the last batch was sealed.
    sealed_at: Option<Instant>,
    sends_in_flight: usize,
}

#[derive(Debug)]
struct PendingOrder {
    order_id: OrderId,
    order: EncodedOrder,
    /// The request has timed out after this.
    deadline: Instant,
    since: Instant,
    answer: oneshot::Sender<Result<(), PublishError>>,
}

type Batch = Vec<PendingOrder>;

/// Work that a push causes, done after the lock is released.
#[derive(Debug)]
struct PushOutcome {
    /// A batch that had no room for the order.
    full: Option<Batch>,
    /// The batch with the order.
    complete: Option<Batch>,
    /// Number of the batch that the order opened; its linger starts now.
    lingering: Option<u64>,
}

impl<S: BatchSink> Coalescer<S> {
    #[must_use]
    pub fn new(sink: S, limits: BatchLimits) -> Self {
        Self { inner: Arc::new(Inner { sink, limits, state: Mutex::default() }) }
    }
}

impl<S: BatchSink> OrderPublisher for Coalescer<S> {
    async fn publish(
        &self,
        order_id: OrderId,
        order: EncodedOrder,
        within: Duration,
    ) -> Result<(), PublishError> {
        let (answer, answered) = oneshot::channel();
        let since = Instant::now();
        crate::metrics::order_gathers();
        self.inner.clone().add(PendingOrder { order_id, order, deadline: since + within, since, answer });
        // The sender is dropped only when the runtime shuts down.
        answered.await.unwrap_or(Err(PublishError::Stopping))
    }

    async fn warm_up(&self) -> Result<(), WarmUpError> {
        self.inner.sink.warm_up().await
    }

    async fn close(&self, bound: Duration) -> bool {
        self.inner.sink.close(bound).await
    }
}

impl<S: BatchSink> Inner<S> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: Arc<Self>, order: PendingOrder) {
        let PushOutcome { full, complete, lingering } = self.lock().push(order, &self.limits);
        for batch in [full, complete].into_iter().flatten() {
            self.clone().send(batch);
        }
        if let Some(number) = lingering {
            tokio::spawn(async move {
                sleep(self.limits.linger).await;
                let batch = self.lock().seal_if(Instant::now(), |state| state.number == number);
                if let Some(batch) = batch {
                    self.send(batch);
                }
            });
        }
    }

    fn send(self: Arc<Self>, mut batch: Batch) {
        let started = Instant::now();
        let first = batch.first().map_or(started, |order| order.since);
        crate::metrics::batch_sealed(batch.len(), started.duration_since(first));
        // After a freeze, the callers of these orders have already timed out; do not publish them.
        for late in batch.extract_if(.., |order| order.deadline <= started) {
            let _hung_up = late.answer.send(Err(PublishError::TimedOut));
        }
        if batch.is_empty() {
            self.lock().sends_in_flight -= 1;
            return;
        }
        let body = encode_batch(batch.iter().map(|pending| &pending.order));
        crate::metrics::message_sent(batch.len(), body.len());
        let order_ids = batch.iter().map(|order| order.order_id).collect();
        // The message contains the orders, so only the answers stay in memory while it is in flight.
        let answers: Vec<_> = batch.into_iter().map(|order| order.answer).collect();
        let delivery = self.sink.send(SealedBatch { body, order_ids });
        tokio::spawn(async move {
            let result = delivery.await;
            self.lock().sends_in_flight -= 1;
            crate::metrics::publish_completed(started.elapsed(), result);
            for answer in answers {
                // A client that hung up receives no answer; its order is published regardless.
                let _hung_up = answer.send(result);
            }
        });
    }
}

impl State {
    fn push(&mut self, order: PendingOrder, limits: &BatchLimits) -> PushOutcome {
        let bytes = order.order.len() + KEY_BYTES;
        let has_room = PREFIX_BYTES_MAX + self.open_bytes + bytes <= limits.bytes_max;
        let now = order.since;
        let full = self.seal_if(now, |_| !has_room);
        let is_alone = self.open.is_empty()
            && self.sends_in_flight == 0
            && self.sealed_at.is_none_or(|at| now.saturating_duration_since(at) >= limits.linger);
        self.open.push(order);
        self.open_bytes += bytes;
        let orders_max = limits.orders_max.get().min(ORDERS_MAX);
        let complete = self.seal_if(now, |state| is_alone || state.open.len() >= orders_max);
        PushOutcome { full, complete, lingering: (self.open.len() == 1).then_some(self.number) }
    }

    /// Removes the open batch for sending, unless it is empty.
    fn seal_if(&mut self, now: Instant, condition: impl FnOnce(&Self) -> bool) -> Option<Batch> {
        if self.open.is_empty() || !condition(self) {
            return None;
        }
        self.sealed_at = Some(now);
        self.number += 1;
        self.open_bytes = 0;
        self.sends_in_flight += 1;
        Some(std::mem::take(&mut self.open))
    }
}
