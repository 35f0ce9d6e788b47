//! What a client tells its owner beside the results of calls.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ClientError;

/// Watches a client. Every method has a default that does nothing; none may block.
pub trait ClientContext: Send + Sync + 'static {
    /// Called every [`crate::ClientConfig::stats_interval`].
    fn stats(&self, _statistics: &Statistics) {}

    /// Called for failures that no call returns: a broken session, a failed heartbeat, a lost extension. What the
    /// client does about it, it has already begun to do.
    fn error(&self, _error: &ClientError, _doing: &'static str) {}
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultContext;

impl ClientContext for DefaultContext {}

/// Counts since the client was made. A snapshot is not one instant's: counters move while it is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Messages the broker acknowledged.
    pub sent: u64,
    /// Messages given up.
    pub send_failures: u64,
    /// Sends tried again.
    pub send_retries: u64,
    /// Sends the broker throttled, retried ones included.
    pub throttled: u64,
    /// Messages received.
    pub received: u64,
    /// Receives that brought nothing.
    pub receives_empty: u64,
    /// Messages settled for good.
    pub acked: u64,
    /// Acks the broker refused: the message will come again.
    pub ack_failures: u64,
    /// Messages given back.
    pub nacked: u64,
    /// Extensions of a message's invisibility.
    pub extended: u64,
    /// Extensions that failed.
    pub extend_failures: u64,
    /// Sessions opened, the first included.
    pub sessions: u64,
}

macro_rules! counters {
    ($($field:ident),* $(,)?) => {
        /// The live counters behind [`Statistics`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $field: Counter,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Statistics {
                Statistics { $($field: self.$field.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters!(
    sent,
    send_failures,
    send_retries,
    throttled,
    received,
    receives_empty,
    acked,
    ack_failures,
    nacked,
    extended,
    extend_failures,
    sessions,
);

/// A counter that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}
