//! What calls take and give (upstream: `service.proto`, and the settings of `definition.proto`).

use prost::{Message as ProstMessage, Oneof};
use prost_types::{Duration, Timestamp};

use super::definition::{
    ClientType, Endpoints, FilterExpression, Language, Message, MessageQueue, Resource, Status,
    SubscriptionEntry,
};

/// Asks for a topic's queues.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct QueryRouteRequest {
    /// The topic.
    #[prost(message, optional, tag = "1")]
    pub topic: Option<Resource>,
    /// The access point the client was given.
    #[prost(message, optional, tag = "2")]
    pub endpoints: Option<Endpoints>,
}

/// A topic's queues.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct QueryRouteResponse {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The queues.
    #[prost(message, repeated, tag = "2")]
    pub message_queues: Vec<MessageQueue>,
}

/// Publishes messages of one topic.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct SendMessageRequest {
    /// At least one.
    #[prost(message, repeated, tag = "1")]
    pub messages: Vec<Message>,
}

/// Outcome of one message, or of a whole batch.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct SendResultEntry {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The broker's id for it.
    #[prost(string, tag = "2")]
    pub message_id: String,
    /// Its transaction.
    #[prost(string, tag = "3")]
    pub transaction_id: String,
    /// Place on the queue.
    #[prost(int64, tag = "4")]
    pub offset: i64,
}

/// Outcome of a send.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct SendMessageResponse {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// One for a batch, whatever its length (Apache's proxy).
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<SendResultEntry>,
}

/// Takes messages.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct ReceiveMessageRequest {
    /// The consumer group.
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
    /// Which broker; Apache's proxy ignores the queue's number.
    #[prost(message, optional, tag = "2")]
    pub message_queue: Option<MessageQueue>,
    /// Which messages.
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
    /// How long the server may hold the call while there is nothing.
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

/// See [`ReceiveMessageResponse`].
#[derive(Clone, PartialEq, Oneof)]
pub enum ReceiveContent {
    /// Outcome.
    #[prost(message, tag = "1")]
    Status(Status),
    /// A message.
    #[prost(message, tag = "2")]
    Message(Box<Message>),
    /// When delivery began.
    #[prost(message, tag = "3")]
    DeliveryTimestamp(Timestamp),
}

/// One receipt to settle.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct AckMessageEntry {
    /// The message.
    #[prost(string, tag = "1")]
    pub message_id: String,
    /// Its latest receipt.
    #[prost(string, tag = "2")]
    pub receipt_handle: String,
}

/// Settles messages of one topic and group.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct AckMessageRequest {
    /// The group.
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
    /// The topic.
    #[prost(message, optional, tag = "2")]
    pub topic: Option<Resource>,
    /// The receipts.
    #[prost(message, repeated, tag = "3")]
    pub entries: Vec<AckMessageEntry>,
}

/// Outcome of one receipt.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct AckMessageResultEntry {
    /// The message.
    #[prost(string, tag = "1")]
    pub message_id: String,
    /// The receipt.
    #[prost(string, tag = "2")]
    pub receipt_handle: String,
    /// Outcome.
    #[prost(message, optional, tag = "3")]
    pub status: Option<Status>,
}

/// Outcome of an ack.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct AckMessageResponse {
    /// Of the call.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// Of each receipt.
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<AckMessageResultEntry>,
}

/// Hides a taken message for longer, or for less long.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct ChangeInvisibleDurationRequest {
    /// The group.
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
    /// The topic.
    #[prost(message, optional, tag = "2")]
    pub topic: Option<Resource>,
    /// The latest receipt; dead once this call succeeds.
    #[prost(string, tag = "3")]
    pub receipt_handle: String,
    /// From now.
    #[prost(message, optional, tag = "4")]
    pub invisible_duration: Option<Duration>,
    /// The message.
    #[prost(string, tag = "5")]
    pub message_id: String,
}

/// Outcome of a change.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct ChangeInvisibleDurationResponse {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The receipt that holds from now on.
    #[prost(string, tag = "2")]
    pub receipt_handle: String,
}

/// Keeps a client registered.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct HeartbeatRequest {
    /// Absent for a producer.
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
    /// See [`ClientType`].
    #[prost(enumeration = "ClientType", tag = "2")]
    pub client_type: i32,
}

/// Outcome of a heartbeat.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct HeartbeatResponse {
    /// Outcome.
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

/// Outcome of a farewell.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct NotifyClientTerminationResponse {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
}

/// How often a message may be delivered.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct RetryPolicy {
    /// The first delivery included.
    #[prost(int32, tag = "1")]
    pub max_attempts: i32,
}

/// Who the client is.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct UserAgent {
    /// See [`Language`].
    #[prost(enumeration = "Language", tag = "1")]
    pub language: i32,
    /// Version of this crate.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Operating system.
    #[prost(string, tag = "3")]
    pub platform: String,
    /// Host.
    #[prost(string, tag = "4")]
    pub hostname: String,
}

/// A producer's settings.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Publishing {
    /// Topics it will use.
    #[prost(message, repeated, tag = "1")]
    pub topics: Vec<Resource>,
    /// The server's limit, bytes.
    #[prost(int32, tag = "2")]
    pub max_body_size: i32,
    /// Whether the client is to check the topic's type.
    #[prost(bool, tag = "3")]
    pub validate_message_type: bool,
}

/// A consumer's settings.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Subscription {
    /// The group.
    #[prost(message, optional, tag = "1")]
    pub group: Option<Resource>,
    /// What it wants.
    #[prost(message, repeated, tag = "2")]
    pub subscriptions: Vec<SubscriptionEntry>,
    /// Said by the server: the group is ordered.
    #[prost(bool, optional, tag = "3")]
    pub fifo: Option<bool>,
    /// Said by the server.
    #[prost(int32, optional, tag = "4")]
    pub receive_batch_size: Option<i32>,
    /// Said by the server.
    #[prost(message, optional, tag = "5")]
    pub long_polling_timeout: Option<Duration>,
}

/// What client and server tell each other at the start of a session.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Settings {
    /// See [`ClientType`].
    #[prost(enumeration = "ClientType", optional, tag = "1")]
    pub client_type: Option<i32>,
    /// The access point the client was given.
    #[prost(message, optional, tag = "2")]
    pub access_point: Option<Endpoints>,
    /// Said by the server.
    #[prost(message, optional, tag = "3")]
    pub backoff_policy: Option<RetryPolicy>,
    /// The client's time-out for plain calls.
    #[prost(message, optional, tag = "4")]
    pub request_timeout: Option<Duration>,
    /// By the kind of client.
    #[prost(oneof = "PubSub", tags = "5, 6")]
    pub pub_sub: Option<PubSub>,
    /// Who the client is.
    #[prost(message, optional, tag = "7")]
    pub user_agent: Option<UserAgent>,
}

/// See [`Settings`].
#[derive(Clone, PartialEq, Oneof)]
pub enum PubSub {
    /// A producer's.
    #[prost(message, tag = "5")]
    Publishing(Publishing),
    /// A consumer's.
    #[prost(message, tag = "6")]
    Subscription(Subscription),
}

/// One item of a telemetry stream, either way.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct TelemetryCommand {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// Settings; other commands are not spoken here.
    #[prost(message, optional, tag = "2")]
    pub settings: Option<Settings>,
}
