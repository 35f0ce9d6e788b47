//! The cache of routes. An old route serves while one query in the background replaces it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use tokio::time::{Instant, timeout};

use super::Route;
use crate::config::{ClientConfig, RetryConfig};
use crate::error::{ClientError, check};
use crate::freeze_aware_instant::FreezeAwareInstant;
use crate::protocol::{QueryRouteRequest, QueryRouteResponse, Resource, path};
use crate::transport::Transports;

/// Minimum time between two refreshes of a topic's route: failing sends must not query without end.
const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Delays after failed refreshes of a topic's route.
const RETRY: RetryConfig = RetryConfig {
    attempts_max: u32::MAX,
    backoff_initial: Duration::from_millis(500),
    backoff_max: Duration::from_secs(30),
};

/// Routes by topic. Clones are cheap and share one cache.
#[derive(Clone, Debug)]
pub(crate) struct RouteCache {
    config: Arc<ClientConfig>,
    transports: Arc<Transports>,
    topics: Arc<Mutex<HashMap<String, CachedRoute>>>,
}

/// A query in flight, and its result for all that wait.
pub(crate) type Refresh = Shared<BoxFuture<'static, Result<Arc<Route>, ClientError>>>;

#[derive(Debug, Default)]
struct CachedRoute {
    route: Option<Arc<Route>>,
    fetched_at: Option<FreezeAwareInstant>,
    /// True after a call by this route failed.
    is_stale: bool,
    refresh: Option<Refresh>,
    /// Refreshes that failed since the last that did not.
    failures: u32,
    refresh_after: Option<Instant>,
}

impl CachedRoute {
    fn is_fresh(&self, ttl: Duration) -> bool {
        !self.is_stale && self.fetched_at.is_some_and(|fetched_at| fetched_at.age() < ttl)
    }

    fn is_refresh_due(&self) -> bool {
        let waited = self.refresh_after.is_none_or(|after| after <= Instant::now());
        self.refresh.is_none() && (waited || self.route.is_none())
    }
}

impl RouteCache {
    pub(crate) fn new(config: Arc<ClientConfig>, transports: Arc<Transports>) -> Self {
        Self { config, transports, topics: Arc::default() }
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<String, CachedRoute>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `name` as a resource in this client's namespace.
    pub(crate) fn resource(&self, name: &str) -> Resource {
        Resource { resource_namespace: self.config.namespace.clone(), name: name.to_owned() }
    }

    /// Returns the route of `topic`. An old one is returned at once, and refreshed in the background. Without one, waits
    /// at most `bound` for a query that all callers share.
    pub(crate) async fn get(&self, topic: &str, bound: Duration) -> Result<Arc<Route>, ClientError> {
        match self.cached(topic) {
            Ok(route) => Ok(route),
            Err(refresh) => timeout(bound, refresh)
                .await
                .unwrap_or(Err(ClientError::Timeout { call: "QueryRoute", after: bound })),
        }
    }

    /// Returns the cached route without waiting, or the query to wait for. An old route is refreshed in the background.
    pub(crate) fn cached(&self, topic: &str) -> Result<Arc<Route>, Refresh> {
        let mut topics = self.topics();
        let cached = match topics.get_mut(topic) {
            Some(cached) => cached,
            None => topics.entry(topic.to_owned()).or_default(),
        };
        if !cached.is_fresh(self.config.route_ttl) && cached.is_refresh_due() {
            cached.refresh = Some(self.start_refresh(topic));
        }
        match (&cached.route, &cached.refresh) {
            (Some(route), _) => Ok(route.clone()),
            (None, Some(refresh)) => Err(refresh.clone()),
            (None, None) => Err(self.start_refresh(topic)),
        }
    }

    /// Makes the next use of the topic refresh its route.
    pub(crate) fn mark_stale(&self, topic: &str) {
        if let Some(cached) = self.topics().get_mut(topic) {
            cached.is_stale = true;
        }
    }

    /// Queries the route of `topic` within `bound`, whether or not it is cached.
    pub(crate) async fn fetch(&self, topic: &str, bound: Duration) -> Result<Arc<Route>, ClientError> {
        let result = self.query(topic, bound).await;
        self.store(topic, &result);
        result
    }

    /// In a task of its own, which a caller that stops waiting does not end.
    fn start_refresh(&self, topic: &str) -> Refresh {
        let (cache, topic) = (self.clone(), topic.to_owned());
        let refresh = tokio::spawn(async move {
            let result = cache.query(&topic, cache.config.request_timeout).await;
            if let Err(error) = &result {
                tracing::debug!(topic, %error, "route not refreshed");
            }
            cache.store(&topic, &result);
            if let Some(cached) = cache.topics().get_mut(&topic) {
                cached.refresh = None;
            }
            result
        });
        refresh.map(|ended| ended.unwrap_or(Err(ClientError::Closed))).boxed().shared()
    }

    fn store(&self, topic: &str, result: &Result<Arc<Route>, ClientError>) {
        let mut topics = self.topics();
        let cached = topics.entry(topic.to_owned()).or_default();
        match result {
            Ok(route) => {
                cached.route = Some(route.clone());
                cached.fetched_at = Some(FreezeAwareInstant::now());
                cached.is_stale = false;
                cached.failures = 0;
                let wait = REFRESH_INTERVAL_MIN.min(self.config.route_ttl);
                cached.refresh_after = Some(Instant::now() + wait);
            }
            Err(error) if error.is_retryable() => {
                cached.failures = cached.failures.saturating_add(1);
                cached.refresh_after = Some(Instant::now() + RETRY.backoff(cached.failures));
            }
            // The topic is gone, or this client may no longer use it.
            Err(_) => drop(topics.remove(topic)),
        }
    }

    async fn query(&self, topic: &str, bound: Duration) -> Result<Arc<Route>, ClientError> {
        let transport = self.transports.access_point()?;
        let response: QueryRouteResponse =
            transport.unary(path::QUERY_ROUTE, self.query_request(topic), bound).await?;
        check("QueryRoute", response.status)?;
        let previous = self.topics().get(topic).and_then(|cached| cached.route.clone());
        Ok(Arc::new(Route::new(&self.config.endpoints, response.message_queues, previous.as_deref())))
    }

    fn query_request(&self, topic: &str) -> QueryRouteRequest {
        QueryRouteRequest {
            topic: Some(self.resource(topic)),
            endpoints: Some(self.config.endpoints.to_protocol()),
        }
    }

    /// Opens the connections that the first message by `route` would open, side by side.
    ///
    /// # Errors
    /// The first error, if no connection could be opened.
    pub(crate) async fn preconnect(
        &self,
        topic: &str,
        route: &Route,
        bound: Duration,
    ) -> Result<(), ClientError> {
        let opening = route.write_endpoints().into_iter().map(|endpoint| async move {
            if *endpoint == self.config.endpoints {
                return Ok(());
            }
            let transport = self.transports.get(endpoint)?;
            let _route: QueryRouteResponse =
                transport.unary(path::QUERY_ROUTE, self.query_request(topic), bound).await?;
            Ok(())
        });
        let results = join_all(opening).await;
        let any_opened = results.iter().any(Result::is_ok);
        let first_error = results.into_iter().find_map(Result::err);
        first_error.filter(|_| !any_opened).map_or(Ok(()), Err)
    }
}
