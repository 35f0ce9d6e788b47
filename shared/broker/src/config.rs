//! What a broker is told before it opens.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::error::BrokerError;
use super::store::QUEUES_MAX;
use spillway_rocketmq::Credentials;

/// Longest that a message may be hidden: 12 hours, as on the real server.
pub(crate) const INVISIBLE_MAX: Duration = Duration::from_secs(12 * 60 * 60);

const BYTES_MIN: u64 = 1 << 20;
const PENDING_BYTES_MIN: usize = 16 << 20;
const PENDING_BYTES_MAX: usize = 1 << 30;
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
const NAME_CHARS_MAX: usize = 127;

/// What a successful answer promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flush {
    /// The operating system has the data: it survives the process, killed in whatever way, but not a crash of the
    /// machine. RocketMQ's `ASYNC_FLUSH`, its default.
    #[default]
    OsCache,
    /// The device has the data: one `fdatasync` for each group of requests. RocketMQ's `SYNC_FLUSH`.
    Sync,
}

/// Everything about a broker. Start from [`BrokerConfig::at`] or the defaults and change what differs.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Where the log lies; made if missing. One broker at a time.
    pub dir: PathBuf,
    /// Where to listen; port 0 picks a free one. Default: 127.0.0.1:8081.
    pub listen: SocketAddr,
    /// Host and port that routes name. Default: what the client says it was given, else `listen`.
    pub advertised: Option<(String, u16)>,
    /// What an answer promises. Default: [`Flush::OsCache`].
    pub flush: Flush,
    /// Bytes of log on disk beyond which sends are refused with `TOO_MANY_REQUESTS`, at least 1 MiB. Bounds memory
    /// as well, which holds the messages that some group has not settled and about 200 bytes for each. Default:
    /// 1 GiB. What consumers add (receives, acks) is written even so, a few bytes a message.
    pub bytes_max: u64,
    /// Bytes of sends under way beyond which further ones are refused with `TOO_MANY_REQUESTS`, at least 16 MiB, which
    /// is more than one call can bring. Default: 64 MiB.
    pub pending_bytes_max: usize,
    /// Most connections; further ones are closed at once. Default: 1024.
    pub connections_max: usize,
    /// If set, every call must be signed with these. A session token is not looked at.
    pub credentials: Option<Credentials>,
    /// Topics to make, with their number of queues, 1 to 256. An existing topic gets more queues, never fewer.
    pub topics: Vec<(String, usize)>,
    /// Consumer groups to make.
    pub groups: Vec<String>,
    /// Deliveries of one message to one group, at least 1; afterwards it goes to the topic `%DLQ%<group>`.
    /// Default: 17, the server's 16 retries and the first.
    pub attempts_max: u16,
    /// Shortest hiding a receive may ask for. Default: 10 s, as on the real server.
    pub invisible_min: Duration,
    /// A receive waits at least this long for messages, whatever it asks for. Default: 5 s, as on the real server.
    pub long_polling_min: Duration,
    /// A receive waits at most this long for messages. Default: 20 s, as on the real server.
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
    /// The defaults, with the log in `dir` and a free port of the loopback interface.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Self::default() }
    }

    /// Long enough that files are few, short enough that deleting one gives back a part of the budget.
    pub(crate) fn segment_bytes(&self) -> u64 {
        (self.bytes_max / 16).min(SEGMENT_BYTES_MAX)
    }

    /// Checks everything and names every fault.
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
        if self.attempts_max == 0 {
            faults.push("attempts_max is 0".to_owned());
        }
        if self.invisible_min > INVISIBLE_MAX {
            faults.push("invisible_min is beyond 12 hours".to_owned());
        }
        if self.long_polling_min > self.long_polling_max {
            faults.push("long_polling_min is beyond long_polling_max".to_owned());
        }
        for (topic, queues) in &self.topics {
            faults.extend(name_fault("topic", topic));
            if *queues == 0 || *queues > QUEUES_MAX {
                faults.push(format!("topic {topic} has not 1 to {QUEUES_MAX} queues"));
            }
        }
        faults.extend(self.groups.iter().filter_map(|group| name_fault("group", group)));
        if faults.is_empty() { Ok(()) } else { Err(BrokerError::Config(faults.join("; "))) }
    }
}

/// What is wrong with the name of a topic or a group, by the real server's rule.
pub(crate) fn name_fault(what: &str, name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '%' | '|');
    if name.is_empty() || name.len() > NAME_CHARS_MAX {
        Some(format!("{what} {name:?} has not 1 to {NAME_CHARS_MAX} characters"))
    } else if !name.chars().all(legal) {
        Some(format!("{what} {name:?} has characters other than A-Z a-z 0-9 _ - % |"))
    } else {
        None
    }
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
        config.topics = vec![("a topic".to_owned(), 0)];
        config.groups = vec![String::new()];
        let message = config.validate().expect_err("faulty").to_string();
        for part in ["bytes_max", "attempts_max", "characters other", "256 queues", "group"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}
