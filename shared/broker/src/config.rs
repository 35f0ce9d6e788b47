//! Configuration of a broker.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::error::BrokerError;
use spillway_rocketmq::{Credentials, TopicType};

/// Maximum queues of a topic.
pub(crate) const QUEUES_MAX: usize = 256;

/// Maximum invisible duration: 12 hours, as on the real server.
pub(crate) const INVISIBLE_MAX: Duration = Duration::from_secs(12 * 60 * 60);

const BYTES_MIN: u64 = 1 << 20;
const PENDING_BYTES_MIN: usize = 16 << 20;
const PENDING_BYTES_MAX: usize = 1 << 30;
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
const NAME_CHARS_MAX: usize = 127;
const KEEPALIVE_MIN: Duration = Duration::from_millis(1);
const KEEPALIVE_MAX: Duration = Duration::from_secs(60 * 60);

/// The durability that an acknowledgement promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flush {
    /// The operating system has the data: it survives any end of the process, but not a crash of the machine.
    /// RocketMQ's `ASYNC_FLUSH`, its default.
    #[default]
    OsCache,
    /// The device has the data: one `fdatasync` per group of requests. RocketMQ's `SYNC_FLUSH`.
    Sync,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// Name of the topic.
    pub name: String,
    /// Number of queues, 1 to 256. An existing topic gains queues, never loses any.
    pub queues: usize,
    /// Type of the messages that the topic takes; it cannot change.
    pub topic_type: TopicType,
}

impl TopicConfig {
    /// A topic of type NORMAL.
    #[must_use]
    pub fn new(name: impl Into<String>, queues: usize) -> Self {
        Self { name: name.into(), queues, topic_type: TopicType::Normal }
    }

    /// The same topic of another type.
    #[must_use]
    pub fn of_type(mut self, topic_type: TopicType) -> Self {
        self.topic_type = topic_type;
        self
    }

    /// Checks the name.
    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        legal("topic", &self.name)
    }
}

/// Configuration of a broker. Start from [`BrokerConfig::at`] or the defaults.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Directory of the log; created if missing. One broker at a time.
    pub dir: PathBuf,
    /// Address to listen on; port 0 picks a free one. Default: 127.0.0.1:8081.
    pub listen: SocketAddr,
    /// Host and port that routes contain. Default: the endpoint that the client was given, else `listen`.
    pub advertised: Option<(String, u16)>,
    /// Durability of an acknowledgement. Default: [`Flush::OsCache`].
    pub flush: Flush,
    /// Maximum bytes of log on disk, at least 1 MiB; beyond it sends fail with `TOO_MANY_REQUESTS`. Bounds memory too:
    /// messages that some group has not settled, plus about 200 bytes each. Default: 1 GiB. The records of receives
    /// and acks, a few bytes per message, are written even beyond it.
    pub bytes_max: u64,
    /// Maximum bytes of sends in flight, from the first byte that arrives, at least 16 MiB (more than one call can carry);
    /// beyond it sends fail with `TOO_MANY_REQUESTS` at once. All other calls together have 16 MiB. Default: 64 MiB.
    pub pending_bytes_max: usize,
    /// Maximum connections; further ones are closed immediately. Default: 1024.
    pub connections_max: usize,
    /// Interval of HTTP/2 pings on every connection, at least 1 ms. Default: 30 s.
    pub keepalive_interval: Duration,
    /// Maximum wait for the answer to a ping, at least 1 ms; then the connection is closed. A connection on which nothing
    /// at all arrives is closed after both together. Default: 10 s.
    pub keepalive_timeout: Duration,
    /// If set, every call must be signed with this access key. The session token is ignored.
    pub credentials: Option<Credentials>,
    /// Topics to create.
    pub topics: Vec<TopicConfig>,
    /// Consumer groups to create.
    pub groups: Vec<String>,
    /// Maximum deliveries of one message to one group, at least 1; then the message moves to `%DLQ%<group>`.
    /// Default: 17, the server's 16 retries and the first.
    pub attempts_max: u16,
    /// Minimum invisible duration of a receive. Default: 10 s, as on the real server.
    pub invisible_min: Duration,
    /// Minimum wait of a receive for messages. Default: 5 s, as on the real server.
    pub long_polling_min: Duration,
    /// Maximum wait of a receive for messages. Default: 20 s, as on the real server.
    pub long_polling_max: Duration,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("broker-data"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            advertised: None,
            flush: Flush::default(),
            bytes_max: 1 << 30,
            pending_bytes_max: 64 << 20,
            connections_max: 1024,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            credentials: None,
            topics: Vec::new(),
            groups: Vec::new(),
            attempts_max: 17,
            invisible_min: Duration::from_secs(10),
            long_polling_min: Duration::from_secs(5),
            long_polling_max: Duration::from_secs(20),
        }
    }
}

impl BrokerConfig {
    /// Defaults, with the log in `dir` and a free port of the loopback interface.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Self::default() }
    }

    /// Long enough for few files, short enough that deleting one releases a useful part of the budget.
    pub(crate) fn segment_bytes(&self) -> u64 {
        (self.bytes_max / 16).min(SEGMENT_BYTES_MAX)
    }

    /// Checks all settings; the error lists every fault.
    pub(crate) fn validate(&self) -> Result<(), BrokerError> {
        let mut faults = Vec::new();
        if self.bytes_max < BYTES_MIN {
            faults.push(format!("bytes_max is below {BYTES_MIN}"));
        }
        if !(PENDING_BYTES_MIN..=PENDING_BYTES_MAX).contains(&self.pending_bytes_max) {
            faults.push("pending_bytes_max is not within 16 MiB and 1 GiB".to_owned());
        }
        if self.connections_max == 0 || self.connections_max > 65_536 {
            faults.push("connections_max is not within 1 and 65536".to_owned());
        }
        let keepalive = KEEPALIVE_MIN..=KEEPALIVE_MAX;
        if !keepalive.contains(&self.keepalive_interval) || !keepalive.contains(&self.keepalive_timeout) {
            faults.push("keepalive_interval or keepalive_timeout is not within 1 ms and 1 hour".to_owned());
        }
        if self.attempts_max == 0 {
            faults.push("attempts_max is 0".to_owned());
        }
        if self.invisible_min > INVISIBLE_MAX {
            faults.push("invisible_min is beyond 12 hours".to_owned());
        }
        if self.long_polling_min > self.long_polling_max {
            faults.push("long_polling_min is beyond long_polling_max".to_owned());
        }
        for TopicConfig { name, queues, .. } in &self.topics {
            faults.extend(name_fault("topic", name));
            if *queues == 0 || *queues > QUEUES_MAX {
                faults.push(format!("topic {name} has not 1 to {QUEUES_MAX} queues"));
            }
        }
        faults.extend(self.groups.iter().filter_map(|group| name_fault("group", group)));
        if faults.is_empty() { Ok(()) } else { Err(BrokerError::Config(faults.join("; "))) }
    }
}

/// Returns the fault of a topic's or group's name, by the real server's rule.
fn name_fault(what: &str, name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '%' | '|');
    if name.is_empty() || name.len() > NAME_CHARS_MAX {
        Some(format!("{what} {name:?} has not 1 to {NAME_CHARS_MAX} characters"))
    } else if !name.chars().all(legal) {
        Some(format!("{what} {name:?} has characters other than A-Z a-z 0-9 _ - % |"))
    } else {
        None
    }
}

/// Checks the name of a topic or a group.
pub(crate) fn legal(what: &str, name: &str) -> Result<(), BrokerError> {
    name_fault(what, name).map_or(Ok(()), |fault| Err(BrokerError::Config(fault)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named() {
        let mut config = BrokerConfig::at("unused");
        assert!(config.validate().is_ok());
        config.bytes_max = 1;
        config.attempts_max = 0;
        config.topics = vec![TopicConfig::new("a topic", 0)];
        config.groups = vec![String::new()];
        let message = config.validate().expect_err("faulty").to_string();
        for part in ["bytes_max", "attempts_max", "characters other", "256 queues", "group"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}
