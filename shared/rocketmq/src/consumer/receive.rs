//! One receive.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::held::HeldReceipts;
use super::message::{Message, MessageOrigin};
use super::registration::Registrations;
use super::settle::Settler;
use super::subscriptions::Subscriptions;
use crate::call_statistics::CallKind;
use crate::client::ClientCore;
use crate::config::ConsumerConfig;
use crate::context::ErrorOrigin;
use crate::error::{ClientError, check};
use crate::protocol::{
    Code, ReceiveContent, ReceiveMessageRequest, ReceiveMessageResponse, Resource, duration, path,
};
use crate::route::Target;

/// Time beyond the long poll for the network.
const POLL_MARGIN: Duration = Duration::from_secs(3);

/// Minimum long poll of Apache's proxy, which rejects a deadline that leaves less.
const POLL_MIN: Duration = Duration::from_secs(5);

pub(super) struct Receiver {
    pub(super) client: ClientCore,
    pub(super) config: ConsumerConfig,
    pub(super) group: Resource,
    pub(super) subscriptions: Subscriptions,
    pub(super) registrations: Registrations,
    pub(super) settler: Arc<Settler>,
    pub(super) held: Arc<HeldReceipts>,
}

impl Receiver {
    /// Receives from one broker of one topic.
    pub(super) async fn receive(&self, max: usize) -> Result<Vec<Message>, ClientError> {
        let topic = &self.subscriptions.next_topic()?;
        let route = self.client.routes.get(topic, self.client.config.request_timeout).await?;
        let target = route
            .read_target(&self.client.rests)
            .ok_or_else(|| ClientError::Config(format!("topic {topic} has no readable queue")))?;
        self.receive_from(topic, target, max).await
    }

    /// [`Self::receive`], except that messages which arrive once `closed` is cancelled are nacked at once: they would
    /// stay hidden until their invisible duration expires.
    pub(super) async fn receive_until(
        &self,
        closed: &CancellationToken,
        max: usize,
    ) -> Result<Vec<Message>, ClientError> {
        let received = self.receive(max).await;
        if !closed.is_cancelled() {
            return received;
        }
        let nacks =
            received.unwrap_or_default().into_iter().map(|message| message.nack(self.config.release_delay));
        // A message whose nack fails reappears when its invisible duration expires.
        let _results = join_all(nacks).await;
        Err(ClientError::Closed)
    }

    pub(super) async fn receive_from(
        &self,
        topic: &str,
        target: &Target,
        max: usize,
    ) -> Result<Vec<Message>, ClientError> {
        let call = target.begin_call();
        let began = Instant::now();
        let result = self.poll(topic, target, max).await;
        drop(call);
        let endpoints = &target.broker.endpoints;
        self.client.counters.calls.record(CallKind::Receive, topic, endpoints, began.elapsed(), &result);
        self.client.rests.record(&target.broker, &result);
        match &result {
            Ok(messages) if messages.is_empty() => self.client.counters.receives_empty.add(1),
            Ok(messages) => self.client.counters.received.add(messages.len() as u64),
            Err(_) => self.client.routes.mark_stale(topic),
        }
        result
    }

    /// Makes the call in an open session.
    async fn poll(&self, topic: &str, target: &Target, max: usize) -> Result<Vec<Message>, ClientError> {
        let filter = self.subscriptions.filter(topic)?;
        let session = self.registrations.session(&target.broker.endpoints)?;
        session.ensure(self.client.config.request_timeout).await?;
        let max = max.clamp(1, usize::from(self.config.batch_size_max));
        let request = ReceiveMessageRequest {
            group: Some(self.group.clone()),
            message_queue: Some(target.queue.clone()),
            filter_expression: Some(filter.to_protocol()),
            batch_size: i32::try_from(max).unwrap_or(32),
            invisible_duration: Some(duration(self.config.invisible_duration)),
            auto_renew: false,
            long_polling_timeout: Some(duration(self.config.long_polling_timeout)),
        };
        let result = self.call(topic, target, request).await;
        // For a client without settings the proxy returns 50001 (a null pointer).
        if let Err(
            ClientError::Status { code: Code::INTERNAL_SERVER_ERROR, .. }
            | ClientError::Transport { .. }
            | ClientError::Timeout { .. },
        ) = &result
        {
            session.invalidate().await;
        }
        result
    }

    async fn call(
        &self,
        topic: &str,
        target: &Target,
        request: ReceiveMessageRequest,
    ) -> Result<Vec<Message>, ClientError> {
        let transport = self.client.transports.get(&target.broker.endpoints)?;
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
                    let origin = ErrorOrigin::new("receiving").topic(topic).at(&target.broker.endpoints);
                    self.client.context.error(&error, &origin);
                    return Ok(messages);
                }
                Err(error) => return Err(error),
            };
            match response.content {
                Some(ReceiveContent::Message(message)) => {
                    let message = Message::new(
                        *message,
                        MessageOrigin {
                            topic,
                            broker: target.broker.clone(),
                            transport: transport.clone(),
                            hidden_until: Instant::now() + self.config.invisible_duration,
                            body_bytes_max: self.config.body_bytes_max,
                        },
                        &self.held,
                        self.settler.clone(),
                        self.config.release_delay,
                    );
                    messages.push(message);
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
