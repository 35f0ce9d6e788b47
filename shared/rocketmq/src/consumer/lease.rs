//! What settles a message, and what can keep it from being settled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::error::ClientError;
use crate::transport::Transport;

/// A message could not be settled. It comes again once its invisibility lapses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The receipt is no longer valid: the message was hidden for too short a time and is, or will be, delivered
    /// again.
    #[error("the receipt is no longer valid: {0}")]
    Expired(String),
    /// The call failed, after tries for as long as the receipt could still be valid.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What settles a message: the receipt, which every extension replaces.
pub(super) struct Lease {
    pub(super) topic: String,
    pub(super) message_id: String,
    pub(super) transport: Arc<Transport>,
    pub(super) received_at: Instant,
    /// Held while a call that replaces the receipt is under way.
    receipt: Mutex<String>,
    hidden_until: StdMutex<Instant>,
    settled: AtomicBool,
}

impl Lease {
    pub(super) fn new(
        topic: String,
        message_id: String,
        receipt: String,
        transport: Arc<Transport>,
        hidden_until: Instant,
    ) -> Self {
        Self {
            topic,
            message_id,
            transport,
            received_at: Instant::now(),
            receipt: Mutex::new(receipt),
            hidden_until: StdMutex::new(hidden_until),
            settled: AtomicBool::new(false),
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    pub(super) fn hidden_until(&self) -> Instant {
        *self.hidden_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_hidden_until(&self, instant: Instant) {
        *self.hidden_until.lock().unwrap_or_else(PoisonError::into_inner) = instant;
    }

    pub(super) async fn receipt(&self) -> MutexGuard<'_, String> {
        self.receipt.lock().await
    }

    /// Says that the lease is settled now, and whether it was not before.
    pub(super) fn settle(&self) -> bool {
        !self.settled.swap(true, Ordering::AcqRel)
    }
}
