//! The consumer, on the SimpleConsumer protocol: each message is settled by its own receipt.

mod extender;
mod message;
mod offsets;
mod prefetch;
mod receipt;
mod receive;
mod settle;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ClientConfig, ConsumerConfig, Endpoint};
use crate::context::{ClientContext, Counters, Statistics};
use crate::error::{ClientError, check};
use crate::ids;
use crate::protocol::{
    ClientType, FilterExpression, FilterType, HeartbeatRequest, HeartbeatResponse,
    NotifyClientTerminationRequest, NotifyClientTerminationResponse, PubSub, Resource, Settings,
    Subscription, SubscriptionEntry, path,
};
use crate::route::Routes;
use crate::session::Session;
use crate::transport::Transports;

pub use message::Message;
pub use offsets::OffsetsInitialized;
pub use receipt::SettleError;

use extender::InvisibilityExtender;
use prefetch::Prefetch;
use settle::Settler;

/// Receives messages of a consumer group. Clones are cheap and share one session.
#[derive(Clone)]
pub struct StreamConsumer {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    client: Arc<ClientConfig>,
    config: ConsumerConfig,
    group: Resource,
    settings: Settings,
    transports: Arc<Transports>,
    routes: Routes,
    sessions: Mutex<HashMap<Endpoint, Arc<Session>>>,
    settler: Arc<Settler>,
    extender: Arc<InvisibilityExtender>,
    prefetch: OnceCell<Prefetch>,
    counters: Arc<Counters>,
    context: Arc<dyn ClientContext>,
    /// Receives in flight and queued settlements; a close waits for them.
    tasks: TaskTracker,
    closed: CancellationToken,
}

fn match_all() -> FilterExpression {
    FilterExpression { r#type: FilterType::Tag.into(), expression: "*".to_owned() }
}

impl StreamConsumer {
    /// Connects, exchanges settings, fetches the topics' routes and registers with the group.
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
        let client = Arc::new(client);
        let counters = Arc::new(Counters::default());
        let context: Arc<dyn ClientContext> = Arc::new(context);
        let transports = Arc::new(Transports::new(client.clone(), &ids::client_id("consumer"))?);
        let routes = Routes::new(client.clone(), transports.clone());
        let group = routes.resource(&config.group);
        let subscriptions = config.topics.iter().map(|topic| SubscriptionEntry {
            topic: Some(routes.resource(topic)),
            expression: Some(match_all()),
        });
        let subscription = Subscription {
            group: Some(group.clone()),
            subscriptions: subscriptions.collect(),
            ..Subscription::default()
        };
        let settings =
            crate::settings(&client, ClientType::SimpleConsumer, PubSub::Subscription(subscription));
        let closed = CancellationToken::new();
        let tasks = TaskTracker::new();
        let calls = Arc::new(settle::SettleCalls {
            group: group.clone(),
            request_timeout: client.request_timeout,
            counters: counters.clone(),
            context: context.clone(),
        });
        let settler = Arc::new(Settler::start(calls.clone(), &tasks));
        let extender = InvisibilityExtender::start(&config, calls, &closed);
        let inner = Arc::new(Inner {
            client,
            config,
            group,
            settings,
            transports,
            routes,
            sessions: Mutex::default(),
            settler,
            extender,
            prefetch: OnceCell::new(),
            counters,
            context,
            tasks,
            closed,
        });
        let bound = inner.client.request_timeout;
        for topic in &inner.config.topics {
            let route = inner.routes.get(topic, bound).await?;
            if route.read_target().is_none() {
                return Err(ClientError::Config(format!("topic {topic} has no readable queue")));
            }
            for target in route.read_targets() {
                inner.session(&target.broker.endpoint)?.ensure(bound).await?;
            }
        }
        inner.heartbeat().await?;
        inner.clone().heartbeat_loop();
        if let Some(interval) = inner.client.stats_interval {
            crate::report_statistics(interval, &inner.closed, &inner.counters, &inner.context);
        }
        Ok(Self { inner })
    }

    /// Receives up to `max` messages, at most [`ConsumerConfig::batch_size_max`], from one broker, round robin. Waits up to
    /// the long-polling time if there are none, then returns an empty list.
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
        let receiving = self.inner.tasks.spawn(async move { inner.receive(max).await });
        receiving.await.unwrap_or(Err(ClientError::Closed))
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
        let prefetch = self.inner.prefetch.get_or_init(|| async { Prefetch::start(&self.inner) }).await;
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

    /// Stops receiving, nacks buffered messages and finishes queued settlements, within `bound`. Settle held messages
    /// before. Returns true if everything finished in time.
    pub async fn close(&self, bound: Duration) -> bool {
        let inner = &self.inner;
        inner.closed.cancel();
        let deadline = Instant::now() + bound;
        let finished = timeout(bound, async {
            if let Some(prefetch) = inner.prefetch.get() {
                prefetch.drain().await;
            }
            inner.settler.close();
            inner.tasks.close();
            inner.tasks.wait().await;
        })
        .await
        .is_ok();
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(200));
        inner.notify_termination(left.min(Duration::from_millis(500))).await;
        finished
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.inner.counters.snapshot()
    }
}

impl std::fmt::Debug for StreamConsumer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StreamConsumer")
            .field("group", &self.inner.config.group)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Returns the session with the server at `endpoint`.
    fn session(&self, endpoint: &Endpoint) -> Result<Arc<Session>, ClientError> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(endpoint) {
            return Ok(session.clone());
        }
        let transport = self.transports.get(endpoint)?;
        let session = Arc::new(Session::new(transport, self.settings.clone(), self.counters.clone()));
        sessions.insert(endpoint.clone(), session.clone());
        Ok(session)
    }

    async fn heartbeat(&self) -> Result<(), ClientError> {
        for transport in self.transports.all() {
            let request = HeartbeatRequest {
                group: Some(self.group.clone()),
                client_type: ClientType::SimpleConsumer.into(),
            };
            let response: HeartbeatResponse =
                transport.unary(path::HEARTBEAT, request, self.client.request_timeout).await?;
            check("Heartbeat", response.status)?;
        }
        Ok(())
    }

    /// Sends heartbeats until the consumer is closed: the proxy drops the settings of a client that sends none.
    fn heartbeat_loop(self: Arc<Self>) {
        let closed = self.closed.clone();
        let inner = Arc::downgrade(&self);
        let interval = self.config.heartbeat_interval;
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            while closed.run_until_cancelled(ticks.tick()).await.is_some() {
                let Some(inner) = inner.upgrade() else { break };
                if let Err(error) = inner.heartbeat().await {
                    inner.context.error(&error, "heartbeat");
                }
            }
        });
    }

    async fn notify_termination(&self, bound: Duration) {
        for transport in self.transports.all() {
            let request = NotifyClientTerminationRequest { group: Some(self.group.clone()) };
            let notification = transport.unary::<_, NotifyClientTerminationResponse>(
                path::NOTIFY_CLIENT_TERMINATION,
                request,
                bound,
            );
            if let Err(error) = notification.await {
                self.context.error(&error, "notifying the broker of the termination");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Ends the background tasks of a consumer that was dropped without a close.
        self.closed.cancel();
    }
}
