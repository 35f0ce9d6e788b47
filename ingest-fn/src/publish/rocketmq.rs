//! The sink that is RocketMQ.

use std::future::Future;

use shared::rocketmq::{ClientError, FutureProducer, FutureRecord, SendError};

use super::{BatchSink, PublishError, SealedBatch};

/// Sends batches to one topic.
#[derive(Clone, Debug)]
pub struct RocketmqSink {
    producer: FutureProducer,
    topic: String,
}

impl RocketmqSink {
    /// Sends to `topic` by `producer`.
    #[must_use]
    pub const fn new(producer: FutureProducer, topic: String) -> Self {
        Self { producer, topic }
    }

    /// The producer.
    #[must_use]
    pub const fn producer(&self) -> &FutureProducer {
        &self.producer
    }
}

impl BatchSink for RocketmqSink {
    fn send(&self, batch: SealedBatch) -> impl Future<Output = Result<(), PublishError>> + Send + 'static {
        let record = FutureRecord::to(self.topic.clone())
            .body(batch.body)
            .keys(batch.order_ids.iter().map(ToString::to_string));
        // Enqueued now or refused now: waiting for room would be a queue in front of a queue.
        let enqueued = self.producer.send_result(record);
        async move {
            let result = match enqueued {
                Ok(delivery) => delivery.await,
                Err(refused) => Err(refused),
            };
            result.map(drop).map_err(|(error, _record)| classify(&error))
        }
    }
}

fn classify(error: &SendError) -> PublishError {
    let result = match error {
        SendError::QueueFull => PublishError::QueueFull,
        SendError::Closed => PublishError::Stopping,
        SendError::Delivery { error: ClientError::Throttled { .. }, .. } => PublishError::Throttled,
        SendError::Delivery { error: ClientError::Timeout { .. }, .. } => PublishError::TimedOut,
        SendError::Invalid(_) | SendError::Delivery { .. } => PublishError::Failed,
    };
    crate::metrics::publish_failed(result);
    crate::summary::publish_failure(error);
    result
}
