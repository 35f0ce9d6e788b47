//! A running server: one endpoint, and the brokers behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::clients::Clients;
use super::config::BrokerConfig;
use super::error::BrokerError;
use super::faults::Faults;
use super::intake::Intake;
use super::net::{self, ConnectionLimits};
use super::node::{Node, Nodes};
use super::router::Messaging;
use super::service::Shared;
use super::store::Store;
use super::topology::Topology;

/// Connections that wait to be accepted, as for [`TcpListener::bind`].
const BACKLOG: u32 = 1024;
/// Maximum wait of a shutdown for calls in flight.
const GRACE: Duration = Duration::from_secs(3);
/// Maximum calls in flight on one connection; further ones wait at the client.
const STREAMS_MAX: u32 = 1024;

/// A broker that a server is to serve.
pub(crate) struct Hosted {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) is_slave: bool,
    pub(crate) store: Store,
}

/// A running server. Dropping it resets its connections.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) local: SocketAddr,
    pub(crate) faults: Faults,
    pub(crate) nodes: Arc<Nodes>,
    clients: Arc<Clients>,
    kill: CancellationToken,
    stopping: CancellationToken,
    task: JoinHandle<()>,
    _guard: DropGuard,
}

/// Listens on `addr`.
pub(crate) async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), BrokerError> {
    let failed = |source| BrokerError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// Binds `addr` without listening: no other socket gets the port, and connections are refused.
pub(crate) fn reserve(addr: SocketAddr) -> Result<TcpSocket, BrokerError> {
    let bind = || -> std::io::Result<TcpSocket> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        Ok(socket)
    };
    bind().map_err(|source| BrokerError::Listen { addr, source })
}

/// Listens on `addr`, which `reserved` holds.
pub(crate) fn listen(
    reserved: TcpSocket,
    addr: SocketAddr,
) -> Result<(TcpListener, SocketAddr), BrokerError> {
    let listener = reserved.listen(BACKLOG).map_err(|source| BrokerError::Listen { addr, source })?;
    Ok((listener, addr))
}

impl Server {
    /// Serves `hosted`, which must not be empty.
    pub(crate) fn start(
        config: BrokerConfig,
        (listener, local): (TcpListener, SocketAddr),
        topology: Arc<Topology>,
        hosted: Vec<Hosted>,
    ) -> Self {
        let kill = CancellationToken::new();
        let stopping = kill.child_token();
        let clients = Arc::new(Clients::default());
        let stores = hosted.iter().map(|hosted| hosted.store.clone()).collect();
        let faults = Faults::new(clients.clone(), stores, kill.clone());
        let is_alone = hosted.len() == 1;
        let nodes = hosted.into_iter().map(|Hosted { number, name, is_slave, store }| Node {
            number,
            name: name.into(),
            is_slave,
            faults: if is_alone {
                faults.clone()
            } else {
                Faults::new(clients.clone(), vec![store.clone()], kill.clone())
            },
            store,
        });
        let nodes = Arc::new(Nodes::new(nodes.collect()));
        let intake = Intake::new(&config);
        let shared = Shared {
            config,
            local,
            topology,
            nodes: nodes.clone(),
            clients: clients.clone(),
            faults: faults.clone(),
            intake,
            stopping: stopping.clone(),
        };
        let task = tokio::spawn(serve(listener, Arc::new(shared)));
        tracing::info!(%local, "broker open");
        let guard = kill.clone().drop_guard();
        Self { local, faults, nodes, clients, kill, stopping, task, _guard: guard }
    }

    /// Serves `store` as the broker with this number, which was restarted, with faults of its own. Returns them.
    pub(crate) fn replace(&self, hosted: Hosted) -> Faults {
        let Hosted { number, name, is_slave, store } = hosted;
        let faults = Faults::new(self.clients.clone(), vec![store.clone()], self.kill.clone());
        self.nodes.replace(Node { number, name: name.into(), is_slave, store, faults: faults.clone() });
        faults
    }

    /// Accepts no connections, ends long polls, waits at most three seconds for calls in flight.
    pub(crate) async fn shutdown(self) {
        self.stopping.cancel();
        if timeout(GRACE, self.task).await.is_err() {
            tracing::warn!("grace period over; calls in flight are cut");
        }
        self.kill.cancel();
    }

    /// Stops immediately, without a further response. The port is free when this returns.
    pub(crate) async fn abort(self) {
        self.kill.cancel();
        self.task.abort();
        let _aborted = self.task.await;
    }
}

/// Serves until the server stops: it first closes the listener, then the connections.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let stopping = shared.stopping.clone();
    let (interval, timeout) = (shared.config.keepalive_interval, shared.config.keepalive_timeout);
    let limits =
        ConnectionLimits { connections_max: shared.config.connections_max, silence_max: interval + timeout };
    let incoming = net::incoming(listener, shared.faults.clone(), limits);
    let server = tonic::transport::Server::builder()
        // HTTP/1.1 for the metrics only: gRPC needs HTTP/2.
        .accept_http1(true)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(interval))
        .http2_keepalive_timeout(Some(timeout))
        // Many concurrent sends of a few KiB would stall at the default windows of 64 KiB.
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .serve_with_incoming_shutdown(Messaging::new(shared), incoming, stopping.cancelled());
    if let Err(error) = server.await {
        tracing::error!(%error, "server failed");
    }
}
