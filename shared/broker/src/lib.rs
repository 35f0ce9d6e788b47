#![doc = include_str!("../README.md")]

mod auth;
mod clients;
mod config;
mod error;
mod faults;
mod net;
mod prometheus;
mod server;
mod service;
mod stats;
mod store;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::clients::Clients;
use self::config::name_fault;
pub use self::config::{BrokerConfig, Flush};
pub use self::error::BrokerError;
pub use self::faults::{FailAt, Faults};
use self::service::Shared;
pub use self::stats::{BrokerStats, GroupStats, TopicStats};
use self::store::{DEAD_LETTER_PREFIX, StopSignals, Store};

/// Maximum wait of a shutdown for calls in flight.
const SERVER_GRACE: Duration = Duration::from_secs(3);
/// Maximum wait of a stop for the disk.
const STORE_GRACE: Duration = Duration::from_secs(20);

/// A running broker. Dropping it stops it immediately, like a kill: see [`Broker::abort`].
#[derive(Debug)]
pub struct Broker {
    local: SocketAddr,
    store: Store,
    faults: Faults,
    stopping: CancellationToken,
    stop_signals: StopSignals,
    server: JoinHandle<()>,
    worker: JoinHandle<()>,
    _kill: DropGuard,
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
        let kill = CancellationToken::new();
        let guard = kill.clone().drop_guard();
        let stop_signals = StopSignals { drain: CancellationToken::new(), kill: kill.clone() };
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| BrokerError::Listen { addr: config.listen, source })?;
        let local =
            listener.local_addr().map_err(|source| BrokerError::Listen { addr: config.listen, source })?;
        let (store, worker) = store::open(&config, stop_signals.clone()).await?;
        for (topic, queues) in &config.topics {
            store.create_topic(topic.clone(), *queues).await?;
        }
        for group in &config.groups {
            store.create_group(group.clone()).await?;
        }
        let clients = Arc::new(Clients::default());
        let faults = Faults::new(clients.clone(), store.clone(), kill.clone());
        let stopping = kill.child_token();
        let pending_bytes = Arc::new(Semaphore::new(config.pending_bytes_max));
        let shared = Shared {
            config,
            local,
            store: store.clone(),
            clients,
            faults: faults.clone(),
            pending_bytes,
            stopping: stopping.clone(),
        };
        let server = tokio::spawn(server::serve(listener, Arc::new(shared)));
        tracing::info!(%local, "broker open");
        Ok(Self { local, store, faults, stopping, stop_signals, server, worker, _kill: guard })
    }

    /// Address that the broker listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Returns the handle that scripts faults; it may outlive the broker.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Creates a topic with 1 to 256 queues, or adds queues to an existing one; queues are never removed.
    ///
    /// # Errors
    /// [`BrokerError::Config`] for an illegal name, [`BrokerError::Refused`] for an illegal number of queues, for
    /// more than 1024 topics, or if the broker has stopped.
    pub async fn create_topic(&self, name: &str, queues: usize) -> Result<(), BrokerError> {
        legal("topic", name)?;
        Ok(self.store.create_topic(name.to_owned(), queues).await?)
    }

    /// Creates a consumer group if it does not exist.
    ///
    /// # Errors
    /// [`BrokerError::Config`] for an illegal name, [`BrokerError::Refused`] for more than 1024 groups, or if the
    /// broker has stopped.
    pub async fn create_group(&self, name: &str) -> Result<(), BrokerError> {
        legal("group", name)?;
        Ok(self.store.create_group(name.to_owned()).await?)
    }

    /// Returns statistics of topics, groups and the log. Costs a scan of the queues, not of the messages.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] if the broker has stopped, for example because the disk failed.
    pub async fn stats(&self) -> Result<BrokerStats, BrokerError> {
        Ok(self.store.stats().await?)
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
        self.stopping.cancel();
        if timeout(SERVER_GRACE, self.server).await.is_err() {
            tracing::warn!("grace period over; calls in flight are cut");
        }
        self.faults.drop_connections();
        self.stop_signals.drain.cancel();
        ended(self.worker).await
    }

    /// Stops immediately, as close to a kill as a process can come to itself: sends no further response and flushes
    /// nothing. Port and directory are free when this returns.
    ///
    /// # Errors
    /// [`BrokerError::StopTimeout`] if a write in flight takes longer than 20 seconds.
    pub async fn abort(self) -> Result<(), BrokerError> {
        self.stop_signals.kill.cancel();
        self.server.abort();
        let _aborted = self.server.await;
        ended(self.worker).await
    }
}

async fn ended(worker: JoinHandle<()>) -> Result<(), BrokerError> {
    match timeout(STORE_GRACE, worker).await {
        // A worker that panicked has ended as well, and the panic was logged where it happened.
        Ok(_) => Ok(()),
        Err(_elapsed) => Err(BrokerError::StopTimeout),
    }
}

fn legal(what: &str, name: &str) -> Result<(), BrokerError> {
    name_fault(what, name).map_or(Ok(()), |fault| Err(BrokerError::Config(fault)))
}
