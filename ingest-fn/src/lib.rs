#![doc = include_str!("../README.md")]

pub mod app;
pub mod cli;
pub mod config;
pub mod error;
pub mod handlers;
pub mod layers;
pub mod metrics;
pub mod openapi;
pub mod publish;
pub mod request;
pub mod router;
pub mod summary;

use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use shared::rocketmq::{ClientError, DefaultContext, FutureProducer};
use shared::time::SystemClock;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use app::{App, RequestLimits};
use config::Settings;
use publish::{Coalescer, RocketmqSink};

/// Why the service could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The broker could not be reached, or would not take this service's orders.
    #[error("RocketMQ at {endpoint}: {error}")]
    Broker {
        /// The access point.
        endpoint: String,
        /// Why.
        error: ClientError,
    },
    /// The server broke.
    #[error("HTTP: {0}")]
    Http(#[from] std::io::Error),
}

/// How long a start waits for the broker before it gives up.
const BROKER_WAIT: Duration = Duration::from_secs(20);

/// Serves on `listener` until `shutdown` is cancelled, then finishes what is under way within the grace period.
///
/// # Errors
/// [`RunError`] if the broker cannot be reached at start, or the server breaks.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    shared::telemetry::metrics();
    metrics::describe();
    serve(settings, listener, shutdown).await
}

async fn serve(
    settings: Settings,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let endpoint = settings.client.endpoint.to_string();
    let broker = |error| RunError::Broker { endpoint: endpoint.clone(), error };
    let producer = FutureProducer::new(settings.client, settings.producer, DefaultContext).map_err(broker)?;
    match shutdown.run_until_cancelled(warm_up(&producer)).await {
        Some(result) => result.map_err(broker)?,
        None => return Ok(()),
    }
    let publisher = Coalescer::new(RocketmqSink::new(producer.clone(), settings.topic), settings.batch);
    let limits = RequestLimits {
        requests_max: settings.requests_max,
        body_timeout: settings.body_timeout,
        drain_timeout: settings.grace,
    };
    let app = Arc::new(App::new(settings.catalogue, &settings.order_id_keys, publisher, SystemClock, limits));
    tracing::info!(address = %listener.local_addr()?, broker = %endpoint, "taking orders");
    // Without this an answer may wait for the client's delayed acknowledgement of the one before.
    let listener = listener.tap_io(|stream| {
        let _left_as_it_is = stream.set_nodelay(true);
    });
    let (stopping, stop) = (app.clone(), shutdown.clone());
    let server = axum::serve(listener, router::router(app)).with_graceful_shutdown(async move {
        stop.cancelled().await;
        stopping.stop();
    });
    let mut server = server.into_future();
    // It may also notice the shutdown first and have nothing to finish.
    let mut ended = shutdown.run_until_cancelled(&mut server).await;
    let deadline = Instant::now() + settings.grace;
    if ended.is_none() {
        ended = timeout_at(deadline, server).await.ok();
    }
    match ended {
        Some(result) => result?,
        None => tracing::warn!("the grace period is over; connections are cut"),
    }
    let settled = producer.close(deadline.saturating_duration_since(Instant::now())).await;
    tracing::info!(settled, "stopped");
    Ok(())
}

/// Reaches the broker before the first request, trying again while it may still be starting.
async fn warm_up(producer: &FutureProducer) -> Result<(), ClientError> {
    let deadline = Instant::now() + BROKER_WAIT;
    loop {
        match producer.warm_up().await {
            Err(error) if error.is_retryable() && Instant::now() < deadline => {
                tracing::warn!(%error, "waiting for the broker");
                sleep(Duration::from_millis(250)).await;
            }
            result => return result,
        }
    }
}
