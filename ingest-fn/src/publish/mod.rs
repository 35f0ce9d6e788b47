//! Publishes orders to the broker: concurrent orders share a message, and each is answered when its message is
//! acknowledged.

mod coalescer;
mod rocketmq;

use std::future::Future;
use std::time::Duration;

use shared::envelope::EncodedOrder;
use shared::order::OrderId;

pub use coalescer::{BatchLimits, BatchSink, Coalescer, SealedBatch};
pub use rocketmq::RocketmqSink;

/// Publishes orders. Clones share everything.
pub trait OrderPublisher: Clone + Send + Sync + 'static {
    /// Returns once the broker has acknowledged the message that contains the order, or its publication has failed. A
    /// message is not sent after `within`.
    ///
    /// Dropping the future does not cancel the send.
    fn publish(
        &self,
        order_id: OrderId,
        order: EncodedOrder,
        within: Duration,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// Opens connections and fetches the route before the first order.
    ///
    /// # Errors
    /// The reason why orders cannot be published; retry if it is retryable.
    fn warm_up(&self) -> impl Future<Output = Result<(), WarmUpError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Rejects further orders and waits at most `bound` for the messages in flight. Returns true if all of them are
    /// acknowledged or failed.
    fn close(&self, bound: Duration) -> impl Future<Output = bool> + Send {
        let _nothing_in_flight = bound;
        std::future::ready(true)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct WarmUpError {
    pub reason: String,
    /// True if a later attempt may succeed.
    pub retryable: bool,
}

/// The broker did not confirm the order; it may have stored it. A retry with the same id is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The queue is at its bound; nothing was sent.
    #[error("Too many orders are in flight to the broker")]
    QueueFull,
    #[error("The broker throttles orders at the moment")]
    Throttled,
    #[error("The broker did not acknowledge the order in time")]
    TimedOut,
    /// The broker failed, or cannot be reached.
    #[error("The broker did not accept the order")]
    Failed,
    /// The broker rejects such messages: a topic of another type, a rejected account. A retry does not help.
    #[error("The broker rejects orders")]
    Rejected,
    #[error("This instance is stopping")]
    Stopping,
}
