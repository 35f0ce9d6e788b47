//! A broker's store while it runs.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::config::BrokerConfig;
use super::error::BrokerError;
use super::store::{self, StopSignals, Store};

/// Maximum wait of a stop for the disk.
const GRACE: Duration = Duration::from_secs(20);

/// A running store. Dropping it stops it immediately.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) store: Store,
    stop_signals: StopSignals,
    worker: JoinHandle<()>,
    _guard: DropGuard,
}

impl Storage {
    /// Opens the directory and creates the configured topics and groups.
    pub(crate) async fn open(config: &BrokerConfig) -> Result<Self, BrokerError> {
        let kill = CancellationToken::new();
        let guard = kill.clone().drop_guard();
        let stop_signals = StopSignals { drain: CancellationToken::new(), kill };
        let (store, worker) = store::open(config, stop_signals.clone()).await?;
        for topic in &config.topics {
            store.create_topic(topic.clone()).await?;
        }
        for group in &config.groups {
            store.create_group(group.clone()).await?;
        }
        Ok(Self { store, stop_signals, worker, _guard: guard })
    }

    /// Flushes everything to the device and stops.
    pub(crate) async fn shutdown(self) -> Result<(), BrokerError> {
        self.stop_signals.drain.cancel();
        self.end().await
    }

    /// Stops immediately and flushes nothing. The directory is free when this returns.
    pub(crate) async fn abort(self) -> Result<(), BrokerError> {
        self.stop_signals.kill.cancel();
        self.end().await
    }

    async fn end(self) -> Result<(), BrokerError> {
        match timeout(GRACE, self.worker).await {
            // A worker that panicked has ended as well, and the panic was logged where it happened.
            Ok(_) => Ok(()),
            Err(_elapsed) => Err(BrokerError::StopTimeout),
        }
    }
}
