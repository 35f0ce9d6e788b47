//! What a broker tells about itself.

use std::time::SystemTime;

/// A look at the whole broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// By name.
    pub topics: Vec<TopicStats>,
    /// Length of all files of the log, bytes.
    pub log_bytes: u64,
    /// Files of the log.
    pub segments: usize,
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Its name.
    pub name: String,
    /// Its queues.
    pub queues: usize,
    /// Messages taken since the broker was opened.
    pub sent: u64,
    /// Messages that some group has not settled.
    pub stored: u64,
    /// The groups that have received from it, by name.
    pub groups: Vec<GroupStats>,
}

/// A group on a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupStats {
    /// Its name.
    pub name: String,
    /// Messages it could be given now.
    pub ready: u64,
    /// Messages handed out and hidden.
    pub in_flight: u64,
    /// Messages settled since the group exists: acked, or moved to the dead letters.
    pub acked: u64,
    /// When its oldest message that is not settled was stored.
    pub oldest_unacked: Option<SystemTime>,
}

impl BrokerStats {
    /// The topic called `name`.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&TopicStats> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// The group called `group` on `topic`.
    #[must_use]
    pub fn group(&self, topic: &str, group: &str) -> Option<&GroupStats> {
        self.topic(topic)?.groups.iter().find(|stats| stats.name == group)
    }
}
