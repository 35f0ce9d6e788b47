//! A received message.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::Instant;

use super::held::HeldReceipts;
use super::message_receipt::MessageReceipt;
use super::receipt::{Receipt, SettleError};
use super::settle::Settler;
use crate::body::{self, BodyFault};
use crate::protocol::{self, from_timestamp};
use crate::route::BrokerKey;
use crate::transport::Transport;

/// A message of a consumer group, hidden from the group's other members while this client holds it.
///
/// Settle it: [`Message::ack`] when its work is committed, [`Message::nack`] to have it redelivered. Dropping it nacks
/// it. Each redelivery uses one of the group's delivery attempts.
#[must_use = "dropping a message nacks it"]
pub struct Message {
    content: MessageContent,
    receipt: MessageReceipt,
}

/// The content of a message, from [`Message::into_parts`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageContent {
    /// Topic of the message.
    pub topic: String,
    /// Content of the message, decompressed. With a [`MessageContent::body_fault`], the bytes as they came.
    pub payload: Bytes,
    /// The reason why the payload is not what the producer sent; `None` for a sound message.
    pub body_fault: Option<BodyFault>,
    /// Keys, by which the broker's tools find the message.
    pub keys: Vec<String>,
    /// Tag, by which consumers can filter.
    pub tag: Option<String>,
    /// User properties.
    pub properties: HashMap<String, String>,
    /// Number of this delivery, from 1.
    pub delivery_attempt: u32,
    /// Number of the queue.
    pub queue_id: i32,
    /// Offset in the queue; -1 if the server did not send it.
    pub queue_offset: i64,
    /// Instant at which the producer created the message, by the producer's clock.
    pub born_at: Option<SystemTime>,
    /// Host of the producer, as the producer or the broker says; empty if neither does.
    pub born_host: String,
    /// Instant at which the broker stored the message, by the broker's clock.
    pub stored_at: Option<SystemTime>,
    /// Instant from which the broker delivers a delayed message, by the broker's clock.
    pub deliver_at: Option<SystemTime>,
    /// Message group, within which a FIFO topic keeps the order.
    pub group: Option<String>,
    /// Trace context of the producer, such as a W3C `traceparent`.
    pub trace_context: Option<String>,
}

pub(super) struct MessageOrigin<'a> {
    pub(super) topic: &'a str,
    pub(super) transport: Arc<Transport>,
    pub(super) broker: Arc<BrokerKey>,
    pub(super) hidden_until: Instant,
    /// Maximum bytes of a decompressed body.
    pub(super) body_bytes_max: usize,
}

impl Message {
    pub(super) fn new(
        message: protocol::Message,
        origin: MessageOrigin<'_>,
        held: &Arc<HeldReceipts>,
        settler: Arc<Settler>,
        release_delay: Duration,
    ) -> Self {
        let system = message.system_properties.unwrap_or_default();
        let decoded = body::decode(
            &message.body,
            system.body_encoding,
            system.body_digest.as_ref(),
            origin.body_bytes_max,
        );
        let (payload, body_fault) = match decoded {
            Ok(payload) => (payload, None),
            Err(fault) => (message.body, Some(fault)),
        };
        let receipt = Arc::new(Receipt::new(
            origin.topic.to_owned(),
            system.message_id,
            system.receipt_handle.unwrap_or_default(),
            origin.broker,
            origin.transport,
            origin.hidden_until,
        ));
        let content = MessageContent {
            topic: origin.topic.to_owned(),
            payload,
            body_fault,
            keys: system.keys,
            tag: system.tag,
            properties: message.user_properties,
            delivery_attempt: system
                .delivery_attempt
                .and_then(|attempt| u32::try_from(attempt).ok())
                .unwrap_or(1),
            queue_id: system.queue_id,
            queue_offset: system.queue_offset.unwrap_or(-1),
            born_at: system.born_timestamp.as_ref().and_then(from_timestamp),
            born_host: system.born_host,
            stored_at: system.store_timestamp.as_ref().and_then(from_timestamp),
            deliver_at: system.delivery_timestamp.as_ref().and_then(from_timestamp),
            group: system.message_group,
            trace_context: system.trace_context,
        };
        let place = held.hold(receipt.clone());
        Self { content, receipt: MessageReceipt::new(receipt, settler, release_delay, place) }
    }

    /// Separates the content from the receipt, for example to move the payload elsewhere and settle later.
    pub fn into_parts(self) -> (MessageContent, MessageReceipt) {
        (self.content, self.receipt)
    }

    /// Content of the message, decompressed. If [`Message::body_fault`] returns a fault, the bytes as they came.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.content.payload
    }

    /// The reason why the payload is not what the producer sent; `None` for a sound message.
    ///
    /// A redelivery helps against [`BodyFault::DigestMismatch`] only if the body was changed on its way.
    #[must_use]
    pub const fn body_fault(&self) -> Option<BodyFault> {
        self.content.body_fault
    }

    /// Topic of the message.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.content.topic
    }

    /// Id that the producer chose; equal for duplicates of one send.
    #[must_use]
    pub fn message_id(&self) -> &str {
        self.receipt.message_id()
    }

    /// Keys, by which the broker's tools find the message.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.content.keys
    }

    /// Tag, by which consumers can filter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.content.tag.as_deref()
    }

    /// Returns the user property `name`.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.content.properties.get(name).map(String::as_str)
    }

    /// All user properties.
    #[must_use]
    pub const fn properties(&self) -> &HashMap<String, String> {
        &self.content.properties
    }

    /// Message group, within which a FIFO topic keeps the order.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.content.group.as_deref()
    }

    /// Trace context of the producer, such as a W3C `traceparent`.
    #[must_use]
    pub fn trace_context(&self) -> Option<&str> {
        self.content.trace_context.as_deref()
    }

    /// Number of this delivery, from 1.
    #[must_use]
    pub const fn delivery_attempt(&self) -> u32 {
        self.content.delivery_attempt
    }

    /// Broker name, queue number and queue offset; -1 if the server did not send it.
    #[must_use]
    pub fn position(&self) -> (&str, i32, i64) {
        (self.receipt.broker_name(), self.content.queue_id, self.content.queue_offset)
    }

    /// Instant at which the producer created the message, by the producer's clock.
    #[must_use]
    pub const fn born_at(&self) -> Option<SystemTime> {
        self.content.born_at
    }

    /// Host of the producer, as the producer or the broker says; empty if neither does.
    #[must_use]
    pub fn born_host(&self) -> &str {
        &self.content.born_host
    }

    /// Instant from which the broker delivers a delayed message, by the broker's clock.
    #[must_use]
    pub const fn deliver_at(&self) -> Option<SystemTime> {
        self.content.deliver_at
    }

    /// Instant at which the broker stored the message, by the broker's clock.
    #[must_use]
    pub const fn stored_at(&self) -> Option<SystemTime> {
        self.content.stored_at
    }

    /// Instant at which the invisible duration expires, by this client's clock.
    #[must_use]
    pub fn hidden_until(&self) -> Instant {
        self.receipt.hidden_until()
    }

    /// Acks the message. Concurrent acks share calls, at most 64 receipts each.
    ///
    /// The call queues the ack, and the future waits for the broker's answer: dropping it does not cancel the ack. With
    /// 4096 acks of one topic and broker unanswered, the future waits for a place before; dropping it then nacks the
    /// message.
    ///
    /// # Errors
    /// [`SettleError`]: the broker redelivers the message.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn ack(self) -> impl Future<Output = Result<(), SettleError>> + Send + 'static {
        self.receipt.ack()
    }

    /// Nacks the message: the broker redelivers it after `delay`.
    ///
    /// The call queues the nack, and dropping the future does not cancel it, as with [`Message::ack`].
    ///
    /// # Errors
    /// [`SettleError`]: the broker redelivers it when its invisible duration expires.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn nack(self, delay: Duration) -> impl Future<Output = Result<(), SettleError>> + Send + 'static {
        self.receipt.nack(delay)
    }

    /// Extends the invisible duration to `duration` from now.
    ///
    /// # Errors
    /// [`SettleError`]: the previous invisible duration still applies.
    pub async fn extend(&mut self, duration: Duration) -> Result<(), SettleError> {
        self.receipt.extend(duration).await
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Message")
            .field("message_id", &self.message_id())
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for MessageContent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No body, no properties: they may hold personal data.
        formatter
            .debug_struct("MessageContent")
            .field("topic", &self.topic)
            .field("payload_bytes", &self.payload.len())
            .field("delivery_attempt", &self.delivery_attempt)
            .finish_non_exhaustive()
    }
}
