//! The part of `apache.rocketmq.v2` that the client and the embedded broker use, declared by hand.
//!
//! Messages and tags are those of apache/rocketmq-apis v2 (`definition.proto`, `service.proto`); unused
//! fields are left out, which protobuf allows: a reader skips unknown fields. With `prost` derives no build needs
//! `protoc`.

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
    pub const HEARTBEAT: &str = "/apache.rocketmq.v2.MessagingService/Heartbeat";
    pub const SEND_MESSAGE: &str = "/apache.rocketmq.v2.MessagingService/SendMessage";
    /// Takes messages and hides them for a while (server stream).
    pub const RECEIVE_MESSAGE: &str = "/apache.rocketmq.v2.MessagingService/ReceiveMessage";
    pub const ACK_MESSAGE: &str = "/apache.rocketmq.v2.MessagingService/AckMessage";
    /// Changes the invisible duration of a received message.
    pub const CHANGE_INVISIBLE_DURATION: &str =
        "/apache.rocketmq.v2.MessagingService/ChangeInvisibleDuration";
    pub const TELEMETRY: &str = "/apache.rocketmq.v2.MessagingService/Telemetry";
    /// Says that a client is going away.
    pub const NOTIFY_CLIENT_TERMINATION: &str =
        "/apache.rocketmq.v2.MessagingService/NotifyClientTermination";
}

/// Names of the request metadata the protocol defines.
pub mod header {
    /// Id of the client; without it the server returns 40017.
    pub const CLIENT_ID: &str = "x-mq-client-id";
    /// The instant that the signature covers.
    pub const DATE_TIME: &str = "x-mq-date-time";
    pub const LANGUAGE: &str = "x-mq-language";
    /// The client's version; servers choose newer status codes by it.
    pub const CLIENT_VERSION: &str = "x-mq-client-version";
    pub const PROTOCOL: &str = "x-mq-protocol";
    pub const REQUEST_ID: &str = "x-mq-request-id";
    pub const NAMESPACE: &str = "x-mq-namespace";
    pub const SESSION_TOKEN: &str = "x-mq-session-token";
    pub const AUTHORIZATION: &str = "authorization";
}
