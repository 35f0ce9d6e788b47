//! The telemetry session, in which client and server exchange settings. Apache's proxy delivers no message to a client
//! whose settings it does not have, so the client reopens a broken session before the next receive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use crate::context::Counters;
use crate::error::{ClientError, check};
use crate::protocol::{Settings, TelemetryCommand, path};
use crate::transport::Transport;

/// Takes the settings that a server sends.
pub(crate) type SettingsObserver = Arc<dyn Fn(&Settings) + Send + Sync>;

pub(crate) struct Session {
    transport: Arc<Transport>,
    settings: Settings,
    observer: SettingsObserver,
    live: Mutex<Option<OpenSession>>,
    counters: Arc<Counters>,
}

/// An open stream. Dropping the sender closes it on both sides.
#[derive(Debug)]
struct OpenSession {
    _outgoing: mpsc::Sender<TelemetryCommand>,
    open: Arc<AtomicBool>,
}

impl Session {
    /// `settings` are this client's; `observer` gets the server's, now and later ones.
    pub(crate) fn new(
        transport: Arc<Transport>,
        settings: Settings,
        observer: SettingsObserver,
        counters: Arc<Counters>,
    ) -> Self {
        Self { transport, settings, observer, live: Mutex::new(None), counters }
    }

    /// Opens the session if it is not open, so that the server has this client's settings.
    ///
    /// # Errors
    /// [`ClientError::Timeout`] after `bound`, the wait for another caller's opening included.
    pub(crate) async fn ensure(&self, bound: Duration) -> Result<(), ClientError> {
        timeout(bound, self.ensure_open(bound))
            .await
            .unwrap_or(Err(ClientError::Timeout { call: "Telemetry", after: bound }))
    }

    async fn ensure_open(&self, bound: Duration) -> Result<(), ClientError> {
        let mut live = self.live.lock().await;
        if live.as_ref().is_some_and(|live| live.open.load(Ordering::Acquire)) {
            return Ok(());
        }
        *live = None;
        *live = Some(self.open(bound).await?);
        self.counters.sessions.add(1);
        Ok(())
    }

    /// Closes the session, so that the next use reopens it: the server seems to have lost it.
    pub(crate) async fn invalidate(&self) {
        *self.live.lock().await = None;
    }

    async fn open(&self, bound: Duration) -> Result<OpenSession, ClientError> {
        let (outgoing, incoming) = mpsc::channel(1);
        let command = TelemetryCommand { status: None, settings: Some(self.settings.clone()) };
        // The channel is new and has room for one.
        let _sent = outgoing.try_send(command);
        let requests = futures_util::stream::unfold(incoming, |mut incoming| async {
            incoming.recv().await.map(|command| (command, incoming))
        });
        let mut answers =
            self.transport.bidirectional::<_, TelemetryCommand>(path::TELEMETRY, requests, bound).await?;
        let first = answers.next().await?.ok_or(ClientError::Protocol {
            call: "Telemetry",
            what: "the stream ended before the settings",
        })?;
        match &first.settings {
            Some(settings) => (self.observer)(settings),
            None => check("Telemetry", first.status)?,
        }
        let mut answers = answers.into_inner();
        let open = Arc::new(AtomicBool::new(true));
        let (reader_open, observer) = (open.clone(), self.observer.clone());
        // The task ends with the stream, which ends when `outgoing` is dropped or the connection breaks.
        tokio::spawn(async move {
            while let Ok(Some(command)) = answers.message().await {
                if let Some(settings) = &command.settings {
                    observer(settings);
                }
            }
            reader_open.store(false, Ordering::Release);
        });
        Ok(OpenSession { _outgoing: outgoing, open })
    }
}
