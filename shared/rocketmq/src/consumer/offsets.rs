//! Initializes a group's offset on every queue before the first publish.

use std::collections::BTreeSet;
use std::time::Duration;

use super::message::Message;
use super::receive::Receiver;
use crate::error::ClientError;
use crate::route::Target;

/// Maximum receives from one broker before the initialization fails.
const RECEIVES_MAX: usize = 64;

/// Result of [`crate::StreamConsumer::initialize_offsets`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OffsetsInitialized {
    /// Queues of the topics.
    pub queues: usize,
    /// Messages that were waiting; they were nacked.
    pub waiting: usize,
}

/// Receives from every broker until every queue has been visited.
pub(super) async fn initialize(receiver: &Receiver) -> Result<OffsetsInitialized, ClientError> {
    let mut found = OffsetsInitialized::default();
    for topic in receiver.subscriptions.all().keys() {
        // The cached route may lack a queue that was just added.
        let route = receiver.client.routes.fetch(topic, receiver.client.config.request_timeout).await?;
        found.queues += route.queues().len();
        for target in route.read_targets() {
            let broker = &target.broker.name;
            let queues =
                route.queues().iter().filter(|(name, _)| name == broker).map(|(_, id)| *id).collect();
            found.waiting += visit(receiver, topic, target, queues).await?;
        }
    }
    Ok(found)
}

/// Returns the number of messages that were waiting on the broker.
async fn visit(
    receiver: &Receiver,
    topic: &str,
    target: &Target,
    mut unseen: BTreeSet<i32>,
) -> Result<usize, ClientError> {
    // Held until the end, so that each receive reaches further queues.
    let mut held: Vec<Message> = Vec::new();
    for _ in 0..RECEIVES_MAX {
        let messages = receiver.receive_from(topic, target, usize::MAX).await?;
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
