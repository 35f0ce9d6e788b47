//! Computes the lag from brokers' metrics.

use std::sync::Mutex;
use std::time::Duration;

use shared::telemetry::{MetricSample, metric_samples};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{Lag, LagArgs, LagChoice, LagError, LagSource, LagSourceKind, ScrapeUrl};

const READY: &str = "rocketmq_consumer_ready_messages";
const IN_FLIGHT: &str = "rocketmq_consumer_inflight_messages";
const AGE_MS: &str = "rocketmq_consumer_lag_latency_milliseconds";
const CAME_BACK: &str = "rocketmq_pop_revive_retry_messages_total";
const HANDED_OUT: &str = "rocketmq_messages_out_total";
const WANTED: &[&str] = &[READY, IN_FLIGHT, AGE_MS, CAME_BACK, HANDED_OUT];

/// Pause between probes of a port that serves no metrics: it is a gRPC proxy's, which logs every such request.
const PROBE_PAUSE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LagQuery {
    /// As the broker names it.
    pub topic: String,
    /// As the broker names it.
    pub group: String,
}

impl LagQuery {
    /// From the client's names; a namespace that is not empty precedes both.
    #[must_use]
    pub fn new(namespace: &str, topic: &str, group: &str) -> Self {
        let full = |name: &str| {
            if namespace.is_empty() { name.to_owned() } else { format!("{namespace}%{name}") }
        };
        Self { topic: full(topic), group: full(group) }
    }

    /// A message that is revived a second time is counted under the topic of its delivery. The broker's two forms of
    /// that name differ in one character (certain: `KeyBuilder` of 5.5.0).
    fn is_retry_topic(&self, topic: &str) -> bool {
        let rest = topic.strip_prefix("%RETRY%").and_then(|rest| rest.strip_prefix(self.group.as_str()));
        rest.and_then(|rest| rest.strip_prefix(['_', '+'])).is_some_and(|rest| rest == self.topic)
    }
}

#[derive(Debug)]
pub struct MetricsLag {
    query: LagQuery,
    endpoints: MetricsEndpoint,
}

#[derive(Debug)]
enum MetricsEndpoint {
    Named(Vec<ScrapeUrl>),
    /// The broker's own port, which serves metrics on the embedded broker.
    Guessed(Option<ScrapeUrl>, Mutex<PortProbe>),
    Off,
}

/// State of the broker's own port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PortProbe {
    #[default]
    Unknown,
    Metrics,
    /// The port serves no metrics; probe it again after `until`.
    Foreign {
        until: Instant,
    },
}

impl MetricsLag {
    /// Follows the flags. `endpoint` is the broker's host and port.
    #[must_use]
    pub fn new(args: &LagArgs, endpoint: &str, query: LagQuery) -> Self {
        let named = || MetricsEndpoint::Named(args.lag_metrics_url.clone());
        let endpoints = match args.lag_source {
            LagChoice::None | LagChoice::Promql | LagChoice::Openapi => MetricsEndpoint::Off,
            LagChoice::Metrics => named(),
            LagChoice::Auto if !args.lag_metrics_url.is_empty() => named(),
            LagChoice::Auto => {
                MetricsEndpoint::Guessed(format!("http://{endpoint}/metrics").parse().ok(), Mutex::default())
            }
        };
        Self { query, endpoints }
    }

    async fn guessed(&self, url: &ScrapeUrl, port: &Mutex<PortProbe>) -> Result<Lag, LagError> {
        let known = port.lock().map_or_else(|poisoned| *poisoned.into_inner(), |port| *port);
        if matches!(known, PortProbe::Foreign { until } if until > Instant::now()) {
            return Err(LagError::NotConfigured);
        }
        let as_of = OffsetDateTime::now_utc();
        let (found, result) = match url.text().await {
            Ok(text) => (PortProbe::Metrics, lag_in(&[text], &self.query, as_of)),
            // An unreachable broker says nothing about the port.
            Err(error) if known == PortProbe::Metrics || matches!(error, LagError::Unreachable { .. }) => {
                (known, Err(error))
            }
            Err(_foreign) => {
                (PortProbe::Foreign { until: Instant::now() + PROBE_PAUSE }, Err(LagError::NotConfigured))
            }
        };
        if let Ok(mut port) = port.lock() {
            *port = found;
        }
        result
    }
}

impl LagSource for MetricsLag {
    async fn lag(&self) -> Result<Lag, LagError> {
        match &self.endpoints {
            MetricsEndpoint::Off => Err(LagError::Off),
            MetricsEndpoint::Named(urls) if urls.is_empty() => Err(LagError::NotConfigured),
            MetricsEndpoint::Named(urls) => {
                let as_of = OffsetDateTime::now_utc();
                let texts = futures_util::future::try_join_all(urls.iter().map(ScrapeUrl::text)).await?;
                lag_in(&texts, &self.query, as_of)
            }
            MetricsEndpoint::Guessed(Some(url), port) => self.guessed(url, port).await,
            MetricsEndpoint::Guessed(None, _) => Err(LagError::NotConfigured),
        }
    }
}

/// The lag over the metrics of all brokers.
///
/// # Errors
/// [`LagError::GroupMissing`] if none of them contains the group on the topic.
pub fn lag_in(texts: &[String], query: &LagQuery, as_of: OffsetDateTime) -> Result<Lag, LagError> {
    let mut ready = None;
    let mut in_flight = None;
    let mut age_ms = 0;
    let mut kind = LagSourceKind::BrokerMetrics;
    for text in texts {
        let Some(broker) = BrokerMetrics::read(text, query) else { continue };
        ready = Some(ready.unwrap_or(0) + broker.ready());
        age_ms = broker.age_ms.max(age_ms);
        // To Apache's broker a simple consumer never has messages in flight.
        if broker.embedded {
            kind = LagSourceKind::Embedded;
            in_flight = Some(in_flight.unwrap_or(0) + broker.in_flight);
        }
    }
    let Some(messages_ready) = ready else {
        return Err(LagError::GroupMissing { group: query.group.clone(), topic: query.topic.clone() });
    };
    Ok(Lag {
        messages_ready,
        messages_in_flight: in_flight,
        oldest_age: (age_ms > 0).then(|| Duration::from_millis(age_ms)),
        as_of,
        kind,
    })
}

#[derive(Debug, Default)]
struct BrokerMetrics {
    first: u64,
    /// Messages in the retry topic, where the broker reports them.
    again: Option<u64>,
    came_back: u64,
    handed_out_again: u64,
    in_flight: u64,
    age_ms: u64,
    embedded: bool,
}

impl BrokerMetrics {
    fn read(text: &str, query: &LagQuery) -> Option<Self> {
        let mut broker = None::<Self>;
        let mut counters = Self::default();
        for sample in metric_samples(text, WANTED) {
            let topic = sample.label("topic").unwrap_or_default();
            let ours = topic == query.topic || sample.name == CAME_BACK && query.is_retry_topic(topic);
            if sample.label("consumer_group") != Some(&query.group) || !ours {
                continue;
            }
            let retry = sample.label("is_retry") == Some("true");
            let value = whole(&sample);
            match sample.name {
                READY => {
                    let broker = broker.get_or_insert_default();
                    broker.embedded |= sample.label("node_type") == Some("embedded");
                    if retry {
                        *broker.again.get_or_insert(0) += value;
                    } else {
                        broker.first += value;
                    }
                }
                IN_FLIGHT => counters.in_flight += value,
                AGE_MS => counters.age_ms = counters.age_ms.max(value),
                CAME_BACK => counters.came_back += value,
                HANDED_OUT if retry => counters.handed_out_again += value,
                _ => (),
            }
        }
        let Self { first, again, embedded, .. } = broker?;
        Some(Self { first, again, embedded, ..counters })
    }

    fn ready(&self) -> u64 {
        self.first + self.again.unwrap_or_else(|| self.came_back.saturating_sub(self.handed_out_again))
    }
}

/// Counts and milliseconds are whole; NaN and negative values count as 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and NaN becomes 0")]
fn whole(sample: &MetricSample<'_>) -> u64 {
    sample.value as u64
}
