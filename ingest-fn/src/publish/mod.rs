//! Getting an order to the broker: coalesced with its neighbours, answered when the batch is acknowledged.

mod coalescer;
mod rocketmq;

use std::future::Future;
use std::time::Duration;

use shared::envelope::EncodedOrder;
use shared::order::OrderId;

pub use coalescer::{BatchLimits, BatchSink, Coalescer, SealedBatch};
pub use rocketmq::RocketmqSink;

/// Publishes orders. The seam between the handlers and the broker. Clones share everything.
pub trait OrderPublisher: Clone + Send + Sync + 'static {
    /// Resolves once the broker has acknowledged the message that carries the order, or the order has been given up.
    /// It is not sent any more once `within` is over.
    ///
    /// Dropping the future does not unsend the order.
    fn publish(
        &self,
        order_id: OrderId,
        order: EncodedOrder,
        within: Duration,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// Makes the first order as quick as any other.
    ///
    /// # Errors
    /// What keeps orders from getting through.
    fn warm_up(&self) -> impl Future<Output = Result<(), WarmUpError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Takes no more orders and waits until all that were taken are settled, at most `bound`. Whether they are.
    fn close(&self, bound: Duration) -> impl Future<Output = bool> + Send {
        let _nothing_is_kept = bound;
        std::future::ready(true)
    }
}

/// Orders would not get through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct WarmUpError {
    /// Why.
    pub reason: String,
    /// Whether it may pass by itself.
    pub retryable: bool,
}

/// The order is not known to be with the broker. It may be all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Too much is under way; nothing was sent.
    #[error("Too many orders are on their way to the broker")]
    QueueFull,
    /// The broker throttles.
    #[error("The broker takes no more orders at the moment")]
    Throttled,
    /// The broker did not acknowledge in time.
    #[error("The broker did not acknowledge the order in time")]
    TimedOut,
    /// The broker refused, or cannot be reached.
    #[error("The broker could not take the order")]
    Failed,
    /// The instance is stopping.
    #[error("This instance is stopping")]
    Stopping,
}
