//! Requests and responses of the calls: `service.proto`, and the settings of `definition.proto`.

use prost::{Message as ProstMessage, Oneof};
use prost_types::{Duration, Timestamp};

use super::definition::{
    ClientType, Endpoints, FilterExpression, Language, Message, MessageQueue, Resource, Status,
    SubscriptionEntry,
};

#[derive(Clone, PartialEq, ProstMessage)]
pub struct QueryRouteRequest {
    #[prost(message, optional, tag = "1")]
    pub topic: Option<Resource>,
    /// The access point the client was given.
    #[prost(message, optional, tag = "2")]
    pub endpoints: Option<Endpoints>,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct QueryRouteResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(message, repeated, tag = "2")]
    pub message_queues: Vec<MessageQueue>,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct SendMessageRequest {
    #[prost(message, repeated, tag = "1")]
    pub messages: Vec<Message>,
}

/// Outcome of one message, or of a whole batch.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct SendResultEntry {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(string, tag = "2")]
    pub message_id: String,
    #[prost(string, tag = "3")]
    pub transaction_id: String,
    #[prost(int64, tag = "4")]
    pub offset: i64,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct SendMessageResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// One entry for a batch of any length (Apache's proxy).
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<SendResultEntry>,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct ReceiveMessageRequest {
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
    /// Which broker; Apache's proxy ignores the queue's number.
    #[prost(message, optional, tag = "2")]
    pub message_queue: Option<MessageQueue>,
    #[prost(message, optional, tag = "3")]
    pub filter_expression: Option<FilterExpression>,
    /// 1 to 32.
    #[prost(int32, tag = "4")]
    pub batch_size: i32,
    /// 10 s to 12 h.
    #[prost(message, optional, tag = "5")]
    pub invisible_duration: Option<Duration>,
    /// Lets the proxy extend what was taken.
    #[prost(bool, tag = "6")]
    pub auto_renew: bool,
    /// Maximum wait of the server for a message.
    #[prost(message, optional, tag = "7")]
    pub long_polling_timeout: Option<Duration>,
}

/// One item of a receive's stream.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct ReceiveMessageResponse {
    /// Status first, then messages, then when the delivery began.
    #[prost(oneof = "ReceiveContent", tags = "1, 2, 3")]
    pub content: Option<ReceiveContent>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum ReceiveContent {
    #[prost(message, tag = "1")]
    Status(Status),
    #[prost(message, tag = "2")]
    Message(Box<Message>),
    #[prost(message, tag = "3")]
    DeliveryTimestamp(Timestamp),
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct AckMessageEntry {
    #[prost(string, tag = "1")]
    pub message_id: String,
    #[prost(string, tag = "2")]
    pub receipt_handle: String,
}

/// Settles messages of one topic and group.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct AckMessageRequest {
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
    #[prost(message, optional, tag = "2")]
    pub topic: Option<Resource>,
    #[prost(message, repeated, tag = "3")]
    pub entries: Vec<AckMessageEntry>,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct AckMessageResultEntry {
    #[prost(string, tag = "1")]
    pub message_id: String,
    #[prost(string, tag = "2")]
    pub receipt_handle: String,
    #[prost(message, optional, tag = "3")]
    pub status: Option<Status>,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct AckMessageResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<AckMessageResultEntry>,
}

/// Hides a taken message for longer, or for less long.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct ChangeInvisibleDurationRequest {
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
    #[prost(message, optional, tag = "2")]
    pub topic: Option<Resource>,
    /// The latest receipt; dead once this call succeeds.
    #[prost(string, tag = "3")]
    pub receipt_handle: String,
    #[prost(message, optional, tag = "4")]
    pub invisible_duration: Option<Duration>,
    #[prost(string, tag = "5")]
    pub message_id: String,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct ChangeInvisibleDurationResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The receipt that holds from now on.
    #[prost(string, tag = "2")]
    pub receipt_handle: String,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct HeartbeatRequest {
    /// Absent for a producer.
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
    #[prost(enumeration = "ClientType", tag = "2")]
    pub client_type: i32,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct HeartbeatResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
}

/// Says that a client goes away.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct NotifyClientTerminationRequest {
    /// Absent for a producer.
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct NotifyClientTerminationResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
}

/// Attempts of a send, or deliveries of a message.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct RetryPolicy {
    /// The first attempt included.
    #[prost(int32, tag = "1")]
    pub max_attempts: i32,
    #[prost(oneof = "RetryStrategy", tags = "2, 3")]
    pub strategy: Option<RetryStrategy>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum RetryStrategy {
    #[prost(message, tag = "2")]
    Exponential(ExponentialBackoff),
    #[prost(message, tag = "3")]
    Customized(CustomizedBackoff),
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct ExponentialBackoff {
    #[prost(message, optional, tag = "1")]
    pub initial: Option<Duration>,
    #[prost(message, optional, tag = "2")]
    pub max: Option<Duration>,
    #[prost(float, tag = "3")]
    pub multiplier: f32,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct CustomizedBackoff {
    /// Delay after each attempt; the last one holds for all further attempts.
    #[prost(message, repeated, tag = "1")]
    pub next: Vec<Duration>,
}

/// The server's wish for the client's own metrics.
#[derive(Clone, Copy, PartialEq, Eq, ProstMessage)]
pub struct Metric {
    #[prost(bool, tag = "1")]
    pub on: bool,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct UserAgent {
    #[prost(enumeration = "Language", tag = "1")]
    pub language: i32,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(string, tag = "3")]
    pub platform: String,
    #[prost(string, tag = "4")]
    pub hostname: String,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct Publishing {
    #[prost(message, repeated, tag = "1")]
    pub topics: Vec<Resource>,
    #[prost(int32, tag = "2")]
    pub max_body_size: i32,
    /// True if the client should check the topic's message type.
    #[prost(bool, tag = "3")]
    pub validate_message_type: bool,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub struct Subscription {
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub subscriptions: Vec<SubscriptionEntry>,
    /// Said by the server: the group is ordered.
    #[prost(bool, optional, tag = "3")]
    pub fifo: Option<bool>,
    #[prost(int32, optional, tag = "4")]
    pub receive_batch_size: Option<i32>,
    #[prost(message, optional, tag = "5")]
    pub long_polling_timeout: Option<Duration>,
}

/// The settings that client and server exchange at the start of a session.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Settings {
    #[prost(enumeration = "ClientType", optional, tag = "1")]
    pub client_type: Option<i32>,
    /// The access point the client was given.
    #[prost(message, optional, tag = "2")]
    pub access_point: Option<Endpoints>,
    #[prost(message, optional, tag = "3")]
    pub backoff_policy: Option<RetryPolicy>,
    /// The client's time-out for plain calls.
    #[prost(message, optional, tag = "4")]
    pub request_timeout: Option<Duration>,
    #[prost(oneof = "PubSub", tags = "5, 6")]
    pub pub_sub: Option<PubSub>,
    #[prost(message, optional, tag = "7")]
    pub user_agent: Option<UserAgent>,
    #[prost(message, optional, tag = "8")]
    pub metric: Option<Metric>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum PubSub {
    #[prost(message, tag = "5")]
    Publishing(Publishing),
    #[prost(message, tag = "6")]
    Subscription(Subscription),
}

/// One item of a telemetry stream, either way.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct TelemetryCommand {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// Settings; other commands are not spoken here.
    #[prost(message, optional, tag = "2")]
    pub settings: Option<Settings>,
}
