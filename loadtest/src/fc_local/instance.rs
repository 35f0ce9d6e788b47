//! An instance: a process, its connections, and where it stands.

use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, StatusCode};
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::timeout;

use super::connection::{Connection, ExchangeError, no_body};
use super::lock;
use crate::parts::Child;
use crate::platform::InstanceId;

/// Longest answer to the front's own questions, bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where an instance stands, for those who wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Starting,
    Ready,
    Ended(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its `POST /initialize` failed; the process may not be gone yet.
    NotInitialized,
    /// It did not start, or its process has ended.
    Gone,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: InstanceId,
    address: OnceLock<SocketAddr>,
    process: Mutex<Option<Child>>,
    standing: watch::Sender<Standing>,
    connections: Mutex<Vec<Connection>>,
}

impl Instance {
    pub(super) fn new(id: InstanceId) -> Self {
        Self {
            id,
            address: OnceLock::new(),
            process: Mutex::new(None),
            standing: watch::Sender::new(Standing::Starting),
            connections: Mutex::default(),
        }
    }

    /// Its process runs now, and will listen at `address`.
    pub(super) fn begun(&self, process: Child, address: SocketAddr) {
        // Set once, by the task that starts it.
        let _first = self.address.set(address);
        *lock(&self.process) = Some(process);
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        lock(&self.process).as_ref().and_then(Child::pid)
    }

    /// To a process that has ended, or is not there yet, no signal is sent.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &*lock(&self.process)
            && let Err(error) = process.signal(signal)
        {
            tracing::warn!(%error, ?signal, "an instance takes no signal");
        }
    }

    /// When the process has ended; how it did.
    pub(super) fn poll_process_ended(&self, context: &mut Context<'_>) -> Poll<String> {
        match &mut *lock(&self.process) {
            Some(process) => process.poll_ended(context),
            None => Poll::Ready("there is no process".to_owned()),
        }
    }

    /// The first end is the one that counts; whether this is news.
    pub(super) fn stand(&self, standing: Standing) -> bool {
        self.standing.send_if_modified(|current| {
            let ended = matches!(current, Standing::Ended(_));
            if !ended {
                *current = standing;
            }
            !ended
        })
    }

    /// Waits until it takes requests, or never will.
    pub(super) async fn ready(&self) -> Result<(), End> {
        let mut standing = self.standing.subscribe();
        match standing.wait_for(|standing| *standing != Standing::Starting).await.as_deref() {
            Ok(Standing::Ready) => Ok(()),
            Ok(Standing::Ended(end)) => Err(*end),
            Ok(Standing::Starting) | Err(_) => Err(End::Gone),
        }
    }

    /// Whether it has ended within `bound`.
    pub(super) async fn has_ended(&self, bound: Duration) -> bool {
        let mut standing = self.standing.subscribe();
        timeout(bound, standing.wait_for(|standing| matches!(standing, Standing::Ended(_)))).await.is_ok()
    }

    /// A connection to it: the one that was used last, or a new one.
    pub(super) async fn connection(&self) -> Result<Connection, ExchangeError> {
        let kept = lock(&self.connections).pop();
        match (kept, self.address()) {
            (Some(connection), _) => Ok(connection),
            (None, Some(address)) => Connection::open(address).await,
            (None, None) => Err(ExchangeError::Broken),
        }
    }

    /// Keeps a connection that has not been used yet.
    pub(super) fn keep_new(&self, connection: Connection) {
        lock(&self.connections).push(connection);
    }

    /// Whether it has taken requests, or still does.
    pub(super) fn was_ready(&self) -> bool {
        *self.standing.borrow() == Standing::Ready
    }

    /// Keeps a connection for the next request. There are never more than requests at once.
    pub(super) fn keep(&self, connection: Connection) {
        if connection.is_reusable() {
            lock(&self.connections).push(connection);
        }
    }

    /// Asks it something for the platform; the answer's status.
    pub(super) async fn ask(&self, method: Method, path: &'static str) -> Result<StatusCode, ExchangeError> {
        let mut request = Request::new(no_body());
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static(path);
        request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("instance"));
        let mut connection = self.connection().await?;
        let (parts, _body) = connection.exchange(request, ANSWER_BYTES_MAX).await?;
        self.keep(connection);
        Ok(parts.status)
    }
}
