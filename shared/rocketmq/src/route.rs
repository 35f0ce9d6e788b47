//! Which queues a topic has, and where; asked for once and kept for a while.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

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

    /// Where messages are written to, each server once.
    pub(crate) fn write_endpoints(&self) -> BTreeSet<&Endpoint> {
        self.writable.iter().map(|target| &target.endpoint).collect()
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
    /// Askings that got no answer.
    failures: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Known {
    route: Arc<Route>,
    asked_at: LearntAt,
    /// A send by it failed: it is to be asked for again, and serves only while nobody answers.
    doubted: bool,
}

impl Routes {
    pub(crate) fn new(config: Arc<ClientConfig>, transports: Arc<Transports>) -> Self {
        Self {
            config,
            transports,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            failures: AtomicUsize::new(0),
        }
    }

    /// `topic` in this client's namespace.
    pub(crate) fn resource(&self, name: &str) -> Resource {
        Resource { resource_namespace: self.config.namespace.clone(), name: name.to_owned() }
    }

    fn fresh(&self, topic: &str) -> Option<Arc<Route>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(topic)
            .filter(|known| !known.doubted && known.asked_at.age() < self.config.route_ttl)
            .map(|known| known.route.clone())
    }

    fn stale(&self, topic: &str) -> Option<Arc<Route>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(topic).map(|known| known.route.clone())
    }

    /// Knows nothing of the topic any more: an old route shall not serve.
    pub(crate) fn forget(&self, topic: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
    }

    /// Has the topic asked for again at its next use.
    pub(crate) fn doubt(&self, topic: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(topic) {
            known.doubted = true;
        }
    }

    /// The route of `topic`, asked for within `bound` if none is fresh. An old one serves while the server does not
    /// answer: then half of `bound` is left for what the route is wanted for.
    ///
    /// However many want it at once, `bound` holds for each, and one asks: an answer that did not come for one will not
    /// come for the next who has been waiting.
    pub(crate) async fn get(&self, topic: &str, bound: Duration) -> Result<Arc<Route>, ClientError> {
        if let Some(route) = self.fresh(topic) {
            return Ok(route);
        }
        let bound = if self.stale(topic).is_some() { bound / 2 } else { bound };
        let deadline = Instant::now() + bound;
        let failures = self.failures.load(Ordering::SeqCst);
        let late = || ClientError::Timeout { call: "QueryRoute", after: bound };
        let Ok(_asking) = timeout_at(deadline, self.asking.lock()).await else {
            return self.stale(topic).ok_or_else(late);
        };
        if let Some(route) = self.fresh(topic) {
            return Ok(route);
        }
        let has_just_failed = self.failures.load(Ordering::SeqCst) != failures;
        if let Some(route) = self.stale(topic).filter(|_| has_just_failed) {
            return Ok(route);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        // Without time there is no asking: a call that times out at once would cost a sound connection.
        let asked = if left.is_zero() { Err(late()) } else { self.ask(topic, left).await };
        match asked {
            Ok(route) => Ok(route),
            Err(error) if error.is_retryable() => {
                self.failures.fetch_add(1, Ordering::SeqCst);
                self.stale(topic).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the connections that the first message by `route` would have to make.
    pub(crate) async fn greet(&self, topic: &str, route: &Route, bound: Duration) -> Result<(), ClientError> {
        for endpoint in
            route.write_endpoints().into_iter().filter(|endpoint| **endpoint != self.config.endpoint)
        {
            let transport = self.transports.get(endpoint)?;
            let _route: QueryRouteResponse =
                transport.unary(path::QUERY_ROUTE, self.question(topic), bound).await?;
        }
        Ok(())
    }

    fn question(&self, topic: &str) -> QueryRouteRequest {
        QueryRouteRequest {
            topic: Some(self.resource(topic)),
            endpoints: Some(self.config.endpoint.to_protocol()),
        }
    }

    async fn ask(&self, topic: &str, bound: Duration) -> Result<Arc<Route>, ClientError> {
        let transport = self.transports.access_point()?;
        let response: QueryRouteResponse =
            transport.unary(path::QUERY_ROUTE, self.question(topic), bound).await?;
        check("QueryRoute", response.status)?;
        let route = Arc::new(Route::new(&self.config, response.message_queues));
        let known = Known { route: route.clone(), asked_at: LearntAt::now(), doubted: false };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), known);
        Ok(route)
    }
}
