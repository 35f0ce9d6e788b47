//! Puts concurrent orders into one message.
//!
//! Messages, not bytes, are what a broker and a producer pay for, so orders that arrive together travel together. A
//! lone order never waits: while nothing is under way it leaves at once. Otherwise orders gather until the message is
//! full or the linger is over. The end of a send does not set them off: a quick broker would get messages of a few
//! orders each, and every one costs as much as a full one.

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

/// A message key is a UUID's text, and one byte parts it from the next.
const KEY_BYTES: usize = 37;

/// When a message is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most orders in one message; never more than [`ORDERS_MAX`].
    pub orders_max: NonZeroUsize,
    /// Most bytes of body and keys together; an order that alone is larger travels alone.
    pub bytes_max: usize,
    /// Longest that an order waits for others.
    pub linger: Duration,
}

/// A message ready to go.
#[derive(Debug)]
pub struct SealedBatch {
    /// The envelope.
    pub body: Bytes,
    /// The orders in it.
    pub order_ids: Vec<OrderId>,
}

/// Takes messages to the broker. The seam that tests replace.
pub trait BatchSink: Send + Sync + 'static {
    /// Begins to send; the future resolves when the broker has acknowledged, or the sink has given up.
    fn send(&self, batch: SealedBatch) -> impl Future<Output = Result<(), PublishError>> + Send + 'static;

    /// As [`OrderPublisher::warm_up`].
    ///
    /// # Errors
    /// What keeps messages from getting through.
    fn warm_up(&self) -> impl Future<Output = Result<(), WarmUpError>> + Send {
        std::future::ready(Ok(()))
    }

    /// As [`OrderPublisher::close`].
    fn close(&self, bound: Duration) -> impl Future<Output = bool> + Send {
        let _nothing_is_kept = bound;
        std::future::ready(true)
    }
}

/// Coalesces orders. Clones share one batch.
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
    /// Of the open batch, so that a linger that ends late does not seal a later one.
    number: u64,
    sends_in_flight: usize,
}

#[derive(Debug)]
struct PendingOrder {
    order_id: OrderId,
    order: EncodedOrder,
    /// Past this nobody waits for it.
    until: Instant,
    answer: oneshot::Sender<Result<(), PublishError>>,
}

type Batch = Vec<PendingOrder>;

/// What an order's arrival brings about, to be done once the lock is released.
#[derive(Debug)]
struct PushOutcome {
    /// A batch that had no room for the order.
    full: Option<Batch>,
    /// The batch with the order.
    complete: Option<Batch>,
    /// The number of the batch that the order opened, and that now waits for others.
    lingering: Option<u64>,
}

impl<S: BatchSink> Coalescer<S> {
    /// Coalesces for `sink`.
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
        let until = Instant::now() + within;
        self.inner.clone().add(PendingOrder { order_id, order, until, answer });
        // The sender is dropped only when the runtime goes away.
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

    fn add(self: Arc<Self>, waiting: PendingOrder) {
        let PushOutcome { full, complete, lingering } = self.lock().push(waiting, &self.limits);
        for batch in [full, complete].into_iter().flatten() {
            self.clone().send(batch);
        }
        if let Some(number) = lingering {
            tokio::spawn(async move {
                sleep(self.limits.linger).await;
                let batch = self.lock().seal_if(|state| state.number == number);
                if let Some(batch) = batch {
                    self.send(batch);
                }
            });
        }
    }

    fn send(self: Arc<Self>, mut batch: Batch) {
        let started = Instant::now();
        // Only where the process stood still, or nearly: those who wait for these orders have been told otherwise.
        for late in batch.extract_if(.., |waiting| waiting.until <= started) {
            let _hung_up = late.answer.send(Err(PublishError::TimedOut));
        }
        if batch.is_empty() {
            self.lock().sends_in_flight -= 1;
            return;
        }
        let body = encode_batch(batch.iter().map(|waiting| &waiting.order));
        crate::metrics::message_published(batch.len(), body.len());
        let order_ids = batch.iter().map(|waiting| waiting.order_id).collect();
        // The message has the orders now; while it is on its way, only those who wait for it are kept.
        let answers: Vec<_> = batch.into_iter().map(|waiting| waiting.answer).collect();
        let delivery = self.sink.send(SealedBatch { body, order_ids });
        tokio::spawn(async move {
            let result = delivery.await;
            self.lock().sends_in_flight -= 1;
            crate::metrics::publish_ended(started.elapsed());
            for answer in answers {
                // A client that hung up hears nothing; its order is where it is all the same.
                let _hung_up = answer.send(result);
            }
        });
    }
}

impl State {
    fn push(&mut self, waiting: PendingOrder, limits: &BatchLimits) -> PushOutcome {
        let bytes = waiting.order.len() + KEY_BYTES;
        let has_room = PREFIX_BYTES_MAX + self.open_bytes + bytes <= limits.bytes_max;
        let full = self.seal_if(|_| !has_room);
        let is_alone = self.open.is_empty() && self.sends_in_flight == 0;
        self.open.push(waiting);
        self.open_bytes += bytes;
        let orders_max = limits.orders_max.get().min(ORDERS_MAX);
        let complete = self.seal_if(|state| is_alone || state.open.len() >= orders_max);
        PushOutcome { full, complete, lingering: (self.open.len() == 1).then_some(self.number) }
    }

    /// Takes the open batch to be sent, unless it is empty.
    fn seal_if(&mut self, condition: impl FnOnce(&Self) -> bool) -> Option<Batch> {
        if self.open.is_empty() || !condition(self) {
            return None;
        }
        self.number += 1;
        self.open_bytes = 0;
        self.sends_in_flight += 1;
        Some(std::mem::take(&mut self.open))
    }
}
