#![doc = include_str!("../README.md")]

mod auth;
mod body;
mod config;
mod consumer;
mod context;
mod error;
mod freeze_aware_instant;
mod ids;
mod producer;
#[cfg(feature = "protocol")]
#[doc(hidden)]
pub mod protocol;
#[cfg(not(feature = "protocol"))]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the server's half is for the feature `protocol`"
)]
mod protocol;
mod retry;
mod route;
mod session;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use body::BodyFault;
pub use config::{
    ClientConfig, ConsumerConfig, Credentials, Endpoint, EndpointSyntax, ProducerConfig, RetryConfig, Tls,
};
pub use consumer::{Message, OffsetsInitialized, SettleError, StreamConsumer};
pub use context::{ClientContext, DefaultContext, Statistics};
pub use error::{ClientError, SendError};
pub use producer::{Delivery, DeliveryFuture, FutureProducer, FutureRecord, Undelivered};
pub use protocol::Code;

/// The settings that a client sends to the server.
fn settings(
    config: &ClientConfig,
    kind: protocol::ClientType,
    pub_sub: protocol::PubSub,
) -> protocol::Settings {
    protocol::Settings {
        client_type: Some(kind.into()),
        access_point: Some(config.endpoint.to_protocol()),
        backoff_policy: None,
        request_timeout: Some(protocol::duration(config.request_timeout)),
        pub_sub: Some(pub_sub),
        user_agent: Some(protocol::UserAgent {
            language: protocol::Language::Rust.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            platform: std::env::consts::OS.to_owned(),
            hostname: String::new(),
        }),
        metric: None,
    }
}

/// Calls [`ClientContext::stats`] at every `interval` until `closed`.
fn report_statistics(
    interval: Duration,
    closed: &CancellationToken,
    counters: &Arc<context::Counters>,
    context: &Arc<dyn ClientContext>,
) {
    let (closed, counters, context) = (closed.clone(), counters.clone(), context.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.tick().await;
        while closed.run_until_cancelled(ticks.tick()).await.is_some() {
            context.stats(&counters.snapshot());
        }
    });
}
