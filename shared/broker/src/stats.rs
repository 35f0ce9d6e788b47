//! Statistics of a broker.

use std::time::SystemTime;

/// Statistics of the whole broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Topics by name.
    pub topics: Vec<TopicStats>,
    /// Bytes of all files of the log.
    pub log_bytes: u64,
    /// Number of files of the log.
    pub segments: usize,
}

/// Statistics of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Name of the topic.
    pub name: String,
    /// Number of queues.
    pub queues: usize,
    /// Messages stored since the broker was opened.
    pub sent: u64,
    /// Messages that some group has not settled.
    pub stored: u64,
    /// Messages that wait for their delivery time.
    pub waiting: u64,
    /// Groups that have received from the topic, by name.
    pub groups: Vec<GroupStats>,
}

/// Statistics of a group on a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupStats {
    /// Name of the group.
    pub name: String,
    /// Messages that can be delivered now.
    pub ready: u64,
    /// Messages delivered and invisible.
    pub in_flight: u64,
    /// Messages settled since the group exists: acked, or moved to the dead-letter topic.
    pub acked: u64,
    /// Instant at which the oldest unsettled message was stored.
    pub oldest_unacked: Option<SystemTime>,
}

impl BrokerStats {
    /// Returns the topic named `name`.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&TopicStats> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// Returns the group named `group` on `topic`.
    #[must_use]
    pub fn group(&self, topic: &str, group: &str) -> Option<&GroupStats> {
        self.topic(topic)?.groups.iter().find(|stats| stats.name == group)
    }
}
