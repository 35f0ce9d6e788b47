//! Messages of `apache.rocketmq.v2`. The upstream `.proto` files hold the full comments.

use std::collections::HashMap;

use prost::{Enumeration, Message as ProstMessage, Oneof};
use prost_types::{Duration, Timestamp};

/// How an address is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum AddressScheme {
    /// Not said.
    Unspecified = 0,
    /// A numeric IPv4 address.
    Ipv4 = 1,
    /// A numeric IPv6 address.
    Ipv6 = 2,
    /// A name to resolve.
    DomainName = 3,
}

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum ClientType {
    /// Not said.
    Unspecified = 0,
    /// Publishes.
    Producer = 1,
    /// The broker assigns queues to it.
    PushConsumer = 2,
    /// Asks for messages and settles each by its receipt.
    SimpleConsumer = 3,
}

/// What may be done with a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Permission {
    /// Not said.
    Unspecified = 0,
    /// Nothing.
    None = 1,
    /// Receive only.
    Read = 2,
    /// Send only.
    Write = 3,
    /// Both.
    ReadWrite = 4,
}

/// The kind of message a topic takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum MessageType {
    /// Not said.
    Unspecified = 0,
    /// No order, no delay.
    Normal = 1,
    /// Ordered within a message group.
    Fifo = 2,
    /// Delivered at a set time.
    Delay = 3,
    /// Delivered once its transaction commits.
    Transaction = 4,
}

/// How a filter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum FilterType {
    /// Not said.
    Unspecified = 0,
    /// By tag; `*` takes all.
    Tag = 1,
    /// SQL-92 over properties.
    Sql = 2,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Encoding {
    /// Not said.
    Unspecified = 0,
    /// As it is.
    Identity = 1,
    /// Compressed.
    Gzip = 2,
}

/// The client's programming language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Language {
    /// Not said.
    Unspecified = 0,
    /// Rust.
    Rust = 5,
}

/// Outcome of a call or of one entry.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Status {
    /// See [`super::Code`].
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// A named thing (topic, group) within a namespace.
#[derive(Clone, PartialEq, Eq, Hash, ProstMessage)]
pub struct Resource {
    /// The instance's namespace, often empty.
    #[prost(string, tag = "1")]
    pub resource_namespace: String,
    /// The name.
    #[prost(string, tag = "2")]
    pub name: String,
}

/// Host and port.
#[derive(Clone, PartialEq, Eq, Hash, ProstMessage)]
pub struct Address {
    /// Name or number.
    #[prost(string, tag = "1")]
    pub host: String,
    /// TCP port.
    #[prost(int32, tag = "2")]
    pub port: i32,
}

/// Where a server is reached.
#[derive(Clone, PartialEq, Eq, Hash, ProstMessage)]
pub struct Endpoints {
    /// See [`AddressScheme`].
    #[prost(enumeration = "AddressScheme", tag = "1")]
    pub scheme: i32,
    /// At least one.
    #[prost(message, repeated, tag = "2")]
    pub addresses: Vec<Address>,
}

/// A broker in a route.
#[derive(Clone, PartialEq, Eq, Hash, ProstMessage)]
pub struct Broker {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// 0 leads.
    #[prost(int32, tag = "2")]
    pub id: i32,
    /// Where it is reached.
    #[prost(message, optional, tag = "3")]
    pub endpoints: Option<Endpoints>,
}

/// A queue of a topic.
#[derive(Clone, PartialEq, Eq, Hash, ProstMessage)]
pub struct MessageQueue {
    /// The topic.
    #[prost(message, optional, tag = "1")]
    pub topic: Option<Resource>,
    /// Number within the broker.
    #[prost(int32, tag = "2")]
    pub id: i32,
    /// See [`Permission`].
    #[prost(enumeration = "Permission", tag = "3")]
    pub permission: i32,
    /// Its broker.
    #[prost(message, optional, tag = "4")]
    pub broker: Option<Broker>,
    /// See [`MessageType`].
    #[prost(enumeration = "MessageType", repeated, tag = "5")]
    pub accept_message_types: Vec<i32>,
}

/// Which messages of a topic are wanted.
#[derive(Clone, PartialEq, Eq, Hash, ProstMessage)]
pub struct FilterExpression {
    /// See [`FilterType`].
    #[prost(enumeration = "FilterType", tag = "1")]
    pub r#type: i32,
    /// The expression.
    #[prost(string, tag = "2")]
    pub expression: String,
}

/// A topic and its filter.
#[derive(Clone, PartialEq, Eq, Hash, ProstMessage)]
pub struct SubscriptionEntry {
    /// The topic.
    #[prost(message, optional, tag = "1")]
    pub topic: Option<Resource>,
    /// The filter.
    #[prost(message, optional, tag = "2")]
    pub expression: Option<FilterExpression>,
}

/// What the system keeps beside a body.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct SystemProperties {
    /// Tag to filter by.
    #[prost(string, optional, tag = "1")]
    pub tag: Option<String>,
    /// Keys that the broker's tools find a message by.
    #[prost(string, repeated, tag = "2")]
    pub keys: Vec<String>,
    /// Chosen by the client, unique, required.
    #[prost(string, tag = "3")]
    pub message_id: String,
    /// See [`Encoding`].
    #[prost(enumeration = "Encoding", tag = "5")]
    pub body_encoding: i32,
    /// See [`MessageType`].
    #[prost(enumeration = "MessageType", tag = "6")]
    pub message_type: i32,
    /// When the client made it.
    #[prost(message, optional, tag = "7")]
    pub born_timestamp: Option<Timestamp>,
    /// Where the client made it.
    #[prost(string, tag = "8")]
    pub born_host: String,
    /// When the broker stored it.
    #[prost(message, optional, tag = "9")]
    pub store_timestamp: Option<Timestamp>,
    /// When to deliver it.
    #[prost(message, optional, tag = "11")]
    pub delivery_timestamp: Option<Timestamp>,
    /// What settles this delivery.
    #[prost(string, optional, tag = "12")]
    pub receipt_handle: Option<String>,
    /// The queue it lies on.
    #[prost(int32, tag = "13")]
    pub queue_id: i32,
    /// Its place on the queue.
    #[prost(int64, optional, tag = "14")]
    pub queue_offset: Option<i64>,
    /// How long this delivery hides it.
    #[prost(message, optional, tag = "15")]
    pub invisible_duration: Option<Duration>,
    /// 1 at the first delivery.
    #[prost(int32, optional, tag = "16")]
    pub delivery_attempt: Option<i32>,
    /// Messages of one group keep their order (FIFO topics).
    #[prost(string, optional, tag = "17")]
    pub message_group: Option<String>,
    /// Trace context.
    #[prost(string, optional, tag = "18")]
    pub trace_context: Option<String>,
}

/// A message.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Message {
    /// The topic.
    #[prost(message, optional, tag = "1")]
    pub topic: Option<Resource>,
    /// At most 128 pairs, 16 KiB in all with keys and tag.
    #[prost(map = "string, string", tag = "2")]
    pub user_properties: HashMap<String, String>,
    /// See [`SystemProperties`].
    #[prost(message, optional, tag = "3")]
    pub system_properties: Option<SystemProperties>,
    /// At most 4 MiB, not empty.
    #[prost(bytes = "bytes", tag = "4")]
    pub body: bytes::Bytes,
}

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
