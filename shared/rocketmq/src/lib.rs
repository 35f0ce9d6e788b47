#![doc = include_str!("../README.md")]

mod auth;
mod body;
mod client;
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
mod topic_type;
mod transport;

pub use body::BodyFault;
pub use config::{
    ClientConfig, ConsumerConfig, Credentials, Endpoint, EndpointSyntax, ProducerConfig, RetryConfig, Tls,
};
pub use consumer::{
    Message, MessageContent, MessageReceipt, OffsetsInitialized, SettleError, StreamConsumer,
};
pub use context::{ClientContext, DefaultContext, Statistics};
pub use error::{ClientError, SendError};
pub use producer::{Delivery, DeliveryFuture, FutureProducer, FutureRecord, Undelivered};
pub use protocol::Code;
pub use topic_type::TopicType;
