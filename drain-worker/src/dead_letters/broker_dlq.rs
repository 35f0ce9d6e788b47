//! Consumes the broker's dead-letter topic: messages that were delivered as often as the group's retries allow.
//!
//! The broker moves such a message to `%DLQ%<group>` and drops it at the end of the retention. This consumer stores
//! each of its orders as a dead letter, which lookups find by the order's id, and an unreadable message as a whole.
//! An order that is decided by now needs no dead letter: only its ack was lost.
//!
//! Nothing is committed again automatically, because the message may be what crashed the workers.
//!
//! Facts, from Apache RocketMQ 5.5.0's code and tested on it (certain); the managed service may differ (unknown):
//! * The broker creates the topic with the first dead message, readable and writable (permission 6), with one queue.
//!   Before, the route does not exist.
//! * Any consumer group may receive from it. This group is separate from the drain's, so that their offsets and
//!   retries are independent. It must exist.
//! * A new group starts at the first dead message if that is still in the broker's memory, else at the newest. A
//!   consumer that polls every minute from the start misses none.
//! * The message retains its id and its body.

use std::sync::Arc;
use std::time::Duration;

use shared::rocketmq::Code;
use shared::rocketmq::{ClientConfig, ClientError, ConsumerConfig, DefaultContext, Message, StreamConsumer};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::write::{BoundedWriter, WriteGuard, WriteStopped};
use crate::message;
use crate::message::EXTEND_MAX;
use crate::metrics;
use crate::pipeline::{GatedWriter, rows};
use crate::store::{BrokerDlqCounts, DeadLetter, DeadLetterReason, Store};

/// Maximum wait for a grant, and for the database's answer, before the next attempt.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Maximum messages of one receive: at 4 MiB each, 32 MiB.
const MESSAGES_MAX: usize = 8;

const LETTERS_MAX: usize = 200;

/// The broker's dead-letter topic, and how often to poll it.
#[derive(Clone, Debug)]
pub struct BrokerDlqConfig {
    pub topic: String,
    /// The consumer group of the topic; it must exist.
    pub group: String,
    /// Invisible duration of a received message; the client extends it.
    pub invisible: Duration,
    /// Pause between two receives.
    pub pause: Duration,
    /// Pause while the topic or the group is missing, and maximum pause between two attempts at the database.
    pub absent_pause: Duration,
}

impl BrokerDlqConfig {
    /// Apache's names for `group`: topic `%DLQ%<group>`, consumer group `<group>-dead-letters`.
    #[must_use]
    pub fn for_group(group: &str) -> Self {
        Self {
            topic: format!("%DLQ%{group}"),
            group: format!("{group}-dead-letters"),
            invisible: Duration::from_secs(60),
            pause: Duration::from_secs(1),
            absent_pause: Duration::from_secs(60),
        }
    }
}

pub struct BrokerDlqConsumer {
    store: Arc<Store>,
    client: ClientConfig,
    config: BrokerDlqConfig,
    writer: BoundedWriter,
}

impl BrokerDlqConsumer {
    /// Stores dead messages through `writer`. `guard` returns why nothing may be written now.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        client: ClientConfig,
        config: BrokerDlqConfig,
        writer: GatedWriter,
        guard: WriteGuard,
    ) -> Self {
        let writer = BoundedWriter { writer, guard, wait_max: WAIT_MAX };
        Self { store, client, config, writer }
    }

    /// Runs until `shutdown`; retries every failure.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut failures = 0_u32;
        while !shutdown.is_cancelled() {
            let Some(connected) = shutdown.run_until_cancelled(self.connect()).await else { return };
            let error = match connected {
                Ok(consumer) => {
                    tracing::info!(
                        event = "broker_dlq_consuming",
                        topic = self.config.topic,
                        "consuming the broker's dead-letter topic"
                    );
                    let error = self.receive_loop(&consumer, &shutdown, &mut failures).await;
                    consumer.close(Duration::from_secs(2)).await;
                    error
                }
                Err(error) => Some(error),
            };
            let Some(error) = error else { return };
            self.log_failure(&error, &mut failures);
            shutdown.run_until_cancelled(sleep(self.config.absent_pause)).await;
        }
    }

    /// A missing topic is good news: the broker creates it with the first dead message. Any other error loses
    /// messages in the end, because the broker drops them after its retention.
    fn log_failure(&self, error: &ClientError, failures: &mut u32) {
        let (topic, group) = (&self.config.topic, &self.config.group);
        if error.code() == Some(Code::TOPIC_NOT_FOUND) {
            metrics::broker_dlq_consumer_up(true);
            tracing::debug!(event = "broker_dlq_empty", topic, group, %error, "no dead-letter topic yet: the broker has no dead messages");
            return;
        }
        metrics::broker_dlq_consumer_up(false);
        *failures += 1;
        if *failures == 1 {
            tracing::warn!(event = "broker_dlq_read_failed", topic, group, %error, "cannot read the broker's dead-letter topic; retrying");
        } else {
            tracing::error!(
                event = "broker_dlq_unreachable",
                topic,
                group,
                %error,
                error_code = "dead_letters_unreachable",
                "cannot read the broker's dead-letter topic; the broker drops its messages at the end of their retention"
            );
        }
    }

    async fn connect(&self) -> Result<StreamConsumer, ClientError> {
        let mut config = ConsumerConfig::new(&self.config.group, [&self.config.topic]);
        config.invisible_duration = self.config.invisible;
        config.extend_max = Some(EXTEND_MAX);
        StreamConsumer::connect(self.client.clone(), config, DefaultContext).await
    }

    /// Receives until `shutdown` or an error.
    async fn receive_loop(
        &self,
        consumer: &StreamConsumer,
        shutdown: &CancellationToken,
        failures: &mut u32,
    ) -> Option<ClientError> {
        loop {
            // A receive in flight is awaited: otherwise its messages would stay hidden for their invisible duration.
            if shutdown.is_cancelled() {
                return None;
            }
            match consumer.receive(MESSAGES_MAX).await {
                Ok(messages) => {
                    metrics::broker_dlq_consumer_up(true);
                    *failures = 0;
                    for message in messages {
                        shutdown.run_until_cancelled(self.store_message(message)).await?;
                    }
                }
                Err(error) => return Some(error),
            }
            shutdown.run_until_cancelled(sleep(self.config.pause)).await;
        }
    }

    /// Stores one message's dead letters, then acks it. The message stays hidden until that succeeds.
    async fn store_message(&self, message: Message) {
        let letters = dead_letters(&message);
        let mut stored = BrokerDlqCounts::default();
        let mut rest = letters.as_slice();
        let mut pause = self.config.pause;
        while !rest.is_empty() {
            match self.store_dead_letters(&rest[..rest.len().min(LETTERS_MAX)]).await {
                Ok((done, more)) => {
                    rest = &rest[done..];
                    stored.stored += more.stored;
                    stored.decided += more.decided;
                    stored.conflicts += more.conflicts;
                    stored.present += more.present;
                }
                Err(WriteStopped(reason)) => {
                    tracing::warn!(
                        event = "broker_dlq_store_failed",
                        reason,
                        "cannot store the broker's dead messages yet; retrying"
                    );
                    sleep(pause).await;
                    pause = (pause * 2).min(self.config.absent_pause);
                }
            }
        }
        tracing::warn!(
            event = "broker_dlq_message_stored",
            message_id = message.message_id(),
            stored = stored.stored,
            decided = stored.decided,
            conflicts = stored.conflicts,
            present = stored.present,
            "stored a dead message of the broker"
        );
        metrics::broker_dlq_messages(stored.stored);
        if let Err(error) = message.ack().await {
            tracing::warn!(event = "broker_dlq_ack_failed", %error, "ack failed; the broker redelivers the message, which changes nothing");
        }
    }

    /// Stores as many of `letters`, from the first, as the next grant allows.
    async fn store_dead_letters(
        &self,
        letters: &[DeadLetter],
    ) -> Result<(usize, BrokerDlqCounts), WriteStopped> {
        let grant = self.writer.acquire(letters.len()).await?;
        let part: Arc<[DeadLetter]> = letters[..letters.len().min(rows(&grant))].into();
        let (store, now) = (self.store.clone(), part.len());
        let attempt = move |fence| {
            let (store, part) = (store.clone(), part.clone());
            async move { store.store_undecided(fence, &part).await }
        };
        let stored = self.writer.write(grant, (), attempt).await?;
        Ok(stored.map_or((0, BrokerDlqCounts::default()), |stored| (now, stored)))
    }
}

fn dead_letters(message: &Message) -> Vec<DeadLetter> {
    let reason = DeadLetterReason::AttemptsExhausted;
    match message::decode(message) {
        Ok(orders) => orders
            .iter()
            .map(|order| {
                let detail = format!("sale {}, in a message that was delivered too often", order.sale_id);
                DeadLetter::of_order(order, reason, &detail).in_message(message.message_id())
            })
            .collect(),
        Err(error) => {
            let detail = format!("delivered too often; {error}");
            vec![DeadLetter::of_message(message.message_id(), message.payload().clone(), reason, &detail)]
        }
    }
}
