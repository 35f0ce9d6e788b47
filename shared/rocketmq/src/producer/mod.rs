//! The producer.

mod brake;
mod deliver;
mod deliveries;
mod in_flight;
mod publish_policy;
mod record;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::client::ClientCore;
use crate::config::{ClientConfig, ProducerConfig};
use crate::context::{ClientContext, ErrorOrigin, Statistics};
use crate::error::{ClientError, SendError};
use crate::ids::MessageIds;
use crate::protocol::{
    ClientType, NotifyClientTerminationRequest, NotifyClientTerminationResponse, PubSub, Publishing,
    Settings, path,
};
use crate::session::Session;

use brake::ThrottleBrakes;
use deliveries::Deliveries;
use in_flight::InFlightGate;
use publish_policy::PublishPolicy;
pub use record::FutureRecord;

/// Publishes messages. Clones are cheap and share one queue.
///
/// The producer needs no background task between sends. After a freeze of the process the next send times out on the
/// dead connection, replaces it and retries under the same deadline.
#[derive(Clone)]
pub struct FutureProducer {
    inner: Arc<Inner>,
}

struct Inner {
    client: ClientCore,
    config: ProducerConfig,
    session: Session,
    policy: Arc<PublishPolicy>,
    /// True once the first send asked for the server's settings.
    settings_asked: AtomicBool,
    brakes: ThrottleBrakes,
    message_ids: MessageIds,
    queue_messages: Arc<Semaphore>,
    queue_bytes: Arc<Semaphore>,
    in_flight: InFlightGate,
    deliveries: Deliveries,
    closed: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Ends the task that reports statistics.
        self.closed.cancel();
    }
}

/// The broker's acknowledgement of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Id of the message.
    pub message_id: String,
    /// Offset in its queue.
    pub queue_offset: i64,
    /// Attempts made, at least 1. With more than one the broker may have the message twice.
    pub attempts: u32,
}

/// A failed send: the error and the record.
pub type Undelivered = (SendError, Box<FutureRecord>);

impl FutureProducer {
    /// Creates a producer. It connects at the first send, or at [`FutureProducer::warm_up`].
    ///
    /// # Errors
    /// [`ClientError::Config`] if the configuration is invalid.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn new(
        client: ClientConfig,
        config: ProducerConfig,
        context: impl ClientContext,
    ) -> Result<Self, ClientError> {
        config.check(&client)?;
        let client = ClientCore::new(client, "producer", context)?;
        let publishing = Publishing {
            topics: config.topics.iter().map(|topic| client.routes.resource(topic)).collect(),
            max_body_size: i32::try_from(config.body_bytes_max).unwrap_or(i32::MAX),
            validate_message_type: true,
        };
        let settings = client.settings(ClientType::Producer, PubSub::Publishing(publishing));
        let closed = CancellationToken::new();
        client.report_statistics(&closed);
        let policy = Arc::new(PublishPolicy::default());
        let observer = {
            let policy = policy.clone();
            Arc::new(move |settings: &Settings| policy.apply(settings))
        };
        let access_point = client.transports.access_point()?;
        let inner = Inner {
            session: Session::new(access_point, settings, observer, client.counters.clone()),
            policy,
            settings_asked: AtomicBool::new(false),
            brakes: ThrottleBrakes::default(),
            queue_messages: Arc::new(Semaphore::new(config.queue_messages_max.get())),
            queue_bytes: Arc::new(Semaphore::new(config.queue_bytes_max.get().min(Semaphore::MAX_PERMITS))),
            in_flight: InFlightGate::new(config.in_flight_max, config.delivery_timeout),
            message_ids: MessageIds::new(),
            client,
            config,
            deliveries: Deliveries::default(),
            closed,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Connects, exchanges settings and fetches the routes of the configured topics, so that the first send is as fast as
    /// the others. Goes on with the brokers that answer, if one does.
    ///
    /// # Errors
    /// The error that a send would return: no connection, an invalid signature, an unknown topic, or one of another type.
    pub async fn warm_up(&self) -> Result<(), ClientError> {
        let client = &self.inner.client;
        let bound = client.config.request_timeout;
        self.inner.settings_asked.store(true, Ordering::Relaxed);
        self.inner.session.ensure(bound).await?;
        for topic in &self.inner.config.topics {
            let route = client.routes.get(topic, bound).await?;
            if !route.has_writable() {
                return Err(ClientError::Config(format!("topic {topic} has no writable queue")));
            }
            route.check_type(topic, self.inner.config.topic_type)?;
            client.routes.preconnect(topic, &route, bound).await?;
        }
        Ok(())
    }

    /// Enqueues `record`, waits at most `queue_timeout` for room, then awaits the delivery.
    ///
    /// Dropping the future does not cancel a record that is enqueued.
    ///
    /// # Errors
    /// [`Undelivered`]: the error and the record.
    pub async fn send(&self, record: FutureRecord, queue_timeout: Duration) -> Result<Delivery, Undelivered> {
        let room = timeout(queue_timeout, self.inner.room(&record)).await;
        let delivery = match room {
            Ok(Ok(permits)) => self.enqueue(record, permits),
            Ok(Err(error)) => return Err((error, Box::new(record))),
            Err(_elapsed) => return Err((SendError::QueueFull, Box::new(record))),
        };
        delivery.await
    }

    /// Enqueues `record` without waiting, or returns it.
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
        if !inner.settings_asked.swap(true, Ordering::Relaxed) {
            let inner = inner.clone();
            // Beside the send, which would otherwise wait for two answers.
            tokio::spawn(async move { inner.exchange_settings().await });
        }
        // The task owns the delivery, so a caller that drops its future does not cancel it.
        self.inner.deliveries.spawn(async move {
            let result = inner.deliver(record).await;
            // The room is released first, so that the caller's next send finds it.
            drop(permits);
            let _receiver_dropped = settle.send(result);
        });
        DeliveryFuture { settled }
    }

    /// Waits at most `bound` until every message that is enqueued now is settled; returns true if they are. Other clones
    /// enqueue further messages meanwhile.
    pub async fn flush(&self, bound: Duration) -> bool {
        timeout(bound, self.inner.deliveries.settled()).await.is_ok()
    }

    /// Rejects further messages, waits at most `bound` for the enqueued ones, then notifies the server. Returns true if
    /// every enqueued message was settled.
    pub async fn close(&self, bound: Duration) -> bool {
        let closing = async {
            self.inner.queue_bytes.close();
            self.inner.deliveries.settled().await;
        };
        let settled = timeout(bound, closing).await.is_ok();
        self.inner.closed.cancel();
        self.inner.notify_termination().await;
        settled
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.inner.client.counters.snapshot()
    }

    /// Number of messages enqueued and not yet settled.
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

/// Room in the queue; released on drop.
struct Permits {
    _message: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Inner {
    async fn exchange_settings(&self) {
        let exchange = self.session.ensure(self.client.config.request_timeout);
        if let Some(Err(error)) = self.closed.run_until_cancelled(exchange).await {
            let origin = ErrorOrigin::new("exchanging settings").at(&self.client.config.endpoints);
            self.client.context.error(&error, &origin);
        }
    }

    fn bytes_of(&self, record: &FutureRecord) -> Result<u32, SendError> {
        record.validate().map_err(SendError::Invalid)?;
        let bytes = record.payload.len();
        let servers_max = self.policy.body_bytes_max().unwrap_or(usize::MAX);
        let bytes_max = servers_max.min(self.config.body_bytes_max).min(self.config.queue_bytes_max.get());
        let too_large = SendError::TooLarge { bytes, bytes_max };
        if bytes > bytes_max { Err(too_large) } else { u32::try_from(bytes).map_err(|_| too_large) }
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

    async fn notify_termination(&self) {
        let request = NotifyClientTerminationRequest { group: None };
        if let Ok(transport) = self.client.transports.access_point() {
            let notification = transport.unary::<_, NotifyClientTerminationResponse>(
                path::NOTIFY_CLIENT_TERMINATION,
                request,
                Duration::from_millis(500),
            );
            if let Err(error) = notification.await {
                let origin = ErrorOrigin::new("notifying the broker of the termination");
                self.client.context.error(&error, &origin.at(&self.client.config.endpoints));
            }
        }
    }
}

/// Resolves when the broker acknowledged the message, or its delivery failed. Dropping it does not cancel the delivery.
#[derive(Debug)]
#[must_use = "an unawaited delivery may have failed"]
pub struct DeliveryFuture {
    settled: oneshot::Receiver<Result<Delivery, Undelivered>>,
}

impl Future for DeliveryFuture {
    type Output = Result<Delivery, Undelivered>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.settled).poll(context)).unwrap_or_else(|_dropped| {
            // The runtime was dropped, and with it the delivery and its record.
            Err((SendError::Closed, Box::new(FutureRecord::to(""))))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct HeldContext(#[allow(dead_code, reason = "counts the context's owners")] Arc<()>);

    impl ClientContext for HeldContext {}

    #[tokio::test(start_paused = true)]
    async fn a_dropped_producer_ends_its_statistics() {
        let mut client = ClientConfig::new("127.0.0.1:1".parse().expect("valid"));
        client.stats_interval = Some(Duration::from_secs(1));
        let held = Arc::new(());
        let producer =
            FutureProducer::new(client, ProducerConfig::default(), HeldContext(held.clone())).expect("valid");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(Arc::strong_count(&held), 2);
        drop(producer);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
