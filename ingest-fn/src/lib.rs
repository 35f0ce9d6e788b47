#![doc = include_str!("../README.md")]
//!
//! # From a request to a published order
//!
//! 1. [`cli`] parses [`config::Config`] into [`config::Settings`]; [`run`] opens a [`publish::Coalescer`] per worker.
//! 2. [`server::serve`] accepts a connection and sends it to the worker that has the fewest.
//! 3. [`router::Dispatch`] routes `POST /v1/orders` to the orders service, every other request to the [`axum::Router`].
//! 4. `Observe` assigns a request id; `LoadShed` acquires a permit of the [`limits::RequestBudget`] or answers 429.
//! 5. [`orders`] checks the head, reads the body, and asks [`gateway::Gateway`] for signature and [`gateway::Buyer`].
//! 6. [`request::OrderRequest`] is parsed into [`shared::order::Order`], or into all of its problems.
//! 7. [`sales::Sales`] prices it into [`shared::order::AcceptedOrder`], encoded as [`shared::envelope::EncodedOrder`].
//! 8. [`publish::OrderPublisher`] coalesces orders into one message and waits for the broker's acknowledgement.
//! 9. [`orders::Accepted`] is the 202; every other end is an [`error::ApiError`] with its [`error::ErrorCode`].
#![allow(missing_docs, reason = "a binary's crate: names state what they can, docs state the rest")]

pub mod accepted_orders;
pub mod app;
mod body;
pub mod cli;
pub mod config;
pub mod current_sales;
pub mod error;
pub mod event;
pub mod gateway;
mod health;
pub mod instance;
pub mod invoke;
pub mod layers;
mod lifecycle;
pub mod limits;
mod log_budgets;
mod metrics;
pub mod openapi;
pub mod orders;
pub mod publish;
pub mod request;
mod request_context;
pub mod request_logger;
pub mod router;
pub mod sales;
pub mod server;

use std::num::NonZeroUsize;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use config::Settings;
use publish::{Coalescer, RocketmqSink, WarmUpError};
use server::{RunError, serve};

/// Serves on `listener` and publishes to RocketMQ until `shutdown` is cancelled, then finishes the requests in flight
/// within the grace period.
///
/// # Errors
/// [`RunError`] if the broker cannot be reached within the start timeout, or the server fails.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    metrics::describe();
    let Settings { server, client, mut producer, topic, batch, .. } = settings;
    // The bounds are the instance's; each worker gets an equal part.
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
