//! A server for clients that are not trusted to be quick.

use std::convert::Infallible;
use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Acceptor, Timeouts, reject, serve_connection};
use crate::telemetry::LogBudget;

static REJECTIONS: LogBudget = LogBudget::new(1, |connections| {
    tracing::warn!(event = "connections_shed", connections, "connections rejected: too many open");
});

/// The bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub struct ServeConfig {
    /// Names the listener in logs.
    pub port: &'static str,
    /// Maximum open connections; further ones get 503 and are closed.
    pub connections_max: NonZeroUsize,
    /// Bounds on every wait for a client.
    pub timeouts: Timeouts,
    /// Maximum wait at a stop for requests in flight; their connections are cut afterwards.
    pub grace: Duration,
    /// Counts a rejected connection.
    pub on_reject: fn(),
}

impl ServeConfig {
    /// At most `connections_max` connections to `port`, the default [`Timeouts`], and 5 s of grace.
    #[must_use]
    pub fn new(port: &'static str, connections_max: NonZeroUsize) -> Self {
        let grace = Duration::from_secs(5);
        Self { port, connections_max, timeouts: Timeouts::default(), grace, on_reject: || {} }
    }
}

/// Serves `service` on `listener` until `stop` is cancelled. Then it closes the listener and idle connections, and gives
/// requests in flight the grace period. Dropping the future cuts every connection.
pub async fn serve<S, B>(listener: TcpListener, service: S, config: ServeConfig, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let acceptor = Acceptor::new(listener, config.port);
    let mut open = JoinSet::new();
    while let Some(stream) = stop.run_until_cancelled(acceptor.accept()).await {
        // Ended connections count until they are joined. A panic in one was logged where it happened.
        while open.try_join_next().is_some() {}
        if open.len() < config.connections_max.get() {
            let (service, timeouts, stop) = (service.clone(), config.timeouts, stop.clone());
            open.spawn(async move { serve_connection(stream, service, &timeouts, &stop).await });
        } else {
            reject_one(stream, &config);
        }
    }
    drop(acceptor);
    let all_ended = async { while open.join_next().await.is_some() {} };
    if timeout(config.grace, all_ended).await.is_err() {
        let connections = open.len();
        tracing::warn!(
            event = "connections_cut",
            port = config.port,
            connections,
            "grace period over; cutting connections"
        );
        open.shutdown().await;
    }
}

fn reject_one(stream: TcpStream, config: &ServeConfig) {
    (config.on_reject)();
    REJECTIONS.record(|| {
        let &ServeConfig { port, connections_max, .. } = config;
        tracing::warn!(
            event = "connections_shed",
            port,
            connections = 1,
            connections_max,
            "connections rejected: too many open"
        );
    });
    // Without the runtime, which would first wait for the socket to be writable; a new one always is.
    if let Ok(stream) = stream.into_std() {
        reject(stream);
    }
}
