//! One receive.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::message::{Message, MessageOrigin};
use super::{Inner, match_all};
use crate::error::{ClientError, check};
use crate::protocol::{Code, ReceiveContent, ReceiveMessageRequest, ReceiveMessageResponse, duration, path};
use crate::route::Target;

/// Time beyond the long poll for the network.
const POLL_MARGIN: Duration = Duration::from_secs(3);

/// Minimum long poll of Apache's proxy, which rejects a deadline that leaves less.
const POLL_MIN: Duration = Duration::from_secs(5);

impl Inner {
    pub(super) async fn receive(self: &Arc<Self>, max: usize) -> Result<Vec<Message>, ClientError> {
        let topic = self.next_topic();
        let route = self.routes.get(topic, self.client.request_timeout).await?;
        let target = route
            .read_target()
            .ok_or_else(|| ClientError::Config(format!("topic {topic} has no readable queue")))?;
        self.receive_from(topic, target, max, self.config.invisible_duration).await
    }

    fn next_topic(&self) -> &str {
        // Nearly always one topic. With several, a random choice needs no shared counter.
        let turn =
            if self.config.topics.len() == 1 { 0 } else { rand::random_range(0..self.config.topics.len()) };
        &self.config.topics[turn]
    }

    pub(super) async fn receive_from(
        self: &Arc<Self>,
        topic: &str,
        target: &Target,
        max: usize,
        invisible: Duration,
    ) -> Result<Vec<Message>, ClientError> {
        let session = self.session(&target.broker.endpoint)?;
        session.ensure(self.client.request_timeout).await?;
        let max = max.clamp(1, usize::from(self.config.batch_size_max));
        let request = ReceiveMessageRequest {
            group: Some(self.group.clone()),
            message_queue: Some(target.queue.clone()),
            filter_expression: Some(match_all()),
            batch_size: i32::try_from(max).unwrap_or(32),
            invisible_duration: Some(duration(invisible)),
            auto_renew: false,
            long_polling_timeout: Some(duration(self.config.long_polling_timeout)),
        };
        let result = self.call(topic, target, request, invisible).await;
        match &result {
            Ok(messages) if messages.is_empty() => self.counters.receives_empty.add(1),
            Ok(messages) => self.counters.received.add(messages.len() as u64),
            // For a client without settings the proxy returns 50001 (a null pointer).
            Err(ClientError::Status { code: Code::INTERNAL_SERVER_ERROR, .. })
            | Err(ClientError::Transport { .. } | ClientError::Timeout { .. }) => session.invalidate().await,
            Err(_) => {}
        }
        if result.is_err() {
            self.routes.mark_stale(topic);
        }
        result
    }

    async fn call(
        self: &Arc<Self>,
        topic: &str,
        target: &Target,
        request: ReceiveMessageRequest,
        invisible: Duration,
    ) -> Result<Vec<Message>, ClientError> {
        let transport = self.transports.get(&target.broker.endpoint)?;
        let bound = self.config.long_polling_timeout.max(POLL_MIN) + POLL_MARGIN;
        let mut responses = transport
            .server_stream::<_, ReceiveMessageResponse>(path::RECEIVE_MESSAGE, request, bound)
            .await?;
        let mut messages: Vec<Message> = Vec::new();
        loop {
            let response = match responses.next().await {
                Ok(Some(response)) => response,
                Ok(None) => return Ok(messages),
                // The messages before the break are held, so they are returned; the next receive shows the error.
                Err(error) if !messages.is_empty() => {
                    self.context.error(&error, "receiving");
                    return Ok(messages);
                }
                Err(error) => return Err(error),
            };
            match response.content {
                Some(ReceiveContent::Message(message)) => {
                    let origin = MessageOrigin {
                        topic: topic.to_owned(),
                        transport: transport.clone(),
                        broker: target.broker.clone(),
                        hidden_until: Instant::now() + invisible,
                    };
                    messages.push(Message::new(*message, origin, self));
                }
                Some(ReceiveContent::Status(status)) => match Code(status.code) {
                    Code::MESSAGE_NOT_FOUND => {}
                    _ => check("ReceiveMessage", Some(status))?,
                },
                Some(ReceiveContent::DeliveryTimestamp(_)) | None => {}
            }
        }
    }
}
