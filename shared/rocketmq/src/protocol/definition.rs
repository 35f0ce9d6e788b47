//! What calls are about (upstream: `definition.proto`, which holds the full comments).

use std::collections::HashMap;

use prost::{Enumeration, Message as ProstMessage};
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
