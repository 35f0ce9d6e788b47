//! Callbacks for statistics and background errors.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::call_statistics::{CallRecorder, CallStatistics};
use crate::endpoints::Endpoints;
use crate::error::ClientError;

/// Observes a client. Every method has an empty default. Methods must not block: they run on the client's tasks.
pub trait ClientContext: Send + Sync + 'static {
    /// Called every [`crate::ClientConfig::stats_interval`].
    fn stats(&self, _statistics: &Statistics) {}

    /// Called for errors that no call returns: a broken session, a failed heartbeat, a failed extension. The client is
    /// already recovering.
    fn error(&self, _error: &ClientError, _origin: &ErrorOrigin<'_>) {}
}

/// The work in which an error came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorOrigin<'a> {
    /// The work, such as "extending a message".
    pub doing: &'static str,
    /// The topic, if the work concerns one.
    pub topic: Option<&'a str>,
    /// The addresses of the server, if the work concerns one.
    pub endpoints: Option<&'a Endpoints>,
}

impl<'a> ErrorOrigin<'a> {
    pub(crate) const fn new(doing: &'static str) -> Self {
        Self { doing, topic: None, endpoints: None }
    }

    pub(crate) const fn topic(self, topic: &'a str) -> Self {
        Self { topic: Some(topic), ..self }
    }

    pub(crate) const fn at(self, endpoints: &'a Endpoints) -> Self {
        Self { endpoints: Some(endpoints), ..self }
    }
}

/// A context that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultContext;

impl ClientContext for DefaultContext {}

/// Counts since the client was created. The snapshot is not atomic over its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Messages that the broker acknowledged.
    pub sent: u64,
    /// Messages whose delivery failed after its retries.
    pub send_failures: u64,
    /// Retries of sends.
    pub send_retries: u64,
    /// Sends that the broker throttled, retries included.
    pub throttled: u64,
    /// Messages received.
    pub received: u64,
    /// Receives that returned no message.
    pub receives_empty: u64,
    /// Messages acked.
    pub acked: u64,
    /// Failed acks: the broker redelivers the message.
    pub ack_failures: u64,
    /// Messages nacked.
    pub nacked: u64,
    /// Extensions of an invisible duration.
    pub extended: u64,
    /// Failed extensions.
    pub extend_failures: u64,
    /// Sessions opened, the first included.
    pub sessions: u64,
    /// Calls by kind, topic and server, with their latencies.
    pub calls: Vec<CallStatistics>,
}

macro_rules! counters {
    ($($field:ident),* $(,)?) => {
        /// The live counters behind [`Statistics`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $field: Counter,)*
            pub(crate) calls: CallRecorder,
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Statistics {
                Statistics {
                    $($field: self.$field.0.load(Ordering::Relaxed),)*
                    calls: self.calls.snapshot(),
                }
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

/// A monotonic counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}
