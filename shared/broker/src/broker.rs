//! A single broker.

use std::net::SocketAddr;
use std::sync::Arc;

use super::config::{BrokerConfig, TopicConfig, legal};
use super::error::BrokerError;
use super::faults::Faults;
use super::server::{self, Hosted, Server};
use super::stats::BrokerStats;
use super::storage::Storage;
use super::store::DEAD_LETTER_PREFIX;
use super::topology::{MASTER_ID, Member, Topology};

/// Name of a single broker in routes.
const NAME: &str = "embedded";

/// A running broker. Dropping it stops it immediately, like a kill: see [`Broker::abort`].
#[derive(Debug)]
pub struct Broker {
    server: Server,
    storage: Storage,
}

impl Broker {
    /// Opens the directory, restores the state of the last broker on it, creates the configured topics and groups, and
    /// listens. Waits at most two seconds for another broker to unlock the directory.
    ///
    /// # Errors
    /// [`BrokerError::Config`], [`BrokerError::Locked`], [`BrokerError::Listen`], [`BrokerError::Foreign`], or
    /// [`BrokerError::Io`] of the directory.
    pub async fn open(config: BrokerConfig) -> Result<Self, BrokerError> {
        config.validate()?;
        let listener = server::bind(config.listen).await?;
        let storage = Storage::open(&config).await?;
        let endpoint = config.advertised.clone();
        let topology = Topology::new(vec![Member { name: NAME.to_owned(), id: MASTER_ID, endpoint }]);
        let hosted =
            Hosted { number: 0, name: NAME.to_owned(), is_slave: false, store: storage.store.clone() };
        let server = Server::start(config, listener, Arc::new(topology), vec![hosted]);
        Ok(Self { server, storage })
    }

    /// Address that the broker listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.server.local
    }

    /// Returns the handle that scripts faults; it may outlive the broker.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.server.faults.clone()
    }

    /// Creates a topic, or adds queues to an existing one; queues are never removed.
    ///
    /// # Errors
    /// [`BrokerError::Config`] for an illegal name, [`BrokerError::Refused`] for an illegal number of queues, for
    /// another type than the existing topic's, for more than 1024 topics, or if the broker has stopped.
    pub async fn create_topic(&self, topic: TopicConfig) -> Result<(), BrokerError> {
        topic.check()?;
        Ok(self.storage.store.create_topic(topic).await?)
    }

    /// Creates a consumer group if it does not exist.
    ///
    /// # Errors
    /// [`BrokerError::Config`] for an illegal name, [`BrokerError::Refused`] for more than 1024 groups, or if the
    /// broker has stopped.
    pub async fn create_group(&self, name: &str) -> Result<(), BrokerError> {
        legal("group", name)?;
        Ok(self.storage.store.create_group(name.to_owned()).await?)
    }

    /// Returns statistics of topics, groups and the log. Costs a scan of the queues and of the waiting messages.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] if the broker has stopped, for example because the disk failed.
    pub async fn stats(&self) -> Result<BrokerStats, BrokerError> {
        Ok(self.storage.store.stats().await?)
    }

    /// Name of the topic that receives `group`'s dead letters.
    #[must_use]
    pub fn dead_letter_topic(group: &str) -> String {
        format!("{DEAD_LETTER_PREFIX}{group}")
    }

    /// Shuts down: accepts no connections, ends long polls, waits at most three seconds for calls in flight, then flushes
    /// everything to the device.
    ///
    /// # Errors
    /// [`BrokerError::StopTimeout`] if the disk takes longer than 20 seconds.
    pub async fn shutdown(self) -> Result<(), BrokerError> {
        self.server.shutdown().await;
        self.storage.shutdown().await
    }

    /// Stops immediately, as close to a kill as a process can come to itself: sends no further response and flushes
    /// nothing. Port and directory are free when this returns.
    ///
    /// # Errors
    /// [`BrokerError::StopTimeout`] if a write in flight takes longer than 20 seconds.
    pub async fn abort(self) -> Result<(), BrokerError> {
        self.server.abort().await;
        self.storage.abort().await
    }
}
