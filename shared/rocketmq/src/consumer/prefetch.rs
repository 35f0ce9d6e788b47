//! The buffer behind `recv` and `stream`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::sleep;

use super::{Inner, Message};
use crate::config::RetryConfig;

const RETRY: RetryConfig = RetryConfig {
    attempts_max: u32::MAX,
    backoff_initial: Duration::from_millis(100),
    backoff_max: Duration::from_secs(5),
};

/// A bounded buffer and the task that fills it.
pub(super) struct Prefetch {
    buffer: Mutex<mpsc::Receiver<Message>>,
}

impl Prefetch {
    pub(super) fn start(consumer: &Arc<Inner>) -> Self {
        let (filler, buffer) = mpsc::channel(consumer.config.prefetch_messages_max.get());
        // Weak: a buffered message holds its consumer, and the consumer its buffer.
        consumer.tasks.spawn(fill(Arc::downgrade(consumer), filler, consumer.closed.clone()));
        Self { buffer: Mutex::new(buffer) }
    }

    pub(super) async fn next(&self) -> Option<Message> {
        self.buffer.lock().await.recv().await
    }

    /// Nacks the buffered messages.
    pub(super) async fn drain(&self) {
        let mut buffer = self.buffer.lock().await;
        buffer.close();
        while let Some(message) = buffer.recv().await {
            drop(message);
        }
    }
}

async fn fill(
    consumer: std::sync::Weak<Inner>,
    filler: mpsc::Sender<Message>,
    closed: tokio_util::sync::CancellationToken,
) {
    let mut failures = 0;
    // Waits for room before the receive, so that every received message fits.
    while let Ok(room) = filler.reserve().await {
        drop(room);
        if closed.is_cancelled() {
            return;
        }
        let Some(consumer) = consumer.upgrade() else { return };
        match consumer.receive(filler.capacity()).await {
            Ok(messages) => {
                failures = 0;
                for message in messages {
                    if filler.send(message).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                failures += 1;
                consumer.context.error(&error, "receiving");
                drop(consumer);
                if closed.run_until_cancelled(sleep(RETRY.backoff(failures))).await.is_none() {
                    return;
                }
            }
        }
    }
}
