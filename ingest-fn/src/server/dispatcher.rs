//! Dispatches accepted connections to the workers.

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;

use shared::http::{Acceptor, reject};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use super::worker::{CountedStream, WorkerHandle};
use crate::log_budgets::CONNECTIONS_SHED;
use crate::metrics;

/// Connections beyond the bound that are read: a probe is answered, so that the platform does not take a full instance for
/// a dead one; any other request gets 503.
const PROBE_CONNECTIONS_MAX: usize = 64;

/// Dispatches each new connection to the worker with the fewest.
///
/// One listener, not `SO_REUSEPORT`: the kernel distributes by a hash, and of the few connections that a platform opens
/// to an instance nearly all could reach one worker.
#[derive(Debug)]
pub(super) struct ConnectionDispatcher {
    acceptor: Acceptor,
    workers: Vec<WorkerHandle>,
    connections_max: usize,
}

impl ConnectionDispatcher {
    pub(super) fn new(
        listener: TcpListener,
        workers: Vec<WorkerHandle>,
        connections_max: NonZeroUsize,
    ) -> Self {
        let connections_max = connections_max.get();
        Self { acceptor: Acceptor::new(listener, "orders"), workers, connections_max }
    }

    /// Accepts until `stop` is cancelled, then closes the listener.
    pub(super) async fn run(self, stop: &CancellationToken) {
        while let Some(stream) = stop.run_until_cancelled(self.acceptor.accept()).await {
            self.dispatch(stream);
        }
    }

    fn dispatch(&self, stream: TcpStream) {
        // The stream moves to another runtime; if that fails, the connection is as good as broken.
        let Ok(stream) = stream.into_std() else { return };
        let open: usize = self.workers.iter().map(|worker| worker.open.load(Ordering::Relaxed)).sum();
        let Some(worker) = self.workers.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed))
        else {
            return;
        };
        let is_for_probes = open >= self.connections_max;
        if is_for_probes {
            connection_shed();
        }
        if open >= self.connections_max + PROBE_CONNECTIONS_MAX {
            return reject(stream);
        }
        let connection = CountedStream::new(stream, is_for_probes, worker.open.clone());
        match worker.connections.try_send(connection) {
            // A worker's receiver is gone only while the instance stops.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(connection)) => {
                connection_shed();
                reject(connection.into_stream());
            }
        }
    }
}

fn connection_shed() {
    metrics::connection_shed();
    CONNECTIONS_SHED.count();
}
