//! A message on its way out.

use std::collections::HashMap;

use bytes::Bytes;

/// A message to publish, built in the manner of rdkafka: `FutureRecord::to(topic).body(bytes).key(id)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FutureRecord {
    pub(crate) topic: String,
    pub(crate) body: Bytes,
    pub(crate) tag: Option<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) properties: HashMap<String, String>,
}

/// Most user properties.
const PROPERTIES_MAX: usize = 128;

/// Most bytes of properties, keys and tag together (the proxy's limit).
const PROPERTY_BYTES_MAX: usize = 16 * 1024;

impl FutureRecord {
    /// A message to `topic`, without a body yet.
    #[must_use]
    pub fn to(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            body: Bytes::new(),
            tag: None,
            keys: Vec::new(),
            properties: HashMap::new(),
        }
    }

    /// The content; not empty.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// A tag that consumers may filter by; without `|`.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Adds a key that the broker's tools find the message by.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds keys.
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

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The content.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.body
    }

    /// Finds here what the broker would refuse, before anything is sent.
    pub(crate) fn fault(&self, body_bytes_max: usize) -> Option<&'static str> {
        let clean = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        let property_bytes =
            self.properties.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
                + self.keys.iter().map(|key| key.len() + 1).sum::<usize>()
                + self.tag.as_ref().map_or(0, String::len);
        if self.body.is_empty() {
            Some("its body is empty")
        } else if self.body.len() > body_bytes_max {
            Some("its body is too large")
        } else if self.tag.as_ref().is_some_and(|tag| !clean(tag) || tag.contains('|')) {
            Some("its tag is empty or holds '|' or control characters")
        } else if self.keys.iter().any(|key| !clean(key) || key.contains(' ')) {
            Some("a key is empty or holds spaces or control characters")
        } else if self.properties.len() > PROPERTIES_MAX {
            Some("it has more than 128 properties")
        } else if self.properties.iter().any(|(name, value)| !clean(name) || !clean(value)) {
            Some("a property is empty or holds control characters")
        } else if property_bytes > PROPERTY_BYTES_MAX {
            Some("its properties, keys and tag exceed 16 KiB")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_would_refuse_is_found_before_sending() {
        let good = FutureRecord::to("orders").body("x").key("a-1").tag("t").property("p", "v");
        let cases: [(FutureRecord, bool); 9] = [
            (good.clone(), true),
            (FutureRecord::to("orders"), false),
            (good.clone().body(vec![0; 11]), false),
            (good.clone().tag("a|b"), false),
            (good.clone().tag(""), false),
            (good.clone().key("a b"), false),
            (good.clone().property("name", ""), false),
            (good.clone().property("name", "v".repeat(PROPERTY_BYTES_MAX)), false),
            ((0..200).fold(good, |record, number| record.property(format!("p{number}"), "v")), false),
        ];
        for (number, (record, valid)) in cases.iter().enumerate() {
            assert_eq!(record.fault(10).is_none(), *valid, "case {number}");
        }
    }
}
