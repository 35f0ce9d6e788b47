//! Which queues a topic has, and where; asked for once and kept for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::age::LearntAt;
use crate::config::{ClientConfig, Endpoint};
use crate::error::{ClientError, check};
use crate::protocol::{
    Broker, MessageQueue, Permission, QueryRouteRequest, QueryRouteResponse, Resource, path,
};
use crate::transport::Transports;

/// Brokers of a topic that take, or give, messages.
#[derive(Debug)]
pub(crate) struct Route {
    /// One entry a writable queue, so that picking evenly loads queues evenly.
    writable: Vec<Target>,
    /// One entry a broker with readable queues: a receive is served by all queues of a broker.
    readable: Vec<Target>,
    /// Readable queues: broker name and number.
    queues: Vec<(String, i32)>,
    next_write: AtomicUsize,
    next_read: AtomicUsize,
}

/// Where to send a call.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) queue: MessageQueue,
}

impl Route {
    fn new(config: &ClientConfig, queues: Vec<MessageQueue>) -> Self {
        let mut route = Self {
            writable: Vec::new(),
            readable: Vec::new(),
            queues: Vec::new(),
            next_write: AtomicUsize::new(0),
            // Clients start at different brokers.
            next_read: AtomicUsize::new(rand::random::<u16>().into()),
        };
        for queue in queues {
            let Some(broker) = queue.broker.clone() else { continue };
            let endpoint = broker.endpoints.as_ref().and_then(Endpoint::from_protocol);
            let endpoint = endpoint.unwrap_or_else(|| config.endpoint.clone());
            let permission = queue.permission();
            let target = Target { endpoint, queue };
            if matches!(permission, Permission::Write | Permission::ReadWrite) {
                route.writable.push(target.clone());
            }
            if matches!(permission, Permission::Read | Permission::ReadWrite) {
                route.queues.push((broker.name.clone(), target.queue.id));
                let name =
                    |target: &Target| target.queue.broker.as_ref().map(|Broker { name, .. }| name.clone());
                if !route.readable.iter().any(|known| name(known) == name(&target)) {
                    route.readable.push(target);
                }
            }
        }
        route
    }

    /// The next queue to write to, in turn.
    pub(crate) fn write_target(&self) -> Option<&Target> {
        let turn = self.next_write.fetch_add(1, Ordering::Relaxed);
        self.writable.get(turn.checked_rem(self.writable.len())?)
    }

    /// The next broker to receive from, in turn.
    pub(crate) fn read_target(&self) -> Option<&Target> {
        let turn = self.next_read.fetch_add(1, Ordering::Relaxed);
        self.readable.get(turn.checked_rem(self.readable.len())?)
    }

    pub(crate) fn read_targets(&self) -> &[Target] {
        &self.readable
    }

    pub(crate) fn queues(&self) -> &[(String, i32)] {
        &self.queues
    }
}

/// Routes by topic.
#[derive(Debug)]
pub(crate) struct Routes {
    config: Arc<ClientConfig>,
    transports: Arc<Transports>,
    known: Mutex<HashMap<String, Known>>,
    /// Held while asking, so that a thousand waiting sends ask once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Known {
    route: Arc<Route>,
    asked_at: LearntAt,
}

impl Routes {
    pub(crate) fn new(config: Arc<ClientConfig>, transports: Arc<Transports>) -> Self {
        Self { config, transports, known: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// `topic` in this client's namespace.
    pub(crate) fn resource(&self, name: &str) -> Resource {
        Resource { resource_namespace: self.config.namespace.clone(), name: name.to_owned() }
    }

    fn fresh(&self, topic: &str) -> Option<Arc<Route>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(topic)
            .filter(|known| known.asked_at.age() < self.config.route_ttl)
            .map(|known| known.route.clone())
    }

    fn stale(&self, topic: &str) -> Option<Arc<Route>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(topic).map(|known| known.route.clone())
    }

    /// Has the topic asked for again at its next use.
    pub(crate) fn forget(&self, topic: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
    }

    /// The route of `topic`, asked for within `bound` if none is fresh. An old one serves while the server does not answer.
    pub(crate) async fn get(&self, topic: &str, bound: Duration) -> Result<Arc<Route>, ClientError> {
        if let Some(route) = self.fresh(topic) {
            return Ok(route);
        }
        let _asking = self.asking.lock().await;
        if let Some(route) = self.fresh(topic) {
            return Ok(route);
        }
        match self.ask(topic, bound).await {
            Ok(route) => Ok(route),
            Err(error) if error.is_retryable() => self.stale(topic).ok_or(error),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, topic: &str, bound: Duration) -> Result<Arc<Route>, ClientError> {
        let request = QueryRouteRequest {
            topic: Some(self.resource(topic)),
            endpoints: Some(self.config.endpoint.to_protocol()),
        };
        let transport = self.transports.access_point()?;
        let response: QueryRouteResponse = transport.unary(path::QUERY_ROUTE, request, bound).await?;
        check("QueryRoute", response.status)?;
        let route = Arc::new(Route::new(&self.config, response.message_queues));
        let known = Known { route: route.clone(), asked_at: LearntAt::now() };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), known);
        Ok(route)
    }
}
