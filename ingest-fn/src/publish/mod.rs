//! Getting an order to the broker: coalesced with its neighbours, answered when the batch is acknowledged.

mod coalescer;
mod rocketmq;

use std::future::Future;

use shared::envelope::EncodedOrder;
use shared::order::OrderId;

pub use coalescer::{BatchLimits, BatchSink, Coalescer, SealedBatch};
pub use rocketmq::RocketmqSink;

/// Publishes orders. The seam between the handlers and the broker.
pub trait OrderPublisher: Send + Sync + 'static {
    /// Resolves once the broker has acknowledged the message that carries the order.
    ///
    /// Dropping the future does not unsend the order.
    fn publish(
        &self,
        order_id: OrderId,
        order: EncodedOrder,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;
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
