//! A message to publish.

use std::collections::HashMap;
use std::time::SystemTime;

use bytes::Bytes;

use crate::topic_type::TopicType;

/// A message to publish, built as in rdkafka: `FutureRecord::to(topic).payload(bytes).key(id)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FutureRecord {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) tag: Option<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) properties: HashMap<String, String>,
    pub(crate) group: Option<String>,
    pub(crate) deliver_at: Option<SystemTime>,
    pub(crate) trace_context: Option<String>,
}

/// Maximum bytes of a message group (the proxy's limit).
const GROUP_BYTES_MAX: usize = 64;

/// Maximum user properties.
const PROPERTIES_MAX: usize = 128;

/// Maximum bytes of properties, keys and tag together (the proxy's limit).
const PROPERTY_BYTES_MAX: usize = 16 * 1024;

impl FutureRecord {
    /// Starts a message to `topic`, without a payload.
    #[must_use]
    pub fn to(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            payload: Bytes::new(),
            tag: None,
            keys: Vec::new(),
            properties: HashMap::new(),
            group: None,
            deliver_at: None,
            trace_context: None,
        }
    }

    /// Sets the payload; it must not be empty.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Sets the tag, by which consumers can filter; it must not contain `|`.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Adds a key, by which the broker's tools find the message.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds several keys.
    #[must_use]
    pub fn keys(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Sets a user property.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Sets the message group: a FIFO topic delivers the messages of one group in the order in which they were sent, one
    /// after the other. At most 64 bytes; excludes [`FutureRecord::deliver_at`].
    ///
    /// The order of sends is the caller's: it awaits each delivery before the next send of the same group.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Sets the instant from which a DELAY topic delivers the message, by the broker's clock. Apache's proxy accepts at
    /// most one day ahead by default, the managed service 40 days; a past instant delivers immediately.
    #[must_use]
    pub const fn deliver_at(mut self, instant: SystemTime) -> Self {
        self.deliver_at = Some(instant);
        self
    }

    /// Sets the trace context, such as a W3C `traceparent`, that [`crate::Message::trace_context`] returns.
    #[must_use]
    pub fn trace_context(mut self, context: impl Into<String>) -> Self {
        self.trace_context = Some(context.into());
        self
    }

    /// The type of topic that takes this message.
    pub(crate) const fn topic_type(&self) -> TopicType {
        match (&self.group, &self.deliver_at) {
            (Some(_), _) => TopicType::Fifo,
            (None, Some(_)) => TopicType::Delay,
            (None, None) => TopicType::Normal,
        }
    }

    /// Borrows the topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Borrows the payload.
    #[must_use]
    pub const fn payload_bytes(&self) -> &Bytes {
        &self.payload
    }

    /// Checks the bounds that the broker enforces, except that of the payload, before anything is sent.
    pub(crate) fn validate(&self) -> Result<(), &'static str> {
        let clean = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        let property_bytes =
            self.properties.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
                + self.keys.iter().map(|key| key.len() + 1).sum::<usize>()
                + self.tag.as_ref().map_or(0, String::len)
                + self.trace_context.as_ref().map_or(0, String::len);
        let fault = if self.payload.is_empty() {
            "the payload is empty"
        } else if self.tag.as_ref().is_some_and(|tag| !clean(tag) || tag.contains('|')) {
            "the tag is empty or has '|' or control characters"
        } else if self.keys.iter().any(|key| !clean(key) || key.contains(' ')) {
            "a key is empty or has spaces or control characters"
        } else if self.group.as_ref().is_some_and(|group| !clean(group) || group.len() > GROUP_BYTES_MAX) {
            "the message group is empty, longer than 64 bytes or has control characters"
        } else if self.group.is_some() && self.deliver_at.is_some() {
            "a message with a group cannot be delayed"
        } else if self.trace_context.as_ref().is_some_and(|context| !clean(context)) {
            "the trace context is empty or has control characters"
        } else if self.properties.len() > PROPERTIES_MAX {
            "more than 128 properties"
        } else if self.properties.iter().any(|(name, value)| !clean(name) || !clean(value)) {
            "a property is empty or has control characters"
        } else if property_bytes > PROPERTY_BYTES_MAX {
            "properties, keys and tag exceed 16 KiB"
        } else {
            return Ok(());
        };
        Err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_the_broker_would_reject_is_rejected_before_the_send() {
        let good = FutureRecord::to("orders").payload("x").key("a-1").tag("t").property("p", "v");
        let cases: [(FutureRecord, bool); 12] = [
            (good.clone(), true),
            (FutureRecord::to("orders"), false),
            (good.clone().tag("a|b"), false),
            (good.clone().tag(""), false),
            (good.clone().key("a b"), false),
            (good.clone().group("g".repeat(64)), true),
            (good.clone().group("g".repeat(65)), false),
            (good.clone().group("g").deliver_at(SystemTime::UNIX_EPOCH), false),
            (good.clone().trace_context(""), false),
            (good.clone().property("name", ""), false),
            (good.clone().property("name", "v".repeat(PROPERTY_BYTES_MAX)), false),
            ((0..200).fold(good, |record, number| record.property(format!("p{number}"), "v")), false),
        ];
        for (number, (record, valid)) in cases.iter().enumerate() {
            assert_eq!(record.validate().is_ok(), *valid, "case {number}");
        }
    }
}
