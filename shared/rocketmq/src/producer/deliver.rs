//! Delivery of one message: attempts under one deadline.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::brake::{BrakeKey, ThrottleBrakes};
use super::{Delivery, FutureRecord, Inner, Undelivered};
use crate::body;
use crate::call_statistics::CallKind;
use crate::error::{ClientError, SendError, check};
use crate::protocol::{
    Encoding, Message, MessageType, SendMessageRequest, SendMessageResponse, SystemProperties, path,
    timestamp,
};
use crate::route::{Avoid, BrokerKey};

/// Minimum time for an attempt: with less, it would only add load.
const TRY_MIN: Duration = Duration::from_millis(5);

/// An attempt did not deliver.
enum AttemptError {
    /// The brake would hold the message beyond its deadline; nothing was sent.
    HeldBack(ClientError),
    Failed(ClientError),
}

impl From<ClientError> for AttemptError {
    fn from(error: ClientError) -> Self {
        Self::Failed(error)
    }
}

impl Inner {
    pub(super) async fn deliver(&self, record: FutureRecord) -> Result<Delivery, Undelivered> {
        let deadline = Instant::now() + self.config.delivery_timeout;
        let late = ClientError::Timeout { call: "SendMessage", after: self.config.delivery_timeout };
        // Without a place in time nothing is sent: it would only cost the broker's time.
        let Some(_place) = self.in_flight.place(deadline).await else {
            self.client.counters.send_failures.add(1);
            return Err((SendError::Delivery { attempts: 0, error: late }, Box::new(record)));
        };
        // One id for all attempts, so that duplicates can be recognised.
        let message_id = self.message_ids.next();
        let message = self.message(&record, message_id.clone());
        let mut attempts = 0;
        let mut tried = Vec::new();
        let mut last = late;
        while attempts < self.config.retry.attempts_max {
            let left = deadline.saturating_duration_since(Instant::now());
            if left < TRY_MIN || (attempts > 0 && !self.in_flight.may_retry(deadline)) {
                break;
            }
            match self.attempt(&record, &message, &mut tried, deadline).await {
                Ok(queue_offset) => {
                    self.client.counters.sent.add(1);
                    return Ok(Delivery { message_id, queue_offset, attempts: attempts + 1 });
                }
                Err(AttemptError::HeldBack(error)) => {
                    last = error;
                    break;
                }
                Err(AttemptError::Failed(error)) => last = error,
            }
            attempts += 1;
            if !last.is_retryable() {
                break;
            }
            let wait = if matches!(last, ClientError::Throttled { .. }) {
                self.client.counters.throttled.add(1);
                self.policy.throttle_delay(attempts.saturating_add(1))
            } else {
                // The queue may have moved.
                self.client.routes.mark_stale(&record.topic);
                self.config.retry.backoff(attempts)
            };
            if Instant::now() + wait + TRY_MIN >= deadline {
                break;
            }
            self.client.counters.send_retries.add(1);
            sleep(wait).await;
        }
        self.client.counters.send_failures.add(1);
        Err((SendError::Delivery { attempts, error: last }, Box::new(record)))
    }

    /// Sends to a broker that is not among the `tried`, if there is one, and adds it to them; a message with a group always
    /// to the queue of its group.
    async fn attempt(
        &self,
        record: &FutureRecord,
        message: &Message,
        tried: &mut Vec<Arc<BrokerKey>>,
        deadline: Instant,
    ) -> Result<i64, AttemptError> {
        let request_timeout = self.client.config.request_timeout;
        let bound = || deadline.saturating_duration_since(Instant::now()).min(request_timeout);
        let topic = &record.topic;
        let route = self.client.routes.get(topic, bound()).await?;
        if self.policy.checks_type() {
            route.check_type(topic, record.topic_type())?;
        }
        let key = |broker: &Arc<BrokerKey>| BrakeKey { topic: topic.clone(), broker: broker.clone() };
        let holds = |broker: &Arc<BrokerKey>| self.brakes.holds(&key(broker));
        let avoid: Option<Avoid<'_>> = if self.brakes.are_off() { None } else { Some(&holds) };
        let target = match &record.group {
            Some(group) => route.group_target(group),
            None => route.write_target(tried, &self.client.rests, avoid),
        };
        let target =
            target.ok_or_else(|| ClientError::Config(format!("topic {topic} has no writable queue")))?;
        let broker = &target.broker;
        let pass = if self.brakes.are_off() {
            ThrottleBrakes::free()
        } else {
            let latest = self.in_flight.latest_start(deadline).min(deadline - TRY_MIN);
            self.brakes.pass(&key(broker), latest).await.map_err(AttemptError::HeldBack)?
        };
        let bound = bound();
        let _call = target.begin_call();
        let began = Instant::now();
        let result = if bound < TRY_MIN {
            Err(ClientError::Timeout { call: "QueryRoute", after: bound })
        } else {
            let result = self.call(broker, message, bound).await;
            let calls = &self.client.counters.calls;
            calls.record(CallKind::Send, topic, &broker.endpoints, began.elapsed(), &result);
            result
        };
        self.brakes.conclude(|| key(broker), pass, &result, |attempt| self.policy.throttle_delay(attempt));
        if result.is_ok() && Instant::now() > deadline {
            // After a freeze both may be there: the answer, and the end of the time for it.
            return Err(ClientError::Timeout { call: "SendMessage", after: bound }.into());
        }
        self.client.rests.record(broker, &result);
        match &result {
            Ok(_) => self.in_flight.record(began.elapsed()),
            // Cut off by the deadline: it takes longer than that. A whole time-out only shows a dead broker.
            Err(ClientError::Timeout { after, .. }) if *after < request_timeout => {
                self.in_flight.record(*after * 2);
            }
            Err(_) => {}
        }
        tried.push(broker.clone());
        Ok(result?)
    }

    async fn call(&self, broker: &BrokerKey, message: &Message, bound: Duration) -> Result<i64, ClientError> {
        let transport = self.client.transports.get(&broker.endpoints)?;
        let request = SendMessageRequest { messages: vec![message.clone()] };
        let response: SendMessageResponse = transport.unary(path::SEND_MESSAGE, request, bound).await?;
        check("SendMessage", response.status)?;
        let entry = response
            .entries
            .into_iter()
            .next()
            .ok_or(ClientError::Protocol { call: "SendMessage", what: "no entry" })?;
        check("SendMessage", entry.status)?;
        Ok(entry.offset)
    }

    fn message(&self, record: &FutureRecord, message_id: String) -> Message {
        let compressed = self
            .config
            .compress_above_bytes
            .filter(|above| record.payload.len() > *above)
            .and_then(|_above| body::compress(&record.payload));
        let encoding = if compressed.is_some() { Encoding::Gzip } else { Encoding::Identity };
        Message {
            topic: Some(self.client.routes.resource(&record.topic)),
            user_properties: record.properties.clone(),
            system_properties: Some(SystemProperties {
                tag: record.tag.clone(),
                keys: record.keys.clone(),
                message_id,
                body_encoding: encoding.into(),
                message_type: MessageType::from(record.topic_type()).into(),
                born_timestamp: Some(timestamp(SystemTime::now())),
                delivery_timestamp: record.deliver_at.map(timestamp),
                message_group: record.group.clone(),
                trace_context: record.trace_context.clone(),
                ..SystemProperties::default()
            }),
            body: compressed.unwrap_or_else(|| record.payload.clone()),
        }
    }
}
