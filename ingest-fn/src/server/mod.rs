//! The HTTP server: one listener, one or several workers, each a runtime of its own on one thread.
//!
//! A worker's requests, its batch of orders and its connection to the broker live on one thread: nothing on an
//! order's way wakes another thread.

mod acceptor;
mod connection;
mod front;
mod worker;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use shared::catalogue::Catalogue;
use shared::order::OrderIdKeys;
use shared::time::SystemClock;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::gateway::Gateway;
use crate::instance::Instance;
use crate::layers::admission::RequestBudget;
use crate::limits::RequestLimits;
use crate::observer::{RequestLogSettings, RequestLogger};
use crate::publish::{OrderPublisher, WarmUpError};
use acceptor::Acceptor;
use worker::Worker;

pub use connection::serve_connection;
pub use front::Dispatch;

/// What the server needs, the publisher aside.
#[derive(Debug)]
pub struct ServerConfig {
    /// What is on sale.
    pub catalogue: Catalogue,
    /// Keys of order ids.
    pub order_id_keys: OrderIdKeys,
    /// How callers are told from strangers.
    pub gateway: Arc<Gateway>,
    /// Bounds on requests.
    pub limits: RequestLimits,
    /// Runtimes, each on a thread of its own.
    pub workers: NonZeroUsize,
    /// Most connections at once; those beyond are told so and closed.
    pub connections_max: NonZeroUsize,
    /// How long a start tries to reach the broker.
    pub start_timeout: Duration,
    /// How long a stop may take.
    pub grace: Duration,
    /// What is told of requests.
    pub observer: RequestLogSettings,
}

/// Why the service could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The broker could not be reached, or would not take this service's orders.
    #[error("{0}")]
    Start(#[from] WarmUpError),
    /// The server broke.
    #[error("HTTP: {0}")]
    Http(#[from] std::io::Error),
    /// A worker ended without a word.
    #[error("a worker broke down: {0}")]
    Worker(String),
}

/// Serves on `listener` until `shutdown` is cancelled, then finishes what is under way within the grace period.
/// `open` makes a worker's publisher and is called once for each, on its runtime. The first worker runs on the
/// caller's.
///
/// # Errors
/// [`RunError`] if the broker cannot be reached within the start time-out, or the server breaks.
pub async fn serve<P: OrderPublisher>(
    config: ServerConfig,
    listener: TcpListener,
    shutdown: CancellationToken,
    open: impl Fn() -> Result<P, WarmUpError> + Clone + Send + 'static,
) -> Result<(), RunError> {
    let ServerConfig { catalogue, order_id_keys, gateway, limits, workers, .. } = config;
    let admission = RequestBudget::new(limits.requests_max, limits.bytes_max);
    let instance = Instance::new(admission, workers).with_request_logger(RequestLogger::new(config.observer));
    let instance = Arc::new(instance);
    // Ends the workers for whatever reason: the signal, or a start that failed.
    let stop = shutdown.child_token();
    let mut running = JoinSet::new();
    let mut handles = Vec::new();
    for number in 0..workers.get() {
        let (channel, connections) = worker::channel();
        handles.push(channel);
        let worker = Worker {
            connections,
            stop: stop.clone(),
            start_timeout: config.start_timeout,
            grace: config.grace,
        };
        let (open, instance) = (open.clone(), instance.clone());
        let (catalogue, keys, gateway) = (catalogue.clone(), order_id_keys.clone(), gateway.clone());
        let run = async move {
            let app = App::for_worker(instance, gateway, catalogue, &keys, open()?, SystemClock, limits);
            worker.run(Arc::new(app)).await
        };
        match number {
            0 => running.spawn(async { run.await.map_err(RunError::Start) }),
            _ => running.spawn(worker::on_thread(number, run)),
        };
    }
    gateway.warn();
    tracing::info!(address = %listener.local_addr()?, workers = workers.get(), "taking orders");
    let first = tokio::select! {
        () = Acceptor::new(listener, handles, config.connections_max).run(&stop) => None,
        // Before it was told to: it could not be opened, or broke down. The others alone are no instance.
        ended = running.join_next() => ended,
    };
    instance.stop();
    stop.cancel();
    let mut all_ended = Vec::from_iter(first);
    while let Some(ended) = running.join_next().await {
        all_ended.push(ended);
    }
    let mut settled = true;
    let mut failure = None;
    for ended in all_ended {
        match ended.unwrap_or_else(|broken| Err(RunError::Worker(broken.to_string()))) {
            Ok(all) => settled &= all,
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    instance.observer.flush(None, instance.admission.requests_in_flight());
    tracing::info!(settled, "stopped");
    failure.map_or(Ok(()), Err)
}
