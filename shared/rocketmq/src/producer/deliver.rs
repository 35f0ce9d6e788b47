//! Delivery of one message: attempts under one deadline.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::{Delivery, FutureRecord, Inner, Undelivered};
use crate::body;
use crate::error::{ClientError, SendError, check};
use crate::protocol::{
    Encoding, Message, SendMessageRequest, SendMessageResponse, SystemProperties, path, timestamp,
};

/// Minimum time for an attempt: with less, it would only add load.
const TRY_MIN: Duration = Duration::from_millis(5);

impl Inner {
    pub(super) async fn deliver(&self, record: FutureRecord) -> Result<Delivery, Undelivered> {
        let deadline = Instant::now() + self.config.delivery_timeout;
        let late = ClientError::Timeout { call: "SendMessage", after: self.config.delivery_timeout };
        // Without a place in time nothing is sent: it would only cost the broker's time.
        let Some(_place) = self.in_flight.place(deadline).await else {
            self.counters.send_failures.add(1);
            return Err((SendError::Delivery { attempts: 0, error: late }, Box::new(record)));
        };
        // One id for all attempts, so that duplicates can be recognised.
        let message_id = self.message_ids.next();
        let message = self.message(&record, message_id.clone());
        let mut attempts = 0;
        let mut last = late;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let out_of_time = left < TRY_MIN || (attempts > 0 && !self.in_flight.may_retry(deadline));
            if out_of_time || attempts >= self.config.retry.attempts_max {
                break;
            }
            attempts += 1;
            match self.attempt(&record.topic, &message, deadline).await {
                Ok(queue_offset) => {
                    self.counters.sent.add(1);
                    return Ok(Delivery { message_id, queue_offset, attempts });
                }
                Err(error) => last = error,
            }
            if matches!(last, ClientError::Throttled { .. }) {
                self.counters.throttled.add(1);
            }
            if !last.is_retryable() {
                break;
            }
            // The queue may have moved: the next attempt queries the route again, unless the server only throttles.
            if !matches!(last, ClientError::Throttled { .. }) {
                self.routes.mark_stale(&record.topic);
            }
            let wait = self.config.retry.backoff(attempts);
            if Instant::now() + wait + TRY_MIN >= deadline {
                break;
            }
            self.counters.send_retries.add(1);
            sleep(wait).await;
        }
        self.counters.send_failures.add(1);
        Err((SendError::Delivery { attempts, error: last }, Box::new(record)))
    }

    async fn attempt(&self, topic: &str, message: &Message, deadline: Instant) -> Result<i64, ClientError> {
        let bound = || deadline.saturating_duration_since(Instant::now()).min(self.client.request_timeout);
        let route = self.routes.get(topic, bound()).await?;
        let target = route
            .write_target()
            .ok_or_else(|| ClientError::Config(format!("topic {topic} has no writable queue")))?;
        let transport = self.transports.get(&target.broker.endpoint)?;
        let bound = bound();
        if bound < TRY_MIN {
            return Err(ClientError::Timeout { call: "QueryRoute", after: bound });
        }
        let request = SendMessageRequest { messages: vec![message.clone()] };
        let began = Instant::now();
        let result = transport.unary(path::SEND_MESSAGE, request, bound).await;
        match &result {
            Ok(_) => self.in_flight.record(began.elapsed()),
            // Cut off by the deadline: it takes longer than that. A whole time-out only shows a dead broker.
            Err(ClientError::Timeout { after, .. }) if *after < self.client.request_timeout => {
                self.in_flight.record(*after * 2);
            }
            Err(_) => {}
        }
        let response: SendMessageResponse = result?;
        if Instant::now() > deadline {
            // After a freeze both may be there: the answer, and the end of the time for it.
            return Err(ClientError::Timeout { call: "SendMessage", after: bound });
        }
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
            topic: Some(self.routes.resource(&record.topic)),
            user_properties: record.properties.clone(),
            system_properties: Some(SystemProperties {
                tag: record.tag.clone(),
                keys: record.keys.clone(),
                message_id,
                body_encoding: encoding.into(),
                message_type: record.message_type().into(),
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
