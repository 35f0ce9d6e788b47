#![doc = include_str!("../README.md")]

pub mod app;
pub mod cli;
pub mod config;
pub mod error;
pub mod event;
pub mod gateway;
pub mod handlers;
pub mod instance;
pub mod layers;
pub mod limits;
pub mod metrics;
pub mod observer;
pub mod openapi;
pub mod publish;
pub mod request;
pub mod request_context;
pub mod router;
pub mod server;
pub mod summary;

use std::num::NonZeroUsize;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use config::Settings;
use publish::{Coalescer, RocketmqSink, WarmUpError};
use server::{RunError, serve};

/// Serves on `listener` and publishes to RocketMQ until `shutdown` is cancelled, then finishes what is under way within
/// the grace period.
///
/// # Errors
/// [`RunError`] if the broker cannot be reached at start, or the server breaks.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    metrics::describe();
    let Settings { server, client, mut producer, topic, batch, .. } = settings;
    // The bounds are the instance's; each worker has its share.
    let share = |whole: NonZeroUsize| {
        NonZeroUsize::new(whole.get().div_ceil(server.workers.get())).unwrap_or(NonZeroUsize::MIN)
    };
    producer.queue_messages_max = share(producer.queue_messages_max);
    producer.in_flight_max = share(producer.in_flight_max);
    producer.queue_bytes_max = share(producer.queue_bytes_max);
    let open = move || {
        let sink = RocketmqSink::new(client.clone(), producer.clone(), topic.clone());
        let sink = sink.map_err(|error| WarmUpError { reason: error.to_string(), retryable: false })?;
        Ok(Coalescer::new(sink, batch))
    };
    serve(server, listener, shutdown, open).await
}
