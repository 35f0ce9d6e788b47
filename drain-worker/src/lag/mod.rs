//! The lag: how many messages wait on the broker, and for how long.
//!
//! RocketMQ's gRPC protocol has no call for it. [`PromqlLag`] asks a metrics server, [`OpenApiLag`] the managed broker's
//! management API; by default [`MetricsLag`] reads the broker's metrics in Prometheus' text format: those of Apache's
//! broker (`metricsExporterType=PROM`) and of the embedded one alike. The rest of the worker uses only [`LagSource`].
//!
//! # Cost and accuracy
//!
//! Measured on Apache's broker 5.5.0 with a dozen topics and groups: a scrape costs 10 to 17 ms, 13 ms of the
//! broker's CPU, and 50 kB; once a second that is 1.3 % of a processor. The broker computes the values at each
//! scrape, over every group, topic and queue, so they are as fresh as the scrape. Scrape at most once a second for
//! the whole pool.
//!
//! To Apache's broker a `SimpleConsumer` is a pull consumer (`consume_mode="pull"`). Therefore (certain: observed on
//! 5.5.0, and tested):
//!
//! - `rocketmq_consumer_ready_messages` and `…_lag_messages` both count exactly the messages that were never
//!   delivered.
//! - `rocketmq_consumer_inflight_messages` is always 0. [`Lag::messages_in_flight`] is then `None`; the workers
//!   report their own messages in flight.
//! - A message whose invisible duration expired waits in the group's retry topic, which has its own rows only while
//!   no consumer is connected. Otherwise it is computed as the revived messages
//!   (`rocketmq_pop_revive_retry_messages_total`) minus those delivered again. These counters start with the broker's
//!   process: after its restart the sum may be too low, never too high.

mod acs3_signature;
mod args;
mod metrics;
mod openapi;
mod promql;
mod scrape;

use std::future::Future;
use std::time::Duration;

use time::OffsetDateTime;

use crate::exchange::ExchangeError;

pub use args::{LagArgs, LagChoice};
pub use metrics::{LagQuery, MetricsLag, lag_in};
pub(crate) use openapi::OpenApiKey;
pub use openapi::{OpenApiLag, OpenApiUrl};
pub use promql::PromqlLag;
pub use scrape::{ScrapeUrl, ScrapeUrlError};

/// The messages of the orders topic that the group has not settled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// Messages that the broker could deliver now.
    pub messages_ready: u64,
    /// Messages that were delivered and not settled; `None`: the source does not report them.
    pub messages_in_flight: Option<u64>,
    /// Time for which the oldest of them has waited; `None` if there is none or the source does not report it.
    pub oldest_age: Option<Duration>,
    /// By this machine's clock.
    pub as_of: OffsetDateTime,
    pub kind: LagSourceKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagSourceKind {
    /// Apache's broker, or a collector of its metrics.
    BrokerMetrics,
    Embedded,
    /// A server with Prometheus' HTTP API.
    Promql,
    /// The management API of ApsaraMQ for RocketMQ.
    OpenApi,
}

impl LagSourceKind {
    /// The name used in the API and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BrokerMetrics => "broker-metrics",
            Self::Embedded => "embedded",
            Self::Promql => "promql",
            Self::OpenApi => "openapi",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LagError {
    /// No URL is configured, and the broker's own port serves no metrics.
    #[error("unknown: set --lag-metrics-url to the broker's metrics")]
    NotConfigured,
    #[error("switched off by --lag-source none")]
    Off,
    #[error("{url}: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("{url}: no response within {} ms", .after.as_millis())]
    Timeout { url: String, after: Duration },
    /// The response is not metrics, or the connection broke before its end.
    #[error("{url}: {reason}")]
    Response { url: String, reason: String },
    /// The source does not know the group on the topic: it never received from it, or this is not its broker.
    #[error("the broker reports nothing of group {group} on topic {topic}")]
    GroupMissing { group: String, topic: String },
}

impl LagError {
    /// An exchange with `url` that ended without a whole response.
    fn from_exchange(url: &impl ToString, error: ExchangeError) -> Self {
        let (url, reason) = (url.to_string(), error.reason);
        if error.is_unsent { Self::Unreachable { url, reason } } else { Self::Response { url, reason } }
    }
}

/// Maximum wait for one response.
const RESPONSE_WAIT: Duration = Duration::from_secs(2);

/// Reads the lag. A call scrapes the broker, unless a source says otherwise: the caller bounds the rate.
pub trait LagSource {
    /// The current lag.
    ///
    /// # Errors
    /// [`LagError`], at most 2 seconds after the call for each URL.
    fn lag(&self) -> impl Future<Output = Result<Lag, LagError>> + Send;
}

/// The source that the flags name.
#[derive(Debug)]
pub enum ConfiguredLag {
    Metrics(MetricsLag),
    Promql(PromqlLag),
    OpenApi(Box<OpenApiLag>),
}

impl ConfiguredLag {
    /// `endpoint` is the broker's host and port.
    #[must_use]
    pub fn new(args: &LagArgs, endpoint: &str, query: LagQuery) -> Self {
        match args.lag_source {
            LagChoice::Promql => Self::Promql(PromqlLag::new(args, query)),
            LagChoice::Openapi => Self::OpenApi(Box::new(OpenApiLag::new(args, &query))),
            LagChoice::Auto | LagChoice::Metrics | LagChoice::None => {
                Self::Metrics(MetricsLag::new(args, endpoint, query))
            }
        }
    }
}

impl LagSource for ConfiguredLag {
    async fn lag(&self) -> Result<Lag, LagError> {
        match self {
            Self::Metrics(source) => source.lag().await,
            Self::Promql(source) => source.lag().await,
            Self::OpenApi(source) => source.lag().await,
        }
    }
}
