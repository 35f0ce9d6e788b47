//! Makes a group's place on every queue known before anything is published.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Inner, Message, StreamConsumer};
use crate::error::ClientError;
use crate::route::Target;

/// Most receives from one broker before a subscription is given up.
const RECEIVES_MAX: usize = 64;

/// What a subscription found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscribed {
    /// Queues of the subscribed topics.
    pub queues: usize,
    /// Messages that already waited; they were given back.
    pub waiting: usize,
}

impl StreamConsumer {
    /// Touches every queue of the topics once, so that the group has a place on each from now on.
    ///
    /// A group that never received from a queue starts at the queue's newest message: what was published before
    /// is never delivered. Called before the first publish, and again after queues were added, this closes that
    /// gap. A receive visits a broker's queues until it has found enough messages, so that one that finds none has
    /// visited them all; messages it does find are given back, which costs each one delivery attempt.
    ///
    /// # Errors
    /// [`ClientError`] of a receive; [`ClientError::Config`] if a backlog kept it from seeing every queue: drain
    /// the topic first.
    pub async fn subscribe(&self) -> Result<Subscribed, ClientError> {
        let mut found = Subscribed::default();
        for topic in &self.inner.config.topics {
            // A queue added a moment ago must be seen.
            self.inner.routes.forget(topic);
            let route = self.inner.routes.get(topic, self.inner.client.request_timeout).await?;
            found.queues += route.queues().len();
            for target in route.read_targets() {
                let broker =
                    target.queue.broker.as_ref().map(|broker| broker.name.as_str()).unwrap_or_default();
                let queues =
                    route.queues().iter().filter(|(name, _)| name == broker).map(|(_, id)| *id).collect();
                found.waiting += self.inner.touch(topic, target, queues).await?;
            }
        }
        Ok(found)
    }
}

impl Inner {
    /// Receives from `target` until every queue has been visited.
    async fn touch(
        self: &Arc<Self>,
        topic: &str,
        target: &Target,
        mut unseen: BTreeSet<i32>,
    ) -> Result<usize, ClientError> {
        // Held until the end, so that each receive goes further than the one before.
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
                    // One that cannot be given back lapses by itself.
                    let _lapses = message.nack(Duration::from_secs(1)).await;
                }
                return Ok(waiting);
            }
        }
        Err(ClientError::Config(format!(
            "topic {topic} has a backlog that hides its queues {unseen:?}: drain it, then subscribe again"
        )))
    }
}
