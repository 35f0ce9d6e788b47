//! The HTTP server: one listener, and one or several workers, each with a runtime on its own thread.
//!
//! A worker's requests, its batch of orders and its connection to the broker live on one thread: no step of an order
//! wakes another thread.

mod dispatcher;
mod unread_body;
mod worker;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use shared::time::SystemClock;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::current_sales::CurrentSales;
use crate::gateway::Gateway;
use crate::instance::Instance;
use crate::limits::{RequestBudget, RequestLimits};
use crate::publish::{OrderPublisher, WarmUpError};
use crate::request_logger::{RequestLogSettings, RequestLogger};
use dispatcher::ConnectionDispatcher;
use worker::HttpWorker;

/// Settings of the server, the publisher's not included.
#[derive(Debug)]
pub struct ServerConfig {
    pub sales: Arc<CurrentSales>,
    pub gateway: Arc<Gateway>,
    pub limits: RequestLimits,
    /// Runtimes, each on its own thread.
    pub workers: NonZeroUsize,
    /// Open connections; further ones serve one probe, or get 503, and are closed.
    pub connections_max: NonZeroUsize,
    /// Time from the first byte of a request's head to its end.
    pub head_timeout: Duration,
    /// Time that a start retries to reach the broker.
    pub start_timeout: Duration,
    /// Time that a stop waits for requests and messages in flight.
    pub grace: Duration,
    pub request_log: RequestLogSettings,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The broker cannot be reached, or has no such topic.
    #[error("{0}")]
    Start(#[from] WarmUpError),
    #[error("HTTP: {0}")]
    Http(#[from] std::io::Error),
    #[error("worker failed: {0}")]
    Worker(String),
}

/// Serves on `listener` until `shutdown` is cancelled, then finishes the requests in flight within the grace period.
/// Calls `open` once on each worker's runtime for the worker's publisher. The first worker runs on the caller's
/// runtime.
///
/// # Errors
/// [`RunError`] if the broker cannot be reached within the start timeout, or the server fails. All workers have ended
/// by then.
pub async fn serve<P: OrderPublisher>(
    config: ServerConfig,
    listener: TcpListener,
    shutdown: CancellationToken,
    open: impl Fn() -> Result<P, WarmUpError> + Clone + Send + 'static,
) -> Result<(), RunError> {
    let ServerConfig { sales, gateway, limits, workers, .. } = config;
    let budget = RequestBudget::new(limits.requests_max, limits.bytes_max);
    let instance = Arc::new(Instance::new(budget, RequestLogger::new(config.request_log), workers));
    // Cancelled by the signal, or by a start that failed.
    let stop = shutdown.child_token();
    let mut running = JoinSet::new();
    let mut handles = Vec::new();
    for number in 0..workers.get() {
        let (handle, connections) = worker::channel();
        handles.push(handle);
        let worker = HttpWorker {
            connections,
            stop: stop.clone(),
            start_timeout: config.start_timeout,
            head_timeout: config.head_timeout,
            grace: config.grace,
        };
        let (open, instance) = (open.clone(), instance.clone());
        let (gateway, sales) = (gateway.clone(), sales.clone());
        let run = async move {
            let app = App { instance, gateway, sales, publisher: open()?, clock: SystemClock, limits };
            worker.run(Arc::new(app)).await
        };
        match number {
            0 => running.spawn(async { run.await.map_err(RunError::Start) }),
            _ => running.spawn(worker::on_thread(number, run)),
        };
    }
    gateway.warn();
    let address = listener.local_addr()?;
    tracing::info!(event = "listening", %address, workers = workers.get(), "accepting orders");
    let first = tokio::select! {
        () = ConnectionDispatcher::new(listener, handles, config.connections_max).run(&stop) => None,
        // A worker that ends before the stop has failed; the instance does not run on without it.
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
    instance.logger.flush(None, instance.budget.requests_in_flight());
    tracing::info!(event = "stopped", settled, "stopped");
    failure.map_or(Ok(()), Err)
}
