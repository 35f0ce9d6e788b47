//! How much waits on the broker, and since when.
//!
//! RocketMQ's gRPC protocol has no call for it. What serves is the broker's own metrics in Prometheus' text:
//! [`MetricsLag`] reads Apache's broker (`metricsExporterType=PROM`) and the embedded one alike. [`LagSource`] is all
//! that the rest of the worker knows.
//!
//! # What it costs, and how true it is
//!
//! Measured on Apache's broker 5.5.0 with a dozen topics and groups: a scrape takes 10 to 17 ms, 13 ms of CPU of the
//! broker, and 50 kB; once a second that is 1.3 % of a processor. The broker computes the figures at each scrape, so
//! they are as fresh as the scrape: it walks every group, topic and queue. Scrape once a second for the whole pool at
//! most.
//!
//! To Apache's broker a `SimpleConsumer` is a consumer that pulls (it tells `consume_mode="pull"`). Therefore
//! (certain: seen on 5.5.0, and tested):
//!
//! - `rocketmq_consumer_ready_messages` and `…_lag_messages` are both what was never handed out, exactly.
//! - `rocketmq_consumer_inflight_messages` is always 0. [`Lag::messages_in_flight`] is then `None`; what the workers
//!   hold, they know themselves.
//! - A message that was handed out and came back waits in the group's retry topic, which has rows of its own only
//!   while no consumer is connected. Else it is counted as what came back
//!   (`rocketmq_pop_revive_retry_messages_total`) less what was handed out again. These counters begin with the
//!   broker's process: after its restart the sum may miss what had come back before, and is never too high.

mod args;
mod metrics;
mod scrape;
mod text;

use std::future::Future;
use std::time::Duration;

use time::OffsetDateTime;

pub use args::{LagArgs, LagChoice};
pub use metrics::{LagQuery, MetricsLag, lag_in};
pub use scrape::{ScrapeUrl, ScrapeUrlError};

/// What the group has not settled on the orders topic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// Messages that could be handed out now.
    pub messages_ready: u64,
    /// Messages that were handed out and are neither settled nor given back; `None` if the source cannot tell.
    pub messages_in_flight: Option<u64>,
    /// Since when the oldest of them waits; `None` if nothing waits or the source cannot tell.
    pub oldest_age: Option<Duration>,
    /// When the source was asked, by this machine's clock.
    pub as_of: OffsetDateTime,
    /// Where the figures come from.
    pub kind: LagSourceKind,
}

/// Where a lag comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagSourceKind {
    /// Apache's broker, or whatever collects its metrics.
    BrokerMetrics,
    /// The embedded broker.
    Embedded,
}

impl LagSourceKind {
    /// The name that the API and the metrics use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BrokerMetrics => "broker-metrics",
            Self::Embedded => "embedded",
        }
    }
}

/// Why the lag is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LagError {
    /// Nobody said where to ask, and the broker's own port does not answer.
    #[error("unknown: name the broker's metrics with --lag-metrics-url")]
    NotConfigured,
    /// It is switched off.
    #[error("switched off by --lag-source none")]
    Off,
    /// No connection.
    #[error("{url}: {reason}")]
    Unreachable {
        /// Who was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// No whole answer in time.
    #[error("{url}: no answer within {} ms", .after.as_millis())]
    Timeout {
        /// Who was asked.
        url: String,
        /// The bound.
        after: Duration,
    },
    /// An answer that is not metrics, or a connection that broke before it was whole.
    #[error("{url}: {reason}")]
    Response {
        /// Who was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Metrics without a word about the group: it never received from the topic, or this is not its broker.
    #[error("the broker's metrics do not name group {group} on topic {topic}")]
    GroupMissing {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
    },
}

/// Tells the lag. Every call asks the broker: whoever calls bounds how often.
pub trait LagSource {
    /// What waits now.
    ///
    /// # Errors
    /// [`LagError`] if it cannot be told, at most 2 seconds after the call for each address that is asked.
    fn lag(&self) -> impl Future<Output = Result<Lag, LagError>> + Send;
}
