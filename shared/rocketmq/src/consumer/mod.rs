//! The consumer, on the SimpleConsumer protocol: each message is settled by its own receipt.

mod extender;
mod heartbeat;
mod held;
mod message;
mod message_receipt;
mod offsets;
mod prefetch;
mod receipt;
mod receive;
mod registration;
mod settle;
mod subscriptions;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::BoxStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::ClientCore;
use crate::config::{ClientConfig, ConsumerConfig, DURATION_MAX};
use crate::context::{ClientContext, Statistics};
use crate::error::ClientError;
use crate::message_filter::MessageFilter;
use crate::protocol::{ClientType, PubSub, Resource, Settings, Subscription, SubscriptionEntry};

pub use message::{Message, MessageContent};
pub use message_receipt::MessageReceipt;
pub use offsets::OffsetsInitialized;
pub use receipt::SettleError;

use held::HeldReceipts;
use prefetch::Prefetch;
use receive::Receiver;
use registration::Registrations;
use settle::{SettleCalls, Settler};
use subscriptions::Subscriptions;

/// Maximum part of a close's bound that is kept for acks, after the receives.
const SETTLE_SHARE_MAX: Duration = Duration::from_secs(2);

/// Maximum time for notifying the servers of the termination.
const TERMINATE_MAX: Duration = Duration::from_millis(500);

/// Receives messages of a consumer group. Clones are cheap and share one session.
#[derive(Clone)]
pub struct StreamConsumer {
    inner: Arc<Inner>,
}

struct Inner {
    receiver: Arc<Receiver>,
    prefetch: OnceCell<Prefetch>,
    /// Receives in flight.
    receives: TaskTracker,
    /// Queued settlements.
    settlements: TaskTracker,
    closed: CancellationToken,
}

impl StreamConsumer {
    /// Connects, fetches the topics' routes, exchanges settings and registers with the group. Goes on with the brokers that
    /// answer, if one does, and reports the others to the context.
    ///
    /// # Errors
    /// [`ClientError::Config`] if the configuration is invalid; otherwise the error that a receive would return: no
    /// connection, an invalid signature, an unknown topic or group.
    pub async fn connect(
        client: ClientConfig,
        config: ConsumerConfig,
        context: impl ClientContext,
    ) -> Result<Self, ClientError> {
        config.check(&client)?;
        let client = ClientCore::new(client, "consumer", context)?;
        let inner = Inner::new(client, config);
        let receiver = &inner.receiver;
        let mut endpoints = HashSet::new();
        for topic in receiver.subscriptions.all().keys() {
            let route = receiver.client.routes.get(topic, receiver.client.config.request_timeout).await?;
            if route.read_targets().is_empty() {
                return Err(ClientError::Config(format!("topic {topic} has no readable queue")));
            }
            endpoints.extend(route.read_targets().iter().map(|target| target.broker.endpoints.clone()));
        }
        receiver.registrations.register_all(&endpoints).await?;
        heartbeat::start(receiver, receiver.config.heartbeat_interval, &inner.closed);
        receiver.client.report_statistics(&inner.closed);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Subscribes to a topic, or changes the filter of a subscribed one. Receives that began before still use the former
    /// filter, and buffered messages stay.
    ///
    /// # Errors
    /// [`ClientError`] if the topic's route cannot be found, or has no readable queue; nothing changes then.
    pub async fn subscribe(&self, topic: &str, filter: MessageFilter) -> Result<(), ClientError> {
        let receiver = &self.inner.receiver;
        let route = receiver.client.routes.get(topic, receiver.client.config.request_timeout).await?;
        if route.read_targets().is_empty() {
            return Err(ClientError::Config(format!("topic {topic} has no readable queue")));
        }
        receiver.subscriptions.insert(topic.to_owned(), filter);
        receiver.announce();
        Ok(())
    }

    /// Unsubscribes from a topic; returns true if it was subscribed. Its messages that were received can be settled as
    /// before. Without any subscription, receives fail with [`ClientError::Config`].
    #[expect(clippy::must_use_candidate, reason = "the effect matters, not whether there was one")]
    pub fn unsubscribe(&self, topic: &str) -> bool {
        let receiver = &self.inner.receiver;
        let was_subscribed = receiver.subscriptions.remove(topic);
        receiver.announce();
        was_subscribed
    }

    /// Receives up to `max` messages, at most [`ConsumerConfig::batch_size_max`], from one broker, round robin over
    /// those that do not fail. Waits up to the long-polling time if there are none, then returns an empty list.
    ///
    /// Cancel safe: if the future is dropped, messages that still arrive are nacked.
    ///
    /// # Errors
    /// [`ClientError`]; no message is held then. Messages of a lost response reappear when their invisible duration
    /// expires.
    pub async fn receive(&self, max: usize) -> Result<Vec<Message>, ClientError> {
        let inner = self.inner.clone();
        if inner.closed.is_cancelled() {
            return Err(ClientError::Closed);
        }
        // In a task of its own: a cancelled caller must not leave messages hidden that no client holds.
        let receiving =
            self.inner.receives.spawn(async move { inner.receiver.receive_until(&inner.closed, max).await });
        receiving.await.unwrap_or(Err(ClientError::Closed))
    }

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
        offsets::initialize(&self.inner.receiver).await
    }

    /// Sends a heartbeat to every broker that receives visit: finds out if they answer while nothing is received.
    ///
    /// # Errors
    /// [`ClientError`] if no broker accepts it, or no route is known.
    pub async fn check(&self) -> Result<(), ClientError> {
        let receiver = &self.inner.receiver;
        let Some(endpoints) = receiver.cached_endpoints() else {
            return Err(ClientError::Config("no route to the topics is known".to_owned()));
        };
        receiver.registrations.register_all(&endpoints).await
    }

    /// Returns the next message from a buffer of at most [`ConsumerConfig::prefetch_messages_max`]; waits while it is empty.
    /// Reports errors to the context and retries. Cancel safe: a message is either returned or still in the buffer.
    ///
    /// The rdkafka-like face of the consumer; Spillway's services use [`Self::receive`], which holds no more messages than
    /// they asked for.
    ///
    /// # Errors
    /// [`ClientError::Closed`] once the consumer is closed.
    pub async fn recv(&self) -> Result<Message, ClientError> {
        let inner = &self.inner;
        let start = || async { Prefetch::start(&inner.receiver, &inner.receives, &inner.closed) };
        let prefetch = inner.prefetch.get_or_init(start).await;
        prefetch.next().await.ok_or(ClientError::Closed)
    }

    /// [`StreamConsumer::recv`] as a stream that ends when the consumer is closed.
    pub fn stream(&self) -> BoxStream<'static, Message> {
        let messages = futures_util::stream::unfold(self.clone(), |consumer| async move {
            let message = consumer.recv().await.ok()?;
            Some((message, consumer))
        });
        messages.boxed()
    }

    /// Waits for receives in flight and nacks their messages and the buffered ones, then finishes queued settlements and
    /// notifies the servers, all within `bound`. Settle held messages before. Returns true if everything finished in time.
    ///
    /// A receive that outlasts the bound goes on in the background, and nacks what it brings.
    pub async fn close(&self, bound: Duration) -> bool {
        let inner = &self.inner;
        inner.closed.cancel();
        let bound = bound.min(DURATION_MAX);
        let deadline = Instant::now() + bound;
        // Receives end first, so that the settler is still open for their messages.
        let received = timeout_at(deadline - (bound / 4).min(SETTLE_SHARE_MAX), async {
            if let Some(prefetch) = inner.prefetch.get() {
                prefetch.drain().await;
            }
            inner.receives.close();
            inner.receives.wait().await;
        });
        let received = received.await.is_ok();
        inner.receiver.settler.close();
        inner.settlements.close();
        let left = deadline.saturating_duration_since(Instant::now());
        let (settled, ()) = tokio::join!(
            timeout_at(deadline, inner.settlements.wait()),
            inner.receiver.registrations.terminate(left.min(TERMINATE_MAX)),
        );
        received && settled.is_ok()
    }

    /// Number of messages received and not yet settled, buffered ones included.
    #[must_use]
    pub fn held(&self) -> usize {
        self.inner.receiver.held.len()
    }

    /// Acks `messages`, in calls of at most 64 receipts. Returns their results in the same order.
    ///
    /// Dropping the future does not cancel the acks, as with [`Message::ack`].
    pub async fn ack_all(&self, messages: impl IntoIterator<Item = Message>) -> Vec<Result<(), SettleError>> {
        let acks: Vec<_> = messages.into_iter().map(Message::ack).collect();
        join_all(acks).await
    }

    /// Returns the number of brokers that receives visit, by the topics' last known routes; at least 1. Each receive visits
    /// one, so messages of a broker wait while no receive visits it.
    #[must_use]
    pub fn brokers(&self) -> usize {
        let receiver = &self.inner.receiver;
        let targets =
            |topic| receiver.client.routes.cached(topic).map_or(0, |route| route.read_targets().len());
        receiver.subscriptions.all().keys().map(|topic| targets(topic)).sum::<usize>().max(1)
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.inner.receiver.client.counters.snapshot()
    }
}

impl std::fmt::Debug for StreamConsumer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StreamConsumer")
            .field("group", &self.inner.receiver.config.group)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn new(client: ClientCore, config: ConsumerConfig) -> Self {
        let closed = CancellationToken::new();
        let settlements = TaskTracker::new();
        let group = client.routes.resource(&config.group);
        let calls = Arc::new(SettleCalls {
            group: group.clone(),
            request_timeout: client.config.request_timeout,
            counters: client.counters.clone(),
            context: client.context.clone(),
        });
        let subscriptions = Subscriptions::new(&config.topics, &config.filter);
        let settings = settings(&client, &subscriptions, &group);
        let held = Arc::new(HeldReceipts::default());
        extender::start(&config, held.clone(), calls.clone(), &closed);
        let receiver = Receiver {
            registrations: Registrations::new(client.clone(), group.clone(), settings),
            settler: Arc::new(Settler::start(calls, &settlements)),
            held,
            client,
            config,
            group,
            subscriptions,
        };
        Self {
            receiver: Arc::new(receiver),
            prefetch: OnceCell::new(),
            receives: TaskTracker::new(),
            settlements,
            closed,
        }
    }
}

impl Receiver {
    /// Makes the next use of each session send the subscriptions.
    fn announce(&self) {
        self.registrations.replace_settings(settings(&self.client, &self.subscriptions, &self.group));
    }
}

fn settings(client: &ClientCore, subscriptions: &Subscriptions, group: &Resource) -> Settings {
    let subscriptions = subscriptions.all().into_iter().map(|(topic, filter)| SubscriptionEntry {
        topic: Some(client.routes.resource(&topic)),
        expression: Some(filter.to_protocol()),
    });
    let subscription = Subscription {
        group: Some(group.clone()),
        subscriptions: subscriptions.collect(),
        ..Subscription::default()
    };
    client.settings(ClientType::SimpleConsumer, PubSub::Subscription(subscription))
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Ends the background tasks of a consumer that was dropped without a close.
        self.closed.cancel();
    }
}
