//! Takes over what the broker gave up: messages that were delivered as often as the group's retries allow.
//!
//! The broker moves such a message to the group's dead-letter topic, `%DLQ%<group>`, and keeps it there for as long as
//! any other. Here each of its orders becomes a letter of its own, which is found by the order's id; what cannot be read
//! is stored whole. Orders that are decided by now need no letter: their acks were lost, not they.
//!
//! Nothing is tried again: a message that brought workers down so often must not do so by itself once more.
//!
//! BatchSnapshot, from Apache RocketMQ 5.5.0's code and tried on it (certain); the managed service may differ (unknown):
//! * The topic is made with the first dead letter, readable and writable (permission 6), with one queue. Before, its
//!   route is not found.
//! * Any consumer group may receive from it; ours is its own, so that its place and its retries have nothing to do with
//!   the drain's. The group must exist.
//! * A group that comes for the first time begins at the first dead letter if that is still in the broker's memory, and
//!   else at the newest. Who looks every minute from the start on misses none.
//! * The message keeps its id and its body.

use std::sync::Arc;
use std::time::Duration;

use shared::envelope::decode_batch;
use shared::rocketmq::Code;
use shared::rocketmq::{ClientConfig, ClientError, ConsumerConfig, DefaultContext, Message, StreamConsumer};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::write::{BoundedWriter, WriteGuard, WriteStopped};
use crate::gated_writer::{GatedWriter, rows};
use crate::metrics;
use crate::store::{BrokerDlqCounts, DeadLetter, DeadLetterReason, Store};

/// Longest wait for a share of the cap, and for the database's answer, before it is tried again.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Most messages taken at a time: at 4 MiB each, 32 MiB.
const MESSAGES_MAX: usize = 8;

/// Most letters of one transaction.
const LETTERS_MAX: usize = 200;

/// Where the broker puts what it gave up, and how often to look.
#[derive(Clone, Debug)]
pub struct BrokerDlqConfig {
    /// The topic.
    pub topic: String,
    /// The group that takes it over; it must exist.
    pub group: String,
    /// How long a message stays hidden from other workers before that is extended.
    pub invisible: Duration,
    /// How long to wait between two receives that found something, and at least between two that found nothing.
    pub pause: Duration,
    /// How long to wait while the topic or the group is missing, and at most before the database is asked again.
    pub absent_pause: Duration,
}

impl BrokerDlqConfig {
    /// What Apache's broker does with the messages of `group`: `%DLQ%<group>`, taken over by `<group>-dead-letters`.
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

/// Takes dead messages over.
pub struct BrokerDlqConsumer {
    store: Arc<Store>,
    client: ClientConfig,
    config: BrokerDlqConfig,
    writer: BoundedWriter,
}

impl BrokerDlqConsumer {
    /// Takes messages over into `store` at the credits of `gate`. `guard` says why nothing may be written now.
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

    /// Runs until `shutdown`. Whatever fails is tried again.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut failures = 0_u32;
        while !shutdown.is_cancelled() {
            let Some(connected) = shutdown.run_until_cancelled(self.connect()).await else { return };
            let error = match connected {
                Ok(consumer) => {
                    tracing::info!(topic = self.config.topic, "taking over what the broker gave up");
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

    /// The topic is made with the first dead message, so that its absence is good news. Anything else is not: what the
    /// broker keeps there it drops in the end, and nobody would know.
    fn log_failure(&self, error: &ClientError, failures: &mut u32) {
        let (topic, group) = (&self.config.topic, &self.config.group);
        if error.code() == Some(Code::TOPIC_NOT_FOUND) {
            metrics::broker_dlq_consumer_up(true);
            tracing::debug!(topic, group, %error, "the broker has given nothing up");
            return;
        }
        metrics::broker_dlq_consumer_up(false);
        *failures += 1;
        if *failures == 1 {
            tracing::warn!(topic, group, %error, "what the broker gave up cannot be taken over; trying again");
        } else {
            tracing::error!(
                topic,
                group,
                %error,
                error_code = "dead_letters_unreachable",
                "what the broker gave up cannot be taken over, and is dropped at the end of its retention"
            );
        }
    }

    async fn connect(&self) -> Result<StreamConsumer, ClientError> {
        let mut config = ConsumerConfig::new(&self.config.group, [&self.config.topic]);
        config.invisible_duration = self.config.invisible;
        StreamConsumer::connect(self.client.clone(), config, DefaultContext).await
    }

    /// Takes over until `shutdown`, or until receiving fails.
    async fn receive_loop(
        &self,
        consumer: &StreamConsumer,
        shutdown: &CancellationToken,
        failures: &mut u32,
    ) -> Option<ClientError> {
        loop {
            // A receive under way is waited for: what it brings would stay hidden from everybody otherwise.
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

    /// Keeps one message's letters, then acks it. InFlightOrders, and so hidden, until that has succeeded.
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
                    tracing::warn!(reason, "what the broker gave up cannot be stored yet; trying again");
                    sleep(pause).await;
                    pause = (pause * 2).min(self.config.absent_pause);
                }
            }
        }
        tracing::warn!(
            message_id = message.message_id(),
            stored = stored.stored,
            decided = stored.decided,
            conflicts = stored.conflicts,
            present = stored.present,
            "took over a message that the broker gave up"
        );
        metrics::broker_dlq_messages(stored.stored);
        if let Err(error) = message.ack().await {
            tracing::warn!(%error, "an ack failed; the message comes again, which changes nothing");
        }
    }

    /// Keeps as many of `letters`, from the first, as are granted at once.
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
    match decode_batch(message.payload()) {
        Ok(orders) => orders
            .iter()
            .map(|order| {
                let detail = format!("sale {}, in a message that the broker gave up", order.sale_id);
                DeadLetter::of_order(order, reason, &detail).in_message(message.message_id())
            })
            .collect(),
        Err(error) => {
            let detail = format!("the broker gave it up; {error}");
            vec![DeadLetter::of_message(message.message_id(), message.payload().clone(), reason, &detail)]
        }
    }
}
