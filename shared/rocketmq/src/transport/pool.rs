//! The connections of one client, by server.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::Transport;
use super::connector::Connector;
#[cfg(feature = "tls")]
use super::tls::TlsDialer;
use crate::auth::Signer;
use crate::config::ClientConfig;
use crate::endpoints::Endpoints;
use crate::error::ClientError;

/// At most one connection for each server in the routes.
#[derive(Debug)]
pub(crate) struct Transports {
    config: Arc<ClientConfig>,
    signer: Arc<Signer>,
    #[cfg(feature = "tls")]
    tls: Option<TlsDialer>,
    by_endpoints: Mutex<HashMap<Endpoints, Arc<Transport>>>,
}

impl Transports {
    pub(crate) fn new(config: Arc<ClientConfig>, client_id: &str) -> Result<Self, ClientError> {
        let signer = Arc::new(Signer::new(&config, client_id)?);
        let transports = Self {
            #[cfg(feature = "tls")]
            tls: config.tls.as_ref().map(TlsDialer::new).transpose()?,
            config,
            signer,
            by_endpoints: Mutex::default(),
        };
        // Reports an invalid endpoint or certificate now, not at the first call.
        transports.access_point()?;
        Ok(transports)
    }

    /// The connection to the configured endpoint.
    pub(crate) fn access_point(&self) -> Result<Arc<Transport>, ClientError> {
        self.get(&self.config.endpoints)
    }

    pub(crate) fn get(&self, endpoints: &Endpoints) -> Result<Arc<Transport>, ClientError> {
        let mut by_endpoints = self.by_endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = by_endpoints.get(endpoints) {
            return Ok(transport.clone());
        }
        let connector = Connector {
            endpoints: endpoints.clone(),
            connect_timeout: self.config.connect_timeout,
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
        };
        let transport = Arc::new(Transport::new(&self.config, self.signer.clone(), connector)?);
        by_endpoints.insert(endpoints.clone(), transport.clone());
        Ok(transport)
    }

    /// Forgets the connections to other servers than `endpoints` and the configured one. Calls in flight run to their end.
    pub(crate) fn retain(&self, endpoints: &HashSet<Endpoints>) {
        let mut by_endpoints = self.by_endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        by_endpoints.retain(|known, _| *known == self.config.endpoints || endpoints.contains(known));
    }
}
