//! The part of a message that settles it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::held::HeldPlace;
use super::receipt::{Receipt, SettleError};
use super::settle::Settler;
use crate::error::ClientError;

/// The receipt of a delivery, from [`crate::Message::into_parts`]: settles the message without its content.
///
/// Dropping it unsettled nacks the message.
#[must_use = "dropping a receipt nacks its message"]
pub struct MessageReceipt {
    receipt: Arc<Receipt>,
    // Not the consumer, which buffers messages: the cycle would leak both.
    settler: Arc<Settler>,
    release_delay: Duration,
    _held: HeldPlace,
}

impl MessageReceipt {
    pub(super) const fn new(
        receipt: Arc<Receipt>,
        settler: Arc<Settler>,
        release_delay: Duration,
        held: HeldPlace,
    ) -> Self {
        Self { receipt, settler, release_delay, _held: held }
    }

    /// Id that the producer chose; equal for duplicates of one send.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.receipt.message_id
    }

    /// Name of the broker that delivered the message.
    #[must_use]
    pub fn broker_name(&self) -> &str {
        &self.receipt.broker.name
    }

    /// Instant at which the invisible duration expires, by this client's clock.
    #[must_use]
    pub fn hidden_until(&self) -> Instant {
        self.receipt.hidden_until()
    }

    /// As [`crate::Message::ack`].
    ///
    /// # Errors
    /// [`SettleError`]: the broker redelivers the message.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn ack(self) -> impl Future<Output = Result<(), SettleError>> + Send + 'static {
        let place = self.settler.ack_queue(&self.receipt).map(|queue| queue.try_place());
        let queue = match place {
            Ok(Ok(place)) => Ok(Queue::Queued(place.ack(self.settle()))),
            Ok(Err(full)) => Ok(Queue::Full(full, self)),
            Err(error) => Err(error),
        };
        async move {
            let answer = match queue? {
                Queue::Queued(answer) => answer,
                Queue::Full(queue, receipt) => queue.place().await?.ack(receipt.settle()),
            };
            answer.await.unwrap_or(Err(SettleError::Client(ClientError::Closed)))
        }
    }

    /// As [`crate::Message::nack`].
    ///
    /// # Errors
    /// [`SettleError`]: the broker redelivers the message when its invisible duration expires.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn nack(self, delay: Duration) -> impl Future<Output = Result<(), SettleError>> + Send + 'static {
        let place = self.settler.release_queue().map(|queue| queue.try_place());
        let queue = match place {
            Ok(Ok(place)) => Ok(Queue::Queued(place.nack(self.settle(), delay))),
            Ok(Err(full)) => Ok(Queue::Full(full, self)),
            Err(error) => Err(error),
        };
        async move {
            let answer = match queue? {
                Queue::Queued(answer) => answer,
                Queue::Full(queue, receipt) => queue.place().await?.nack(receipt.settle(), delay),
            };
            answer.await.unwrap_or(Err(SettleError::Client(ClientError::Closed)))
        }
    }

    /// Extends the invisible duration to `duration` from now.
    ///
    /// # Errors
    /// [`SettleError`]: the previous invisible duration still applies.
    pub async fn extend(&mut self, duration: Duration) -> Result<(), SettleError> {
        let mut handle = self.receipt.handle().await;
        self.settler.calls().extend(&self.receipt, &mut handle, duration).await
    }

    /// Marks the receipt as settled, and removes it from the held ones.
    fn settle(self) -> Arc<Receipt> {
        self.receipt.settle();
        self.receipt.clone()
    }
}

/// A settlement that is queued, or that waits for a place in a queue with its message.
enum Queue<Answer, FullQueue> {
    Queued(Answer),
    /// A future that is dropped before it found a place drops the receipt, which nacks the message.
    Full(FullQueue, MessageReceipt),
}

impl Drop for MessageReceipt {
    fn drop(&mut self) {
        if self.receipt.settle()
            && let Ok(queue) = self.settler.release_queue()
            && let Ok(place) = queue.try_place()
        {
            place.release(self.receipt.clone(), self.release_delay);
        }
        // Otherwise the message reappears when its invisible duration expires.
    }
}

impl std::fmt::Debug for MessageReceipt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("MessageReceipt")
            .field("topic", &self.receipt.topic)
            .field("message_id", &self.receipt.message_id)
            .finish_non_exhaustive()
    }
}
