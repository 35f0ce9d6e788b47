//! The sink that sends to RocketMQ.

use std::future::Future;
use std::time::Duration;

use shared::rocketmq::{
    ClientConfig, ClientError, DefaultContext, Endpoints, FutureProducer, FutureRecord, ProducerConfig,
    SendError,
};

use super::{BatchSink, PublishError, SealedBatch, WarmUpError};

/// Sends batches to one topic.
#[derive(Clone, Debug)]
pub struct RocketmqSink {
    producer: FutureProducer,
    endpoints: Endpoints,
    topic: String,
}

impl RocketmqSink {
    /// Connects at the first send or at its warm-up.
    ///
    /// # Errors
    /// [`ClientError::Config`] if the configuration is invalid.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(client: ClientConfig, producer: ProducerConfig, topic: String) -> Result<Self, ClientError> {
        let endpoints = client.endpoints.clone();
        Ok(Self { producer: FutureProducer::new(client, producer, DefaultContext)?, endpoints, topic })
    }
}

impl BatchSink for RocketmqSink {
    fn send(&self, batch: SealedBatch) -> impl Future<Output = Result<(), PublishError>> + Send + 'static {
        let record = FutureRecord::to(self.topic.clone())
            .payload(batch.body)
            .keys(batch.order_ids.iter().map(ToString::to_string));
        // Enqueues now or fails now: waiting for room would be a queue in front of a queue.
        let enqueued = self.producer.send_result(record);
        async move {
            let result = match enqueued {
                Ok(delivery) => delivery.await,
                Err(rejected) => Err(rejected),
            };
            result.map(drop).map_err(|(error, _record)| classify(&error))
        }
    }

    async fn warm_up(&self) -> Result<(), WarmUpError> {
        self.producer.warm_up().await.map_err(|error| WarmUpError {
            retryable: error.is_retryable(),
            reason: format!("RocketMQ at {}: {error}", self.endpoints),
        })
    }

    async fn close(&self, bound: Duration) -> bool {
        self.producer.close(bound).await
    }
}

/// Counts and logs the failure too.
fn classify(error: &SendError) -> PublishError {
    let result = match error {
        SendError::QueueFull => PublishError::QueueFull,
        SendError::Closed => PublishError::Stopping,
        SendError::Delivery { error: ClientError::Throttled { .. }, .. } => PublishError::Throttled,
        SendError::Delivery { error: ClientError::Timeout { .. }, .. } => PublishError::TimedOut,
        SendError::Delivery { error, .. } if error.is_retryable() => PublishError::Failed,
        // A retry does not help against the others.
        _ => PublishError::Rejected,
    };
    crate::metrics::publish_failed(result);
    crate::log_budgets::publish_failed(error);
    result
}
