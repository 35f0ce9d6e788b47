//! Heartbeats: the proxy drops the settings of a client that sends none.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::receive::Receiver;
use crate::context::ErrorOrigin;
use crate::endpoints::Endpoints;

/// Sends heartbeats to the endpoints of the routes until the consumer is closed or dropped.
pub(super) fn start(receiver: &Arc<Receiver>, interval: Duration, closed: &CancellationToken) {
    let (receiver, closed) = (Arc::downgrade(receiver), closed.clone());
    tokio::spawn(async move { run(receiver, interval, closed).await });
}

async fn run(receiver: Weak<Receiver>, interval: Duration, closed: CancellationToken) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut running: HashMap<Endpoints, JoinHandle<()>> = HashMap::new();
    while closed.run_until_cancelled(ticks.tick()).await.is_some() {
        let Some(receiver) = receiver.upgrade() else { return };
        let Some(endpoints) = receiver.cached_endpoints() else { continue };
        receiver.registrations.retain(&endpoints);
        running.retain(|_, heartbeat| !heartbeat.is_finished());
        for endpoint in endpoints {
            // A server that does not answer delays its own heartbeats only.
            running.entry(endpoint.clone()).or_insert_with(|| {
                let receiver = receiver.clone();
                tokio::spawn(async move {
                    if let Err(error) = receiver.registrations.register(&endpoint).await {
                        let origin = ErrorOrigin::new("heartbeat").at(&endpoint);
                        receiver.client.context.error(&error, &origin);
                    }
                })
            });
        }
    }
}

impl Receiver {
    /// Endpoints of the readable brokers by the cached routes, which are refreshed in the background; `None` while a
    /// topic has none.
    pub(super) fn cached_endpoints(&self) -> Option<HashSet<Endpoints>> {
        let mut endpoints = HashSet::new();
        for topic in self.subscriptions.all().keys() {
            let route = self.client.routes.cached(topic).ok()?;
            endpoints.extend(route.read_targets().iter().map(|target| target.broker.endpoints.clone()));
        }
        Some(endpoints)
    }
}
