//! A received message: content, and the duty to settle it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::Instant;

use super::Inner;
use super::lease::{Lease, SettleError};
use super::settle::Settler;
use crate::protocol::{self, from_timestamp};
use crate::transport::Transport;

/// A message of a consumer group, hidden from the group's other members for as long as this client holds it.
///
/// It must be settled: [`Message::ack`] when its work is done for good, [`Message::nack`] to have it delivered
/// again. Dropping it unsettled gives it back, as a nack does; each further delivery burns one of the broker's attempts.
#[must_use = "a message that is dropped is delivered again"]
pub struct Message {
    topic: String,
    broker: String,
    body: Bytes,
    keys: Vec<String>,
    tag: Option<String>,
    properties: HashMap<String, String>,
    delivery_attempt: u32,
    queue_id: i32,
    queue_offset: i64,
    born_at: Option<SystemTime>,
    stored_at: Option<SystemTime>,
    lease: Arc<Lease>,
    // Not the consumer: it holds messages in its buffer, and a circle would keep both alive for ever.
    settler: Arc<Settler>,
    release_delay: Duration,
}

pub(super) struct MessageOrigin {
    pub(super) topic: String,
    pub(super) transport: Arc<Transport>,
    pub(super) broker: String,
    pub(super) hidden_until: Instant,
}

impl Message {
    pub(super) fn new(message: protocol::Message, origin: MessageOrigin, consumer: &Arc<Inner>) -> Self {
        let system = message.system_properties.unwrap_or_default();
        let lease = Arc::new(Lease::new(
            origin.topic.clone(),
            system.message_id,
            system.receipt_handle.unwrap_or_default(),
            origin.transport,
            origin.hidden_until,
        ));
        consumer.keeper.watch(&lease);
        Self {
            topic: origin.topic,
            broker: origin.broker,
            body: message.body,
            keys: system.keys,
            tag: system.tag,
            properties: message.user_properties,
            delivery_attempt: system
                .delivery_attempt
                .and_then(|attempt| u32::try_from(attempt).ok())
                .unwrap_or(1),
            queue_id: system.queue_id,
            queue_offset: system.queue_offset.unwrap_or(-1),
            born_at: system.born_timestamp.as_ref().map(from_timestamp),
            stored_at: system.store_timestamp.as_ref().map(from_timestamp),
            lease,
            settler: consumer.settler.clone(),
            release_delay: consumer.config.release_delay,
        }
    }

    /// The content.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The id it was sent under.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.lease.message_id
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Its tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// A user property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// 1 at the first delivery.
    #[must_use]
    pub const fn delivery_attempt(&self) -> u32 {
        self.delivery_attempt
    }

    /// Broker, queue number and place on it; -1 where the server did not say.
    #[must_use]
    pub fn position(&self) -> (&str, i32, i64) {
        (&self.broker, self.queue_id, self.queue_offset)
    }

    /// When the producer made it, by the producer's clock.
    #[must_use]
    pub const fn born_at(&self) -> Option<SystemTime> {
        self.born_at
    }

    /// When the broker stored it, by the broker's clock.
    #[must_use]
    pub const fn stored_at(&self) -> Option<SystemTime> {
        self.stored_at
    }

    /// Until when others do not see it, by this client's clock.
    #[must_use]
    pub fn hidden_until(&self) -> Instant {
        self.lease.hidden_until()
    }

    /// Settles the message for good. Acks of many messages travel together.
    ///
    /// # Errors
    /// [`SettleError`]: the message will be delivered again.
    pub async fn ack(self) -> Result<(), SettleError> {
        self.lease.settle();
        self.settler.ack(self.lease.clone()).await
    }

    /// Gives the message back, to be delivered again after `delay`.
    ///
    /// # Errors
    /// [`SettleError`]: it is delivered again once its invisibility lapses.
    pub async fn nack(self, delay: Duration) -> Result<(), SettleError> {
        self.lease.settle();
        self.settler.nack(self.lease.clone(), delay).await
    }

    /// Keeps the message hidden for `duration` from now.
    ///
    /// # Errors
    /// [`SettleError`]: it stays hidden for as long as it already was.
    pub async fn extend(&mut self, duration: Duration) -> Result<(), SettleError> {
        self.settler.wire().extend(&self.lease, duration).await
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if self.lease.settle() {
            self.settler.release(self.lease.clone(), self.release_delay);
        }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No body, no properties: they may hold personal data.
        formatter
            .debug_struct("Message")
            .field("topic", &self.topic)
            .field("message_id", &self.lease.message_id)
            .field("body_bytes", &self.body.len())
            .field("delivery_attempt", &self.delivery_attempt)
            .finish_non_exhaustive()
    }
}
