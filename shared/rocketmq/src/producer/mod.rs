//! Publishing.

mod deliver;
mod record;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ClientConfig, ProducerConfig};
use crate::context::{ClientContext, Counters, Statistics};
use crate::error::{ClientError, SendError};
use crate::id::{self, MessageIds};
use crate::protocol::{
    ClientType, NotifyClientTerminationRequest, NotifyClientTerminationResponse, PubSub, Publishing, path,
};
use crate::route::Routes;
use crate::session::Session;
use crate::transport::Transports;

pub use record::FutureRecord;

/// Publishes messages. Clones are cheap and share everything.
///
/// Nothing here rests on a background task between sends: a process that was frozen for an hour finds its dead
/// connection at the next send's time-out, replaces it, and tries again under the same deadline.
#[derive(Clone)]
pub struct FutureProducer {
    inner: Arc<Inner>,
}

struct Inner {
    client: Arc<ClientConfig>,
    config: ProducerConfig,
    transports: Arc<Transports>,
    routes: Routes,
    session: Session,
    message_ids: MessageIds,
    queue_messages: Arc<Semaphore>,
    queue_bytes: Arc<Semaphore>,
    in_flight: Semaphore,
    counters: Arc<Counters>,
    context: Arc<dyn ClientContext>,
    deliveries: TaskTracker,
    closed: CancellationToken,
}

/// The broker has the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The id the message was sent under.
    pub message_id: String,
    /// Its place on its queue.
    pub queue_offset: i64,
    /// Tries made, at least 1. With more than one the broker may hold the message twice.
    pub attempts: u32,
}

/// A send failed: why, and the message, where nothing else holds it.
pub type Undelivered = (SendError, Box<FutureRecord>);

impl FutureProducer {
    /// Makes a producer; connects at the first use, or at [`FutureProducer::warm_up`].
    ///
    /// # Errors
    /// [`ClientError::Config`] if the configuration cannot work.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(
        client: ClientConfig,
        config: ProducerConfig,
        context: impl ClientContext,
    ) -> Result<Self, ClientError> {
        let client = Arc::new(client);
        let counters = Arc::new(Counters::default());
        let transports = Arc::new(Transports::new(client.clone(), &id::client_id("producer"))?);
        let routes = Routes::new(client.clone(), transports.clone());
        let publishing = Publishing {
            topics: config.topics.iter().map(|topic| routes.resource(topic)).collect(),
            max_body_size: i32::try_from(config.body_bytes_max).unwrap_or(i32::MAX),
            validate_message_type: true,
        };
        let settings = crate::settings(&client, ClientType::Producer, PubSub::Publishing(publishing));
        let inner = Arc::new(Inner {
            session: Session::new(transports.access_point()?, settings, counters.clone()),
            queue_messages: Arc::new(Semaphore::new(config.queue_messages_max.get())),
            queue_bytes: Arc::new(Semaphore::new(config.queue_bytes_max.get().min(Semaphore::MAX_PERMITS))),
            in_flight: Semaphore::new(config.in_flight_max.get()),
            message_ids: MessageIds::new(),
            client,
            config,
            transports,
            routes,
            counters,
            context: Arc::new(context),
            deliveries: TaskTracker::new(),
            closed: CancellationToken::new(),
        });
        inner.clone().report_statistics();
        Ok(Self { inner })
    }

    /// Connects, exchanges settings and looks up the configured topics, so that the first send need not.
    ///
    /// # Errors
    /// Whatever keeps a send from succeeding: no connection, a refused signature, a missing topic.
    pub async fn warm_up(&self) -> Result<(), ClientError> {
        let bound = self.inner.client.request_timeout;
        self.inner.session.ensure(bound).await?;
        for topic in &self.inner.config.topics {
            let route = self.inner.routes.get(topic, bound).await?;
            if route.write_target().is_none() {
                return Err(ClientError::Config(format!("topic {topic} has no queue that takes messages")));
            }
            self.inner.routes.greet(topic, &route, bound).await?;
        }
        Ok(())
    }

    /// Enqueues `record`, waiting up to `queue_timeout` for room, and awaits its delivery.
    ///
    /// Dropping the future after the record is enqueued does not unsend it.
    ///
    /// # Errors
    /// [`Undelivered`]: why, and the record.
    pub async fn send(&self, record: FutureRecord, queue_timeout: Duration) -> Result<Delivery, Undelivered> {
        let room = timeout(queue_timeout, self.inner.room(&record)).await;
        let delivery = match room {
            Ok(Ok(permits)) => self.enqueue(record, permits),
            Ok(Err(error)) => return Err((error, Box::new(record))),
            Err(_elapsed) => return Err((SendError::QueueFull, Box::new(record))),
        };
        delivery.await
    }

    /// Enqueues `record` now, or hands it back.
    ///
    /// # Errors
    /// [`SendError::QueueFull`], [`SendError::Invalid`] or [`SendError::Closed`], with the record.
    pub fn send_result(&self, record: FutureRecord) -> Result<DeliveryFuture, Undelivered> {
        match self.inner.try_room(&record) {
            Ok(permits) => Ok(self.enqueue(record, permits)),
            Err(error) => Err((error, Box::new(record))),
        }
    }

    fn enqueue(&self, record: FutureRecord, permits: Permits) -> DeliveryFuture {
        let (settle, settled) = oneshot::channel();
        let inner = self.inner.clone();
        // The task, not the future, owns the delivery: a client that hangs up cancels nothing.
        self.inner.deliveries.spawn(async move {
            let result = inner.deliver(record).await;
            // The room is free before the caller hears, so that a caller that then sends finds it.
            drop(permits);
            let _nobody_waits = settle.send(result);
        });
        DeliveryFuture { settled }
    }

    /// Waits until everything enqueued is settled, at most `bound`. Says whether it is.
    pub async fn flush(&self, bound: Duration) -> bool {
        let all = u32::try_from(self.inner.config.queue_messages_max.get()).unwrap_or(u32::MAX);
        timeout(bound, self.inner.queue_messages.acquire_many(all)).await.is_ok_and(|permits| permits.is_ok())
    }

    /// Takes no more messages, waits for those enqueued, and tells the server; at most `bound` in all.
    /// Says whether everything enqueued was settled.
    pub async fn close(&self, bound: Duration) -> bool {
        let closing = async {
            self.inner.queue_bytes.close();
            self.inner.deliveries.close();
            self.inner.deliveries.wait().await;
        };
        let settled = timeout(bound, closing).await.is_ok();
        self.inner.closed.cancel();
        self.inner.say_goodbye().await;
        settled
    }

    /// Counts so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.inner.counters.snapshot()
    }

    /// Messages enqueued and not yet settled.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.inner
            .config
            .queue_messages_max
            .get()
            .saturating_sub(self.inner.queue_messages.available_permits())
    }
}

impl std::fmt::Debug for FutureProducer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FutureProducer").field("queued", &self.queued()).finish_non_exhaustive()
    }
}

/// Room in the queue; freed when dropped.
struct Permits {
    _message: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Inner {
    fn bytes_of(&self, record: &FutureRecord) -> Result<u32, SendError> {
        if let Some(fault) = record.fault(self.config.body_bytes_max) {
            return Err(SendError::Invalid(fault));
        }
        if record.body.len() > self.config.queue_bytes_max.get() {
            return Err(SendError::Invalid("its body exceeds the whole queue"));
        }
        u32::try_from(record.body.len()).map_err(|_| SendError::Invalid("its body is too large"))
    }

    fn try_room(&self, record: &FutureRecord) -> Result<Permits, SendError> {
        let bytes = self.bytes_of(record)?;
        let full = |error| match error {
            TryAcquireError::NoPermits => SendError::QueueFull,
            TryAcquireError::Closed => SendError::Closed,
        };
        let bytes = self.queue_bytes.clone().try_acquire_many_owned(bytes).map_err(full)?;
        let message = self.queue_messages.clone().try_acquire_owned().map_err(full)?;
        Ok(Permits { _message: message, _bytes: bytes })
    }

    async fn room(&self, record: &FutureRecord) -> Result<Permits, SendError> {
        let bytes = self.bytes_of(record)?;
        let closed = |_| SendError::Closed;
        let bytes = self.queue_bytes.clone().acquire_many_owned(bytes).await.map_err(closed)?;
        let message = self.queue_messages.clone().acquire_owned().await.map_err(closed)?;
        Ok(Permits { _message: message, _bytes: bytes })
    }

    async fn say_goodbye(&self) {
        let request = NotifyClientTerminationRequest { group: None };
        if let Ok(transport) = self.transports.access_point() {
            let goodbye = transport.unary::<_, NotifyClientTerminationResponse>(
                path::NOTIFY_CLIENT_TERMINATION,
                request,
                Duration::from_millis(500),
            );
            if let Err(error) = goodbye.await {
                self.context.error(&error, "saying goodbye");
            }
        }
    }

    fn report_statistics(self: Arc<Self>) {
        if let Some(interval) = self.client.stats_interval {
            crate::report_statistics(interval, &self.closed, &self.counters, &self.context);
        }
    }
}

/// Resolves when the broker has the message, or the producer has given it up.
#[derive(Debug)]
#[must_use = "a delivery that nobody awaits may have failed"]
pub struct DeliveryFuture {
    settled: oneshot::Receiver<Result<Delivery, Undelivered>>,
}

impl Future for DeliveryFuture {
    type Output = Result<Delivery, Undelivered>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.settled).poll(context)).unwrap_or_else(|_dropped| {
            // The runtime went away and took the delivery, and the record, with it.
            Err((SendError::Closed, Box::new(FutureRecord::to(""))))
        }))
    }
}
