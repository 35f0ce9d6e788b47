//! Routes of topics: their queues and brokers, cached for [`ClientConfig::route_ttl`].

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::config::{ClientConfig, Endpoint};
use crate::error::{ClientError, check};
use crate::freeze_aware_instant::FreezeAwareInstant;
use crate::protocol::{MessageQueue, Permission, QueryRouteRequest, QueryRouteResponse, Resource, path};
use crate::transport::Transports;

/// The brokers of a topic.
#[derive(Debug)]
pub(crate) struct Route {
    /// One entry per writable queue, so that a round robin loads queues evenly.
    writable: Vec<Target>,
    /// One entry per broker with readable queues: a receive reads all queues of a broker.
    readable: Vec<Target>,
    /// Readable queues: broker name and number.
    queues: Vec<(String, i32)>,
    next_write: AtomicUsize,
    next_read: AtomicUsize,
}

/// A broker as a route names it. Several brokers share an endpoint behind a proxy in cluster mode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BrokerKey {
    pub(crate) endpoint: Endpoint,
    pub(crate) name: String,
}

/// The broker and queue of a call.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) broker: Arc<BrokerKey>,
    pub(crate) queue: MessageQueue,
}

impl Route {
    fn new(config: &ClientConfig, queues: Vec<MessageQueue>) -> Self {
        let mut route = Self {
            writable: Vec::new(),
            readable: Vec::new(),
            queues: Vec::new(),
            next_write: AtomicUsize::new(0),
            // A random start spreads clients over brokers.
            next_read: AtomicUsize::new(rand::random::<u16>().into()),
        };
        for queue in queues {
            let Some(broker) = queue.broker.clone() else { continue };
            let endpoint = broker.endpoints.as_ref().and_then(Endpoint::from_protocol);
            let endpoint = endpoint.unwrap_or_else(|| config.endpoint.clone());
            let permission = queue.permission();
            let key = Arc::new(BrokerKey { endpoint, name: broker.name });
            let target = Target { broker: key.clone(), queue };
            if matches!(permission, Permission::Write | Permission::ReadWrite) {
                route.writable.push(target.clone());
            }
            if matches!(permission, Permission::Read | Permission::ReadWrite) {
                route.queues.push((key.name.clone(), target.queue.id));
                if !route.readable.iter().any(|known| known.broker.name == key.name) {
                    route.readable.push(target);
                }
            }
        }
        route
    }

    /// Returns the next queue to write to, round robin.
    pub(crate) fn write_target(&self) -> Option<&Target> {
        let turn = self.next_write.fetch_add(1, Ordering::Relaxed);
        self.writable.get(turn.checked_rem(self.writable.len())?)
    }

    /// Endpoints of the writable queues, each once.
    pub(crate) fn write_endpoints(&self) -> BTreeSet<&Endpoint> {
        self.writable.iter().map(|target| &target.broker.endpoint).collect()
    }

    /// Returns the next broker to receive from, round robin.
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

/// The cache of routes, by topic.
#[derive(Debug)]
pub(crate) struct Routes {
    config: Arc<ClientConfig>,
    transports: Arc<Transports>,
    cached: Mutex<HashMap<String, CachedRoute>>,
    /// Locked during a query, so that a thousand waiting sends query once.
    refresh_lock: tokio::sync::Mutex<()>,
    /// Queries without a response.
    failures: AtomicUsize,
}

#[derive(Clone, Debug)]
struct CachedRoute {
    route: Arc<Route>,
    fetched_at: FreezeAwareInstant,
    /// True after a send by this route failed: the next use queries again, and uses this route only without a response.
    is_stale: bool,
}

impl Routes {
    pub(crate) fn new(config: Arc<ClientConfig>, transports: Arc<Transports>) -> Self {
        Self {
            config,
            transports,
            cached: Mutex::default(),
            refresh_lock: tokio::sync::Mutex::default(),
            failures: AtomicUsize::new(0),
        }
    }

    /// Returns `name` as a resource in this client's namespace.
    pub(crate) fn resource(&self, name: &str) -> Resource {
        Resource { resource_namespace: self.config.namespace.clone(), name: name.to_owned() }
    }

    fn fresh(&self, topic: &str) -> Option<Arc<Route>> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached
            .get(topic)
            .filter(|cached| !cached.is_stale && cached.fetched_at.age() < self.config.route_ttl)
            .map(|cached| cached.route.clone())
    }

    fn stale(&self, topic: &str) -> Option<Arc<Route>> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.get(topic).map(|cached| cached.route.clone())
    }

    /// Removes the topic's route, so that it is not used even without a response.
    pub(crate) fn remove(&self, topic: &str) {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
    }

    /// Makes the next use of the topic query its route again.
    pub(crate) fn mark_stale(&self, topic: &str) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = cached.get_mut(topic) {
            route.is_stale = true;
        }
    }

    /// Returns the route of `topic`; queries it within `bound` if the cache has no fresh one. If the server does not
    /// respond, a stale route is returned after half of `bound`, so that the caller has the other half.
    ///
    /// `bound` holds for each of many concurrent callers, and one of them queries: if its query gets no response, the
    /// callers that waited for it do not query again.
    pub(crate) async fn get(&self, topic: &str, bound: Duration) -> Result<Arc<Route>, ClientError> {
        if let Some(route) = self.fresh(topic) {
            return Ok(route);
        }
        let bound = if self.stale(topic).is_some() { bound / 2 } else { bound };
        let deadline = Instant::now() + bound;
        let failures = self.failures.load(Ordering::SeqCst);
        let late = || ClientError::Timeout { call: "QueryRoute", after: bound };
        let Ok(_refreshing) = timeout_at(deadline, self.refresh_lock.lock()).await else {
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
        // Without time left there is no query: a call that times out immediately would replace a sound connection.
        let queried = if left.is_zero() { Err(late()) } else { self.query(topic, left).await };
        match queried {
            Ok(route) => Ok(route),
            Err(error) if error.is_retryable() => {
                self.failures.fetch_add(1, Ordering::SeqCst);
                self.stale(topic).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the connections that the first message by `route` would open.
    pub(crate) async fn preconnect(
        &self,
        topic: &str,
        route: &Route,
        bound: Duration,
    ) -> Result<(), ClientError> {
        for endpoint in
            route.write_endpoints().into_iter().filter(|endpoint| **endpoint != self.config.endpoint)
        {
            let transport = self.transports.get(endpoint)?;
            let _route: QueryRouteResponse =
                transport.unary(path::QUERY_ROUTE, self.query_request(topic), bound).await?;
        }
        Ok(())
    }

    fn query_request(&self, topic: &str) -> QueryRouteRequest {
        QueryRouteRequest {
            topic: Some(self.resource(topic)),
            endpoints: Some(self.config.endpoint.to_protocol()),
        }
    }

    async fn query(&self, topic: &str, bound: Duration) -> Result<Arc<Route>, ClientError> {
        let transport = self.transports.access_point()?;
        let response: QueryRouteResponse =
            transport.unary(path::QUERY_ROUTE, self.query_request(topic), bound).await?;
        check("QueryRoute", response.status)?;
        let route = Arc::new(Route::new(&self.config, response.message_queues));
        let known =
            CachedRoute { route: route.clone(), fetched_at: FreezeAwareInstant::now(), is_stale: false };
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), known);
        Ok(route)
    }
}
