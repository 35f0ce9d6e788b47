//! The receipt that settles a delivery, and the errors of settling.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::context::ErrorOrigin;
use crate::error::ClientError;
use crate::protocol::Code;
use crate::route::BrokerKey;
use crate::transport::Transport;

/// A message could not be settled. The broker redelivers it when its invisible duration expires.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The receipt is no longer valid: the invisible duration expired, and the broker redelivers the message.
    #[error("the receipt is no longer valid: {0}")]
    Expired(String),
    /// The call failed, and so did its retries for as long as the receipt was valid.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl SettleError {
    /// Distinguishes an expired receipt from other errors.
    pub(super) fn from_call(error: ClientError) -> Self {
        match error {
            ClientError::Status { code: Code::INVALID_RECEIPT_HANDLE, message } => Self::Expired(message),
            other => Self::Client(other),
        }
    }
}

/// The broker's handle of one delivery, which every extension replaces.
pub(super) struct Receipt {
    pub(super) topic: String,
    pub(super) message_id: String,
    pub(super) broker: Arc<BrokerKey>,
    pub(super) transport: Arc<Transport>,
    pub(super) received_at: Instant,
    /// Locked during a call that replaces the handle.
    handle: Mutex<String>,
    hidden_until: StdMutex<Instant>,
    settled: AtomicBool,
}

impl Receipt {
    pub(super) fn new(
        topic: String,
        message_id: String,
        handle: String,
        broker: Arc<BrokerKey>,
        transport: Arc<Transport>,
        hidden_until: Instant,
    ) -> Self {
        Self {
            topic,
            message_id,
            broker,
            transport,
            received_at: Instant::now(),
            handle: Mutex::new(handle),
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

    /// Returns the handle, unless a call in flight replaces it.
    pub(super) fn try_handle(&self) -> Option<String> {
        self.handle.try_lock().ok().map(|handle| handle.clone())
    }

    pub(super) async fn handle(&self) -> MutexGuard<'_, String> {
        self.handle.lock().await
    }

    /// The origin of an error about this delivery.
    pub(super) fn origin(&self, doing: &'static str) -> ErrorOrigin<'_> {
        ErrorOrigin::new(doing).topic(&self.topic).at(&self.broker.endpoints)
    }

    /// Marks the receipt as settled; returns true if it was not.
    pub(super) fn settle(&self) -> bool {
        !self.settled.swap(true, Ordering::AcqRel)
    }
}
