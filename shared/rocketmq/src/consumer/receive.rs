//! One receive: session, call, messages.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::message::{Message, MessageOrigin};
use super::{Inner, take_all};
use crate::error::{ClientError, check};
use crate::protocol::{Code, ReceiveContent, ReceiveMessageRequest, ReceiveMessageResponse, duration, path};
use crate::route::Target;

/// Beyond the long poll, for the way there and back.
const POLL_MARGIN: Duration = Duration::from_secs(3);

/// Apache's proxy polls for at least this long, and refuses a deadline that leaves less.
const POLL_MIN: Duration = Duration::from_secs(5);

impl Inner {
    pub(super) async fn receive(self: &Arc<Self>, max: usize) -> Result<Vec<Message>, ClientError> {
        let topic = self.next_topic();
        let route = self.routes.get(topic, self.client.request_timeout).await?;
        let target = route
            .read_target()
            .ok_or_else(|| ClientError::Config(format!("topic {topic} has no queue that gives messages")))?;
        self.receive_from(topic, target, max, self.config.invisible_duration).await
    }

    fn next_topic(&self) -> &str {
        // Nearly always one topic; with several, chance serves them alike without a counter to share.
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
        let session = self.session(&target.endpoint)?;
        session.ensure(self.client.request_timeout).await?;
        let max = max.clamp(1, usize::from(self.config.batch_size_max));
        let request = ReceiveMessageRequest {
            group: Some(self.group.clone()),
            message_queue: Some(target.queue.clone()),
            filter_expression: Some(take_all()),
            batch_size: i32::try_from(max).unwrap_or(32),
            invisible_duration: Some(duration(invisible)),
            auto_renew: false,
            long_polling_timeout: Some(duration(self.config.long_polling_timeout)),
        };
        let result = self.call(topic, target, request, invisible).await;
        match &result {
            Ok(messages) if messages.is_empty() => self.counters.receives_empty.add(1),
            Ok(messages) => self.counters.received.add(messages.len() as u64),
            // The proxy meets a client without settings with a null pointer and calls it 50001.
            Err(ClientError::Status { code: Code::INTERNAL_SERVER_ERROR, .. })
            | Err(ClientError::Transport { .. } | ClientError::Timeout { .. }) => session.invalidate().await,
            Err(_) => {}
        }
        if result.is_err() {
            self.routes.doubt(topic);
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
        let transport = self.transports.get(&target.endpoint)?;
        let bound = self.config.long_polling_timeout.max(POLL_MIN) + POLL_MARGIN;
        let mut answers = transport
            .server_stream::<_, ReceiveMessageResponse>(path::RECEIVE_MESSAGE, request, bound)
            .await?;
        let mut messages: Vec<Message> = Vec::new();
        loop {
            let answer = match answers.next().await {
                Ok(Some(answer)) => answer,
                Ok(None) => return Ok(messages),
                // What came before the break is held, so it is handed on; the break shows at the next receive.
                Err(error) if !messages.is_empty() => {
                    self.context.error(&error, "receiving");
                    return Ok(messages);
                }
                Err(error) => return Err(error),
            };
            match answer.content {
                Some(ReceiveContent::Message(message)) => {
                    let origin = MessageOrigin {
                        topic: topic.to_owned(),
                        transport: transport.clone(),
                        broker: target
                            .queue
                            .broker
                            .as_ref()
                            .map(|broker| broker.name.clone())
                            .unwrap_or_default(),
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
