//! The parts that producers and consumers share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::ClientConfig;
use crate::context::{ClientContext, Counters};
use crate::error::ClientError;
use crate::ids;
use crate::protocol::{self, ClientType, PubSub, Settings};
use crate::route::{BrokerRests, RouteCache};
use crate::transport::Transports;

/// Clones are cheap and share everything.
#[derive(Clone)]
pub(crate) struct ClientCore {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) transports: Arc<Transports>,
    pub(crate) routes: RouteCache,
    pub(crate) rests: Arc<BrokerRests>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) context: Arc<dyn ClientContext>,
}

impl ClientCore {
    /// `kind` is a part of the client's id.
    pub(crate) fn new(
        config: ClientConfig,
        kind: &str,
        context: impl ClientContext,
    ) -> Result<Self, ClientError> {
        let config = Arc::new(config);
        let transports = Arc::new(Transports::new(config.clone(), &ids::client_id(kind))?);
        Ok(Self {
            routes: RouteCache::new(config.clone(), transports.clone()),
            rests: Arc::new(BrokerRests::new(config.request_timeout)),
            counters: Arc::default(),
            context: Arc::new(context),
            config,
            transports,
        })
    }

    /// The settings that the client sends to a server.
    pub(crate) fn settings(&self, kind: ClientType, pub_sub: PubSub) -> Settings {
        Settings {
            client_type: Some(kind.into()),
            access_point: Some(self.config.endpoints.to_protocol()),
            backoff_policy: None,
            request_timeout: Some(protocol::duration(self.config.request_timeout)),
            pub_sub: Some(pub_sub),
            user_agent: Some(protocol::UserAgent {
                language: protocol::Language::Rust.into(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                platform: std::env::consts::OS.to_owned(),
                hostname: String::new(),
            }),
            metric: None,
        }
    }

    /// Calls [`ClientContext::stats`] at its interval, if there is one, until `closed`.
    pub(crate) fn report_statistics(&self, closed: &CancellationToken) {
        let Some(interval) = self.config.stats_interval else { return };
        let (closed, counters, context) = (closed.clone(), self.counters.clone(), self.context.clone());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.tick().await;
            while closed.run_until_cancelled(ticks.tick()).await.is_some() {
                context.stats(&counters.snapshot());
            }
        });
    }
}
