//! Configuration.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::credentials::CredentialsSource;
use crate::endpoints::Endpoints;
use crate::error::ClientError;
use crate::message_filter::MessageFilter;
#[cfg(feature = "tls")]
use crate::tls_config::TlsConfig;
use crate::topic_type::TopicType;

/// Settings of every client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Access point of the broker's gRPC proxy; of several addresses any that answers is used.
    pub endpoints: Endpoints,
    /// The instance's namespace; empty for none.
    pub namespace: String,
    /// Signs calls; `None`: calls are not signed.
    pub credentials: Option<CredentialsSource>,
    /// Encryption of the connections; `None`: they are not encrypted, as for a broker in a private network.
    #[cfg(feature = "tls")]
    pub tls: Option<TlsConfig>,
    /// Time-out of a TCP and TLS connect to one address.
    pub connect_timeout: Duration,
    /// Time-out of one call that is not a receive; each retry has its own.
    pub request_timeout: Duration,
    /// Age from which a cached route is refreshed in the background; it serves until a query answers.
    pub route_ttl: Duration,
    /// Interval of [`crate::ClientContext::stats`]; `None`: never called.
    pub stats_interval: Option<Duration>,
}

impl ClientConfig {
    /// Defaults: no namespace, no signature, no TLS, time-outs of 3 s.
    #[must_use]
    pub fn new(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            namespace: String::new(),
            credentials: None,
            #[cfg(feature = "tls")]
            tls: None,
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(3),
            route_ttl: Duration::from_secs(30),
            stats_interval: None,
        }
    }
}

/// Longest configurable duration: sums of a few of them stay within the range of every clock.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Collects the faults of a configuration, so that one error names all of them.
#[derive(Debug, Default)]
struct Faults(Vec<String>);

impl Faults {
    /// Records a fault unless `value` is within `min` and a year.
    fn bound(&mut self, name: &str, value: Duration, min: Duration) {
        if value < min {
            self.0.push(format!("{name} is {value:?}, at least {min:?} is needed"));
        } else if value > DURATION_MAX {
            self.0.push(format!("{name} is more than 365 days"));
        }
    }

    fn into_result(self) -> Result<(), ClientError> {
        if self.0.is_empty() { Ok(()) } else { Err(ClientError::Config(self.0.join("; "))) }
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);

impl ClientConfig {
    fn find_faults(&self, faults: &mut Faults) {
        faults.bound("connect_timeout", self.connect_timeout, MILLISECOND);
        faults.bound("request_timeout", self.request_timeout, MILLISECOND);
        faults.bound("route_ttl", self.route_ttl, Duration::ZERO);
        if let Some(interval) = self.stats_interval {
            faults.bound("stats_interval", interval, MILLISECOND);
        }
    }
}

impl ProducerConfig {
    /// # Errors
    /// [`ClientError::Config`] with every fault of both configurations.
    pub(crate) fn check(&self, client: &ClientConfig) -> Result<(), ClientError> {
        let mut faults = Faults::default();
        client.find_faults(&mut faults);
        faults.bound("delivery_timeout", self.delivery_timeout, MILLISECOND);
        faults.bound("retry.backoff_initial", self.retry.backoff_initial, Duration::ZERO);
        faults.bound("retry.backoff_max", self.retry.backoff_max, Duration::ZERO);
        faults.into_result()
    }
}

impl ConsumerConfig {
    /// # Errors
    /// [`ClientError::Config`] with every fault of both configurations.
    pub(crate) fn check(&self, client: &ClientConfig) -> Result<(), ClientError> {
        let mut faults = Faults::default();
        client.find_faults(&mut faults);
        if self.topics.is_empty() {
            faults.0.push("a consumer needs at least one topic".to_owned());
        }
        if self.group.is_empty() {
            faults.0.push("a consumer needs a group".to_owned());
        }
        if !(1..=32).contains(&self.batch_size_max) {
            faults.0.push("batch_size_max is not within 1 and 32, the broker's limits".to_owned());
        }
        faults.bound("invisible_duration", self.invisible_duration, MILLISECOND);
        faults.bound("long_polling_timeout", self.long_polling_timeout, Duration::ZERO);
        faults.bound("release_delay", self.release_delay, Duration::ZERO);
        faults.bound("heartbeat_interval", self.heartbeat_interval, MILLISECOND);
        if let Some(extend_max) = self.extend_max {
            faults.bound("extend_max", extend_max, Duration::ZERO);
        }
        faults.into_result()
    }
}

/// Retries of a failed call: exponential backoff with full jitter, under one deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Maximum attempts, the first included.
    pub attempts_max: u32,
    /// Upper bound of the first delay; each further delay doubles it.
    pub backoff_initial: Duration,
    /// Upper bound of every delay.
    pub backoff_max: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts_max: 5,
            backoff_initial: Duration::from_millis(20),
            backoff_max: Duration::from_secs(1),
        }
    }
}

/// Settings of a producer.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// Topics whose routes [`crate::FutureProducer::warm_up`] fetches.
    pub topics: Vec<String>,
    /// Type that these topics must have: [`crate::FutureProducer::warm_up`] fails for another.
    pub topic_type: TopicType,
    /// Maximum messages enqueued and not yet settled.
    pub queue_messages_max: NonZeroUsize,
    /// Maximum payload bytes enqueued and not yet settled.
    pub queue_bytes_max: NonZeroUsize,
    /// Maximum sends in flight.
    pub in_flight_max: NonZeroUsize,
    /// Deadline of a delivery, from enqueueing to the broker's response, queueing and retries included. A queued message
    /// that could no longer be acknowledged in time is not sent.
    pub delivery_timeout: Duration,
    /// Retries of failed sends.
    pub retry: RetryConfig,
    /// Maximum bytes of one payload, before compression.
    pub body_bytes_max: usize,
    /// Payloads above this many bytes are compressed (zlib) where that makes them smaller; `None`: never.
    pub compress_above_bytes: Option<usize>,
}

const QUEUE_MESSAGES: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();
const QUEUE_BYTES: NonZeroUsize = NonZeroUsize::new(32 * 1024 * 1024).unwrap();
const IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(64).unwrap();

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            topic_type: TopicType::Normal,
            queue_messages_max: QUEUE_MESSAGES,
            queue_bytes_max: QUEUE_BYTES,
            in_flight_max: IN_FLIGHT,
            delivery_timeout: Duration::from_secs(5),
            retry: RetryConfig::default(),
            body_bytes_max: 4 * 1024 * 1024,
            compress_above_bytes: None,
        }
    }
}

/// Settings of a consumer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// The consumer group; it must exist.
    pub group: String,
    /// Topics to receive from at first; see [`crate::StreamConsumer::subscribe`].
    pub topics: Vec<String>,
    /// Filter of these topics.
    pub filter: MessageFilter,
    /// Maximum messages of one receive, 1 to 32 (the broker's limit).
    pub batch_size_max: u8,
    /// Invisible duration of a received message; 10 s to 12 h on Apache's broker.
    pub invisible_duration: Duration,
    /// Maximum wait of the server for a message; Apache's proxy clamps it to 5–20 s.
    pub long_polling_timeout: Duration,
    /// Maximum time since receipt for which the client extends the invisible duration of held messages. `None`: the
    /// caller extends it with [`crate::Message::extend`].
    pub extend_max: Option<Duration>,
    /// Delay of the redelivery of a dropped message.
    pub release_delay: Duration,
    /// Maximum messages that [`crate::StreamConsumer::recv`] buffers.
    pub prefetch_messages_max: NonZeroUsize,
    /// Interval of heartbeats.
    pub heartbeat_interval: Duration,
    /// Maximum bytes of a decompressed body; a larger one is a [`crate::BodyFault`].
    pub body_bytes_max: usize,
}

const PREFETCH: NonZeroUsize = NonZeroUsize::new(64).unwrap();

impl ConsumerConfig {
    /// Defaults: 32 messages per receive, an invisible duration of 60 s, extended for at most an hour.
    #[must_use]
    pub fn new(group: impl Into<String>, topics: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            filter: MessageFilter::all(),
            batch_size_max: 32,
            invisible_duration: Duration::from_secs(60),
            long_polling_timeout: Duration::from_secs(5),
            extend_max: Some(Duration::from_secs(3_600)),
            release_delay: Duration::from_secs(1),
            prefetch_messages_max: PREFETCH,
            heartbeat_interval: Duration::from_secs(10),
            body_bytes_max: 4 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_of_a_configuration_are_named_at_once() {
        let mut client = ClientConfig::new("127.0.0.1:8081".parse().expect("valid"));
        let mut consumer = ConsumerConfig::new("drain", ["orders"]);
        assert_eq!(ProducerConfig::default().check(&client), Ok(()));
        assert_eq!(consumer.check(&client), Ok(()));
        client.stats_interval = Some(Duration::ZERO);
        client.request_timeout = Duration::MAX;
        consumer.topics.clear();
        consumer.heartbeat_interval = Duration::ZERO;
        let message = consumer.check(&client).expect_err("faulty").to_string();
        for part in ["stats_interval", "request_timeout", "at least one topic", "heartbeat_interval"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let producer = ProducerConfig { delivery_timeout: Duration::MAX, ..ProducerConfig::default() };
        let message = producer.check(&client).expect_err("faulty").to_string();
        for part in ["stats_interval", "request_timeout", "delivery_timeout"] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
