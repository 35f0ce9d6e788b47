//! The part of `apache.rocketmq.v2` that Spillway speaks, declared by hand.
//!
//! Messages and tags are those of apache/rocketmq-apis v2 (`definition.proto`, `service.proto`); fields that
//! nobody here reads are left out, which protobuf allows: unknown fields are skipped. Declaring them with
//! `prost` derives means that no machine that builds this crate needs `protoc`.

mod code;
mod definition;
mod service;
mod time;

pub use code::Code;
pub use definition::*;
pub use service::*;
pub use time::{duration, from_duration, from_timestamp, timestamp};

/// The full name of the gRPC service.
pub const SERVICE: &str = "apache.rocketmq.v2.MessagingService";

/// Request paths of the service's calls.
pub mod path {
    /// Which queues a topic has, and where.
    pub const QUERY_ROUTE: &str = "/apache.rocketmq.v2.MessagingService/QueryRoute";
    /// Keeps a consumer registered.
    pub const HEARTBEAT: &str = "/apache.rocketmq.v2.MessagingService/Heartbeat";
    /// Publishes messages.
    pub const SEND_MESSAGE: &str = "/apache.rocketmq.v2.MessagingService/SendMessage";
    /// Takes messages and hides them for a while (server stream).
    pub const RECEIVE_MESSAGE: &str = "/apache.rocketmq.v2.MessagingService/ReceiveMessage";
    /// Settles messages for good.
    pub const ACK_MESSAGE: &str = "/apache.rocketmq.v2.MessagingService/AckMessage";
    /// Changes how long a taken message stays hidden.
    pub const CHANGE_INVISIBLE_DURATION: &str =
        "/apache.rocketmq.v2.MessagingService/ChangeInvisibleDuration";
    /// Exchanges settings (bidirectional stream).
    pub const TELEMETRY: &str = "/apache.rocketmq.v2.MessagingService/Telemetry";
    /// Says that a client is going away.
    pub const NOTIFY_CLIENT_TERMINATION: &str =
        "/apache.rocketmq.v2.MessagingService/NotifyClientTermination";
}

/// Names of the request metadata the protocol defines.
pub mod header {
    /// Who calls; without it the server answers 40017.
    pub const CLIENT_ID: &str = "x-mq-client-id";
    /// The instant that the signature covers.
    pub const DATE_TIME: &str = "x-mq-date-time";
    /// The client's programming language.
    pub const LANGUAGE: &str = "x-mq-language";
    /// The client's version; servers choose newer status codes by it.
    pub const CLIENT_VERSION: &str = "x-mq-client-version";
    /// The protocol's version.
    pub const PROTOCOL: &str = "x-mq-protocol";
    /// An id for this call.
    pub const REQUEST_ID: &str = "x-mq-request-id";
    /// The instance's namespace.
    pub const NAMESPACE: &str = "x-mq-namespace";
    /// A temporary credential's token.
    pub const SESSION_TOKEN: &str = "x-mq-session-token";
    /// The signature.
    pub const AUTHORIZATION: &str = "authorization";
}
