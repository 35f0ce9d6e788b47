//! The buffer behind `recv` and `stream`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::message::Message;
use super::receive::Receiver;
use crate::config::RetryConfig;
use crate::context::ErrorOrigin;
use crate::error::ClientError;

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
    pub(super) fn start(
        receiver: &Arc<Receiver>,
        receives: &TaskTracker,
        closed: &CancellationToken,
    ) -> Self {
        let (filler, buffer) = mpsc::channel(receiver.config.prefetch_messages_max.get());
        receives.spawn(fill(receiver.clone(), filler, closed.clone()));
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

async fn fill(receiver: Arc<Receiver>, filler: mpsc::Sender<Message>, closed: CancellationToken) {
    let mut failures = 0;
    // Waits for room before the receive, so that every received message fits.
    while let Ok(room) = filler.reserve().await {
        drop(room);
        if closed.is_cancelled() {
            return;
        }
        match receiver.receive_until(&closed, filler.capacity()).await {
            Ok(messages) => {
                failures = 0;
                for message in messages {
                    if filler.send(message).await.is_err() {
                        return;
                    }
                }
            }
            Err(ClientError::Closed) => return,
            Err(error) => {
                failures += 1;
                receiver.client.context.error(&error, &ErrorOrigin::new("receiving"));
                if closed.run_until_cancelled(sleep(RETRY.backoff(failures))).await.is_none() {
                    return;
                }
            }
        }
    }
}
