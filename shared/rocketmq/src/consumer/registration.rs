//! The consumer's registration with its servers: settings in a session, and heartbeats.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use crate::client::ClientCore;
use crate::context::ErrorOrigin;
use crate::endpoints::Endpoints;
use crate::error::{ClientError, check};
use crate::protocol::{
    ClientType, Code, HeartbeatRequest, HeartbeatResponse, NotifyClientTerminationRequest,
    NotifyClientTerminationResponse, Resource, Settings, path,
};
use crate::session::Session;

pub(super) struct Registrations {
    client: ClientCore,
    group: Resource,
    settings: Mutex<Settings>,
    sessions: Mutex<HashMap<Endpoints, Arc<Session>>>,
}

impl Registrations {
    pub(super) fn new(client: ClientCore, group: Resource, settings: Settings) -> Self {
        Self { client, group, settings: Mutex::new(settings), sessions: Mutex::default() }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Endpoints, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the settings, and closes the sessions: the next use of each opens it with the new ones.
    pub(super) fn replace_settings(&self, settings: Settings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        self.sessions().retain(|endpoint, session| match self.new_session(endpoint) {
            Ok(renewed) => {
                *session = renewed;
                true
            }
            Err(_) => false,
        });
    }

    fn new_session(&self, endpoint: &Endpoints) -> Result<Arc<Session>, ClientError> {
        let transport = self.client.transports.get(endpoint)?;
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The settings of a server say nothing that a consumer of this kind follows.
        let observer = Arc::new(|_: &Settings| ());
        Ok(Arc::new(Session::new(transport, settings, observer, self.client.counters.clone())))
    }

    /// Returns the session with the server at `endpoint`.
    pub(super) fn session(&self, endpoint: &Endpoints) -> Result<Arc<Session>, ClientError> {
        let mut sessions = self.sessions();
        if let Some(session) = sessions.get(endpoint) {
            return Ok(session.clone());
        }
        let session = self.new_session(endpoint)?;
        sessions.insert(endpoint.clone(), session.clone());
        Ok(session)
    }

    /// Opens the session if it is not open, and sends a heartbeat. If the server does not know this client, opens the
    /// session again.
    pub(super) async fn register(&self, endpoint: &Endpoints) -> Result<(), ClientError> {
        let session = self.session(endpoint)?;
        let bound = self.client.config.request_timeout;
        session.ensure(bound).await?;
        match self.heartbeat(endpoint, bound).await {
            Err(ClientError::Status { code: Code::UNRECOGNIZED_CLIENT_TYPE, .. }) => {
                session.invalidate().await;
                session.ensure(bound).await?;
                self.heartbeat(endpoint, bound).await
            }
            result => result,
        }
    }

    async fn heartbeat(&self, endpoint: &Endpoints, bound: Duration) -> Result<(), ClientError> {
        let request = HeartbeatRequest {
            group: Some(self.group.clone()),
            client_type: ClientType::SimpleConsumer.into(),
        };
        let transport = self.client.transports.get(endpoint)?;
        let response: HeartbeatResponse = transport.unary(path::HEARTBEAT, request, bound).await?;
        check("Heartbeat", response.status)
    }

    /// Registers with every endpoint side by side. Reports the failures, and goes on if one succeeded.
    ///
    /// # Errors
    /// An error that is not retryable, else the first error if all failed.
    pub(super) async fn register_all(&self, endpoints: &HashSet<Endpoints>) -> Result<(), ClientError> {
        let results = join_all(endpoints.iter().map(|endpoint| self.register(endpoint))).await;
        let any_registered = results.iter().any(Result::is_ok);
        for (endpoints, result) in endpoints.iter().zip(results) {
            let Err(error) = result else { continue };
            if !any_registered || !error.is_retryable() {
                return Err(error);
            }
            self.client.context.error(&error, &ErrorOrigin::new("registering").at(endpoints));
        }
        Ok(())
    }

    /// Forgets every other endpoint than `endpoints`.
    pub(super) fn retain(&self, endpoints: &HashSet<Endpoints>) {
        self.sessions().retain(|endpoint, _| endpoints.contains(endpoint));
        self.client.transports.retain(endpoints);
    }

    /// Notifies every server within `bound` that this client goes away.
    pub(super) async fn terminate(&self, bound: Duration) {
        let endpoints: Vec<_> = self.sessions().keys().cloned().collect();
        join_all(endpoints.into_iter().map(|endpoint| async move {
            let request = NotifyClientTerminationRequest { group: Some(self.group.clone()) };
            let notified = match self.client.transports.get(&endpoint) {
                Ok(transport) => transport
                    .unary::<_, NotifyClientTerminationResponse>(
                        path::NOTIFY_CLIENT_TERMINATION,
                        request,
                        bound,
                    )
                    .await
                    .map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = notified {
                let origin = ErrorOrigin::new("notifying the broker of the termination").at(&endpoint);
                self.client.context.error(&error, &origin);
            }
        }))
        .await;
    }
}
