//! The connections of one client, by server.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::Transport;
use crate::auth::Signer;
use crate::config::{ClientConfig, Endpoint};
use crate::error::ClientError;

/// At most one connection for each server in the routes.
#[derive(Debug)]
pub(crate) struct Transports {
    config: Arc<ClientConfig>,
    signer: Arc<Signer>,
    by_endpoint: Mutex<HashMap<Endpoint, Arc<Transport>>>,
}

impl Transports {
    pub(crate) fn new(config: Arc<ClientConfig>, client_id: &str) -> Result<Self, ClientError> {
        let signer = Arc::new(Signer::new(&config, client_id)?);
        let transports = Self { config, signer, by_endpoint: Mutex::default() };
        // Reports an invalid endpoint or certificate now, not at the first call.
        transports.access_point()?;
        Ok(transports)
    }

    /// The connection to the configured endpoint.
    pub(crate) fn access_point(&self) -> Result<Arc<Transport>, ClientError> {
        self.get(&self.config.endpoint)
    }

    pub(crate) fn get(&self, endpoint: &Endpoint) -> Result<Arc<Transport>, ClientError> {
        let mut by_endpoint = self.by_endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = by_endpoint.get(endpoint) {
            return Ok(transport.clone());
        }
        let transport = Arc::new(Transport::new(&self.config, self.signer.clone(), endpoint.clone())?);
        by_endpoint.insert(endpoint.clone(), transport.clone());
        Ok(transport)
    }

    /// Forgets the connections to other servers than `endpoints` and the configured one. Calls in flight run to their end.
    pub(crate) fn retain(&self, endpoints: &HashSet<Endpoint>) {
        let mut by_endpoint = self.by_endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        by_endpoint.retain(|endpoint, _| *endpoint == self.config.endpoint || endpoints.contains(endpoint));
    }
}
