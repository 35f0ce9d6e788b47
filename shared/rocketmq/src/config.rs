//! Typed configuration. Secrets never print.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use crate::protocol::{Address, AddressScheme, Endpoints};

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Name or number (an IPv6 number without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Not `host:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is written host:port, such as 127.0.0.1:8081")]
pub struct EndpointSyntax;

impl FromStr for Endpoint {
    type Err = EndpointSyntax;

    fn from_str(text: &str) -> Result<Self, EndpointSyntax> {
        let (host, port) = text.rsplit_once(':').ok_or(EndpointSyntax)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().map_err(|_| EndpointSyntax)?;
        if host.is_empty() || host.contains(['/', ' ', '@']) || port == 0 {
            return Err(EndpointSyntax);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl From<std::net::SocketAddr> for Endpoint {
    fn from(address: std::net::SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl Endpoint {
    /// The first address of a route, if it has a usable one.
    pub(crate) fn from_protocol(endpoints: &Endpoints) -> Option<Self> {
        let address = endpoints.addresses.first()?;
        let port = u16::try_from(address.port).ok().filter(|port| *port != 0)?;
        (!address.host.is_empty()).then(|| Self { host: address.host.clone(), port })
    }

    pub(crate) fn to_protocol(&self) -> Endpoints {
        let scheme = match self.host.parse() {
            Ok(std::net::IpAddr::V4(_)) => AddressScheme::Ipv4,
            Ok(std::net::IpAddr::V6(_)) => AddressScheme::Ipv6,
            Err(_) => AddressScheme::DomainName,
        };
        Endpoints {
            scheme: scheme.into(),
            addresses: vec![Address { host: self.host.clone(), port: i32::from(self.port) }],
        }
    }
}

/// What a client signs its calls with. On the managed service: the instance's user name and password (or those of
/// an ACL user), not RAM keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Access key; appears in the request.
    pub access_key: String,
    /// Secret key; never leaves the process.
    pub secret_key: String,
    /// Token of a temporary credential.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(***)")
    }
}

/// Whether calls are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Plain text, for a broker inside a private network.
    #[default]
    Off,
    /// TLS, the server's certificate checked against the Web's public roots.
    PublicRoots,
    /// TLS, the server's certificate checked against these PEM certificates.
    Roots(Vec<u8>),
}

/// What every client needs.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The access point.
    pub endpoint: Endpoint,
    /// The instance's namespace; empty for none.
    pub namespace: String,
    /// What to sign calls with; `None` leaves them unsigned.
    pub credentials: Option<Credentials>,
    /// Whether calls are encrypted.
    pub tls: Tls,
    /// Longest wait for a TCP (and TLS) connection.
    pub connect_timeout: Duration,
    /// Longest wait for the answer to one plain call; a retry has its own.
    pub request_timeout: Duration,
    /// How long a topic's route is trusted before it is asked for again.
    pub route_ttl: Duration,
    /// How often [`crate::ClientContext::stats`] is called; `None`: never.
    pub stats_interval: Option<Duration>,
}

impl ClientConfig {
    /// Defaults for `endpoint`: no namespace, no signature, no TLS, 3 s a call.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            namespace: String::new(),
            credentials: None,
            tls: Tls::Off,
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(3),
            route_ttl: Duration::from_secs(30),
            stats_interval: None,
        }
    }
}

/// How failed calls are tried again: exponential, with full jitter, all under one deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Most tries, the first included.
    pub attempts_max: u32,
    /// Upper bound of the first wait; each later one doubles it.
    pub backoff_initial: Duration,
    /// Upper bound of every wait.
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

/// What a producer needs besides.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// Topics that a warm-up looks up.
    pub topics: Vec<String>,
    /// Most messages enqueued and not yet settled.
    pub queue_messages_max: NonZeroUsize,
    /// Most body bytes enqueued and not yet settled.
    pub queue_bytes_max: NonZeroUsize,
    /// Most calls under way at once.
    pub in_flight_max: NonZeroUsize,
    /// From enqueueing to the broker's answer, retries included.
    pub delivery_timeout: Duration,
    /// How failed sends are tried again.
    pub retry: RetryConfig,
    /// Most bytes of one body.
    pub body_bytes_max: usize,
}

const QUEUE_MESSAGES: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();
const QUEUE_BYTES: NonZeroUsize = NonZeroUsize::new(32 * 1024 * 1024).unwrap();
const IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(64).unwrap();

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            queue_messages_max: QUEUE_MESSAGES,
            queue_bytes_max: QUEUE_BYTES,
            in_flight_max: IN_FLIGHT,
            delivery_timeout: Duration::from_secs(5),
            retry: RetryConfig::default(),
            body_bytes_max: 4 * 1024 * 1024,
        }
    }
}

/// What a consumer needs besides.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// The consumer group; it must exist.
    pub group: String,
    /// Topics to receive from; all messages of each.
    pub topics: Vec<String>,
    /// Most messages a receive asks for; the broker refuses more than 32.
    pub batch_size_max: u8,
    /// How long a received message stays hidden from others, 10 s to 12 h on Apache's broker.
    pub invisible_duration: Duration,
    /// How long the server may hold a receive while there is nothing; Apache's proxy clamps it to 5–20 s.
    pub long_polling_timeout: Duration,
    /// Whether messages held are kept hidden by extending them, and for how long at most since they came.
    /// `None`: whoever holds a message extends it.
    pub extend_max: Option<Duration>,
    /// How long a message released by dropping it stays hidden.
    pub release_delay: Duration,
    /// Messages that [`crate::StreamConsumer::recv`] fetches ahead.
    pub prefetch_messages_max: NonZeroUsize,
    /// How often the group's registration is renewed.
    pub heartbeat_interval: Duration,
}

const PREFETCH: NonZeroUsize = NonZeroUsize::new(64).unwrap();

impl ConsumerConfig {
    /// Defaults for `group` and `topics`: 32 a receive, hidden for 60 s, extended for an hour at most.
    #[must_use]
    pub fn new(group: impl Into<String>, topics: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            batch_size_max: 32,
            invisible_duration: Duration::from_secs(60),
            long_polling_timeout: Duration::from_secs(5),
            extend_max: Some(Duration::from_secs(3_600)),
            release_delay: Duration::from_secs(1),
            prefetch_messages_max: PREFETCH,
            heartbeat_interval: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written() {
        for (text, host, port) in [
            ("127.0.0.1:8081", "127.0.0.1", 8081),
            ("rmq.internal:80", "rmq.internal", 80),
            ("[::1]:9", "::1", 9),
        ] {
            let endpoint: Endpoint = text.parse().expect("valid");
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port));
            assert_eq!(endpoint.to_string(), text);
        }
        for text in ["", "host", "host:", "host:0", "host:65536", "http://host:80", ":80"] {
            assert_eq!(text.parse::<Endpoint>(), Err(EndpointSyntax), "{text:?}");
        }
    }

    #[test]
    fn credentials_never_print() {
        let credentials = Credentials {
            access_key: "key".to_owned(),
            secret_key: "hunter2".to_owned(),
            session_token: Some("token".to_owned()),
        };
        assert_eq!(format!("{credentials:?}"), "Credentials(***)");
    }
}
