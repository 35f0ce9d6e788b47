#![doc = include_str!("../README.md")]

mod auth;
mod body;
mod call_statistics;
mod client;
mod config;
mod consumer;
mod context;
mod credentials;
mod endpoints;
mod error;
mod freeze_aware_instant;
mod ids;
mod message_filter;
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
#[cfg(feature = "tls")]
mod tls_config;
mod topic_type;
mod transport;

pub use body::BodyFault;
pub use call_statistics::{CallKind, CallStatistics, LatencyHistogram};
pub use config::{ClientConfig, ConsumerConfig, ProducerConfig, RetryConfig};
pub use consumer::{
    Message, MessageContent, MessageReceipt, OffsetsInitialized, SettleError, StreamConsumer,
};
pub use context::{ClientContext, DefaultContext, ErrorOrigin, Statistics};
pub use credentials::{Credentials, CredentialsProvider, CredentialsSource};
pub use endpoints::{Endpoint, EndpointSyntax, Endpoints};
pub use error::{ClientError, SendError};
pub use message_filter::MessageFilter;
pub use producer::{Delivery, DeliveryFuture, FutureProducer, FutureRecord, Undelivered};
pub use protocol::Code;
#[cfg(feature = "tls")]
pub use tls_config::TlsConfig;
pub use topic_type::TopicType;
