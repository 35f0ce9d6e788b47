//! Initializes a group's offset on every queue before the first publish.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Inner, Message, StreamConsumer};
use crate::error::ClientError;
use crate::route::Target;

/// Maximum receives from one broker before the initialization fails.
const RECEIVES_MAX: usize = 64;

/// Result of [`StreamConsumer::initialize_offsets`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffsetsInitialized {
    /// Queues of the topics.
    pub queues: usize,
    /// Messages that were waiting; they were nacked.
    pub waiting: usize,
}

impl StreamConsumer {
    /// Receives once from every queue of the topics, so that the group has an offset on each.
    ///
    /// A group that never received from a queue starts at the queue's newest message, and earlier messages are never
    /// delivered. Call this before the first publish, and again after queues were added. A receive visits a broker's
    /// queues until it has enough messages, so a receive without messages visited them all. Messages that it finds are
    /// nacked, which uses one of their delivery attempts.
    ///
    /// # Errors
    /// [`ClientError`] of a receive; [`ClientError::Config`] if a backlog hides a queue: drain the topic first.
    pub async fn initialize_offsets(&self) -> Result<OffsetsInitialized, ClientError> {
        let mut found = OffsetsInitialized::default();
        for topic in &self.inner.config.topics {
            // The cached route may lack a queue that was just added.
            self.inner.routes.remove(topic);
            let route = self.inner.routes.get(topic, self.inner.client.request_timeout).await?;
            found.queues += route.queues().len();
            for target in route.read_targets() {
                let broker = &target.broker.name;
                let queues =
                    route.queues().iter().filter(|(name, _)| name == broker).map(|(_, id)| *id).collect();
                found.waiting += self.inner.probe(topic, target, queues).await?;
            }
        }
        Ok(found)
    }
}

impl Inner {
    /// Receives from `target` until every queue has been visited.
    async fn probe(
        self: &Arc<Self>,
        topic: &str,
        target: &Target,
        mut unseen: BTreeSet<i32>,
    ) -> Result<usize, ClientError> {
        // Held until the end, so that each receive reaches further queues.
        let mut held: Vec<Message> = Vec::new();
        for _ in 0..RECEIVES_MAX {
            let messages =
                self.receive_from(topic, target, usize::MAX, self.config.invisible_duration).await?;
            let all_visited = messages.is_empty();
            for message in &messages {
                unseen.remove(&message.position().1);
            }
            held.extend(messages);
            if all_visited || unseen.is_empty() {
                let waiting = held.len();
                for message in held {
                    // If the nack fails, the message reappears when its invisible duration expires.
                    let _expires_by_itself = message.nack(Duration::from_secs(1)).await;
                }
                return Ok(waiting);
            }
        }
        Err(ClientError::Config(format!(
            "topic {topic} has a backlog that hides its queues {unseen:?}: drain it, then initialize again"
        )))
    }
}
