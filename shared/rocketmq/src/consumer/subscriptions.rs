//! The topics that a consumer receives from, each with a filter.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::error::ClientError;
use crate::message_filter::MessageFilter;

/// The subscriptions of a consumer, which change while it runs.
#[derive(Debug)]
pub(super) struct Subscriptions {
    by_topic: RwLock<BTreeMap<String, MessageFilter>>,
}

impl Subscriptions {
    pub(super) fn new(topics: &[String], filter: &MessageFilter) -> Self {
        let by_topic = topics.iter().map(|topic| (topic.clone(), filter.clone()));
        Self { by_topic: RwLock::new(by_topic.collect()) }
    }

    pub(super) fn all(&self) -> BTreeMap<String, MessageFilter> {
        self.by_topic.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// # Errors
    /// [`ClientError::Config`] if the topic is not subscribed.
    pub(super) fn filter(&self, topic: &str) -> Result<MessageFilter, ClientError> {
        let by_topic = self.by_topic.read().unwrap_or_else(PoisonError::into_inner);
        let filter = by_topic.get(topic).cloned();
        filter.ok_or_else(|| ClientError::Config(format!("topic {topic} is not subscribed")))
    }

    /// Returns the topic of the next receive.
    ///
    /// # Errors
    /// [`ClientError::Config`] without a subscription.
    pub(super) fn next_topic(&self) -> Result<String, ClientError> {
        let by_topic = self.by_topic.read().unwrap_or_else(PoisonError::into_inner);
        if by_topic.is_empty() {
            return Err(ClientError::Config("no topic is subscribed".to_owned()));
        }
        // Nearly always one topic. With several, a random choice needs no shared counter.
        let turn = if by_topic.len() == 1 { 0 } else { rand::random_range(0..by_topic.len()) };
        Ok(by_topic.keys().nth(turn).cloned().unwrap_or_default())
    }

    /// Subscribes to `topic`, or changes its filter.
    pub(super) fn insert(&self, topic: String, filter: MessageFilter) {
        self.by_topic.write().unwrap_or_else(PoisonError::into_inner).insert(topic, filter);
    }

    /// Returns true if the topic was subscribed.
    pub(super) fn remove(&self, topic: &str) -> bool {
        self.by_topic.write().unwrap_or_else(PoisonError::into_inner).remove(topic).is_some()
    }
}
