//! An instance: its process, its connections and its state.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, StatusCode};
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::timeout;

use super::connection::{ExchangeError, InstanceConnection, no_body};
use crate::platform::InstanceId;
use crate::process::ChildProcess;

/// Maximum size of a response to the front's own requests.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Locks even after a panic: every change under these locks is complete in itself.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceState {
    Starting,
    Ready,
    Ended(InstanceEnd),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceEnd {
    /// `POST /initialize` failed; the process may still run.
    NotInitialized,
    /// The process did not start, or has ended.
    Gone,
}

#[derive(Debug)]
pub(super) struct LocalInstance {
    pub(super) id: InstanceId,
    address: OnceLock<SocketAddr>,
    process: Mutex<Option<ChildProcess>>,
    state: watch::Sender<InstanceState>,
    /// Idle connections: at most as many as the instance serves requests at once.
    connections: Mutex<Vec<InstanceConnection>>,
}

impl LocalInstance {
    pub(super) fn new(id: InstanceId) -> Self {
        Self {
            id,
            address: OnceLock::new(),
            process: Mutex::new(None),
            state: watch::Sender::new(InstanceState::Starting),
            connections: Mutex::default(),
        }
    }

    pub(super) fn set_process(&self, process: ChildProcess, address: SocketAddr) {
        // Set once, by the task that starts the process.
        let _first = self.address.set(address);
        *lock(&self.process) = Some(process);
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        lock(&self.process).as_ref().and_then(ChildProcess::pid)
    }

    /// Sends `signal` if the process runs.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &*lock(&self.process)
            && let Err(error) = process.signal(signal)
        {
            tracing::warn!(event = "instance_signal_failed", %error, ?signal, "cannot signal an instance");
        }
    }

    pub(super) fn poll_process_ended(&self, context: &mut Context<'_>) -> Poll<String> {
        match &mut *lock(&self.process) {
            Some(process) => process.poll_ended(context),
            None => Poll::Ready("there is no process".to_owned()),
        }
    }

    /// Enters `state`, unless the instance has ended. Returns true if it did.
    pub(super) fn enter(&self, state: InstanceState) -> bool {
        self.state.send_if_modified(|current| {
            let ended = matches!(current, InstanceState::Ended(_));
            if !ended {
                *current = state;
            }
            !ended
        })
    }

    /// Returns when the instance serves requests or has failed.
    pub(super) async fn ready(&self) -> Result<(), InstanceEnd> {
        let mut state = self.state.subscribe();
        match state.wait_for(|state| *state != InstanceState::Starting).await.as_deref() {
            Ok(InstanceState::Ready) => Ok(()),
            Ok(InstanceState::Ended(end)) => Err(*end),
            Ok(InstanceState::Starting) | Err(_) => Err(InstanceEnd::Gone),
        }
    }

    /// Waits at most `bound` for the end of the instance; returns true if it has ended.
    pub(super) async fn has_ended(&self, bound: Duration) -> bool {
        let mut state = self.state.subscribe();
        timeout(bound, state.wait_for(|state| matches!(state, InstanceState::Ended(_)))).await.is_ok()
    }

    /// Returns the idle connection that was used last, or opens a new one.
    pub(super) async fn connection(&self) -> Result<InstanceConnection, ExchangeError> {
        let idle = lock(&self.connections).pop();
        match (idle, self.address()) {
            (Some(connection), _) => Ok(connection),
            (None, Some(address)) => InstanceConnection::open(address).await,
            (None, None) => Err(ExchangeError::Broken),
        }
    }

    /// Stores a connection that has not carried a request yet.
    pub(super) fn store_new(&self, connection: InstanceConnection) {
        lock(&self.connections).push(connection);
    }

    pub(super) fn was_ready(&self) -> bool {
        *self.state.borrow() == InstanceState::Ready
    }

    /// Stores a connection for the next request, if it is reusable.
    pub(super) fn store(&self, connection: InstanceConnection) {
        if connection.is_reusable() {
            lock(&self.connections).push(connection);
        }
    }

    /// Sends a request of the platform's own; returns the response's status.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &'static str,
    ) -> Result<StatusCode, ExchangeError> {
        let mut request = Request::new(no_body());
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static(path);
        request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("instance"));
        let mut connection = self.connection().await?;
        let (parts, _body) = connection.exchange(request, RESPONSE_BYTES_MAX).await?;
        self.store(connection);
        Ok(parts.status)
    }
}
