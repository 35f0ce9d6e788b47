//! Puts concurrent orders into one message.
//!
//! Messages, not bytes, are what a broker pays for, so orders that arrive together travel together. A lone order
//! never waits: while nothing is under way it leaves at once. While something is, orders gather until the
//! message is full, the sends under way end, or the linger is over, whichever comes first.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shared::envelope::{EncodedOrder, PREFIX_BYTES_MAX, encode_batch};
use shared::order::OrderId;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::{OrderPublisher, PublishError};

/// A message key is a UUID's text, and one byte parts it from the next.
const KEY_BYTES: usize = 37;

/// When a message is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most orders in one message, at most [`shared::envelope::ORDERS_MAX`].
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
    open: Vec<Waiting>,
    open_bytes: usize,
    /// Counts batches, so that a linger that ends late does not seal a later batch.
    batch: u64,
    sends_under_way: usize,
}

#[derive(Debug)]
struct Waiting {
    order_id: OrderId,
    order: EncodedOrder,
    answer: oneshot::Sender<Result<(), PublishError>>,
}

/// What an arrival asks to be done once the lock is released.
enum Next {
    /// Wait for company.
    Linger(u64),
    /// Somebody else's linger is running.
    Nothing,
}

impl<S: BatchSink> Coalescer<S> {
    /// Coalesces for `sink`.
    #[must_use]
    pub fn new(sink: S, limits: BatchLimits) -> Self {
        Self { inner: Arc::new(Inner { sink, limits, state: Mutex::default() }) }
    }

    /// The sink.
    #[must_use]
    pub fn sink(&self) -> &S {
        &self.inner.sink
    }
}

impl<S: BatchSink> OrderPublisher for Coalescer<S> {
    async fn publish(&self, order_id: OrderId, order: EncodedOrder) -> Result<(), PublishError> {
        let (answer, answered) = oneshot::channel();
        self.inner.clone().add(Waiting { order_id, order, answer });
        // The sender is dropped only when the runtime goes away.
        answered.await.unwrap_or(Err(PublishError::Stopping))
    }
}

impl<S: BatchSink> Inner<S> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: Arc<Self>, waiting: Waiting) {
        let mut sealed = Vec::new();
        let next = {
            let mut state = self.lock();
            let bytes = waiting.order.len() + KEY_BYTES;
            if !state.open.is_empty() && state.open_bytes + bytes > self.limits.bytes_max - PREFIX_BYTES_MAX {
                sealed.push(state.seal());
            }
            let first = state.open.is_empty();
            state.open.push(waiting);
            state.open_bytes += bytes;
            if state.open.len() >= self.limits.orders_max.get() || state.sends_under_way == 0 {
                sealed.push(state.seal());
                Next::Nothing
            } else if first {
                Next::Linger(state.batch)
            } else {
                Next::Nothing
            }
        };
        for batch in sealed {
            self.clone().send(batch);
        }
        if let Next::Linger(batch) = next {
            tokio::spawn(async move {
                sleep(self.limits.linger).await;
                let sealed = {
                    let mut state = self.lock();
                    (state.batch == batch && !state.open.is_empty()).then(|| state.seal())
                };
                if let Some(sealed) = sealed {
                    self.send(sealed);
                }
            });
        }
    }

    fn send(self: Arc<Self>, batch: Vec<Waiting>) {
        let body = encode_batch(batch.iter().map(|waiting| &waiting.order));
        let order_ids = batch.iter().map(|waiting| waiting.order_id).collect();
        crate::metrics::message_published(batch.len(), body.len());
        let delivery = self.sink.send(SealedBatch { body, order_ids });
        tokio::spawn(async move {
            let result = delivery.await;
            for waiting in batch {
                // A client that hung up hears nothing; its order is where it is all the same.
                let _hung_up = waiting.answer.send(result);
            }
            let sealed = {
                let mut state = self.lock();
                state.sends_under_way -= 1;
                (state.sends_under_way == 0 && !state.open.is_empty()).then(|| state.seal())
            };
            if let Some(sealed) = sealed {
                self.send(sealed);
            }
        });
    }
}

impl State {
    /// Takes the open batch to be sent.
    fn seal(&mut self) -> Vec<Waiting> {
        self.batch += 1;
        self.open_bytes = 0;
        self.sends_under_way += 1;
        std::mem::take(&mut self.open)
    }
}
