//! Routes, and the layers around each.

use std::convert::Infallible;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use axum::routing::{any_service, get, post, post_service};
use futures_util::future::{Either, FutureExt};
use http::{HeaderName, Method, Request};
use shared::time::Clock;
use tower::{Service, ServiceExt, service_fn};

use crate::app::App;
use crate::error::{ApiError, write_problem};
use crate::invoke::invoke;
use crate::layers::load_shed::LoadShed;
use crate::layers::observe::Observe;
use crate::limits::BODY_BYTES_MAX;
use crate::orders::{CreateOrder, ORDERS_PATH};
use crate::publish::OrderPublisher;
use crate::request_context::RequestId;
use crate::{health, lifecycle};

/// `POST /v1/orders` with its layers.
type OrdersService<P, C> = Observe<LoadShed<CreateOrder<P, C>>, C>;

/// All routes of one worker. Clones are cheap.
///
/// - Public: `POST /v1/orders`, the only route of the gateway. It bypasses the router, which saves an order the path
///   look-up and two boxed futures.
/// - For the platform: `/invoke`, `/initialize`, `/pre-stop`, `/healthz`, `/readyz`.
/// - For operators: `/metrics`, `/openapi.json`.
#[derive(Clone, Debug)]
pub struct Dispatch<P, C> {
    orders: OrdersService<P, C>,
    other_routes: Router,
    /// The routes of a connection beyond the bound.
    probes: Router,
}

impl<P: OrderPublisher, C: Clock + Clone> Dispatch<P, C> {
    pub fn new(app: &Arc<App<P, C>>) -> Self {
        let orders = LoadShed::new(app.instance.clone(), BODY_BYTES_MAX, CreateOrder::new(app.clone()));
        let full = observed(app, reject(ApiError::TooManyConnections));
        let probes = probes(app).fallback(move |request: Request<Body>| full.oneshot(request));
        Self { orders: observed(app, orders), other_routes: other_routes(app), probes }
    }

    /// Answers a probe, and rejects any other request.
    pub fn dispatch_probe<B>(&self, request: Request<B>) -> RouteFuture<Infallible>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.probes.clone().call(request)
    }

    pub(crate) fn dispatch<B>(&self, request: Request<B>) -> <Self as Service<Request<B>>>::Future
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if request.method() == Method::POST && request.uri().path() == ORDERS_PATH {
            Either::Left(self.orders.clone().call(request))
        } else {
            Either::Right(self.other_routes.clone().call(request))
        }
    }
}

impl<P, C, B> Service<Request<B>> for Dispatch<P, C>
where
    P: OrderPublisher,
    C: Clock + Clone,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<<OrdersService<P, C> as Service<Request<B>>>::Future, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Every service here is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.dispatch(request)
    }
}

fn observed<P, C: Clock + Clone, S>(app: &App<P, C>, inner: S) -> Observe<S, C> {
    Observe::new(app.instance.clone(), app.clock.clone(), inner)
}

/// Answers every request with `error`.
fn reject<B>(
    error: ApiError,
) -> impl Service<Request<B>, Response = Response, Error = Infallible, Future: Send> + Clone {
    service_fn(move |_request| std::future::ready(Ok(error.clone().into_response())))
}

fn probes<P, C>(app: &App<P, C>) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(app.instance.clone())
}

fn other_routes<P: OrderPublisher, C: Clock + Clone>(app: &Arc<App<P, C>>) -> Router {
    let operators = Router::new()
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(health::openapi))
        .with_state(app.instance.clone())
        .merge(probes(app));
    let events = {
        let app = app.clone();
        service_fn(move |request| invoke(app.clone(), request))
    };
    let platform = Router::new()
        .route("/invoke", post_service(observed(app, events)))
        .route("/initialize", post(lifecycle::initialize::<P, C>))
        .route("/pre-stop", get(lifecycle::pre_stop::<P, C>))
        .with_state(app.clone());
    // A request without a route has an id and is counted like any other.
    let fallback = |error| {
        let service = observed(app, reject(error));
        move |request: Request<Body>| service.oneshot(request)
    };
    Router::new()
        .merge(platform.merge(operators).route_layer(from_fn(reject_outside)))
        .route(
            ORDERS_PATH,
            any_service(observed(app, reject(ApiError::MethodNotAllowed { allow: Some("POST") }))),
        )
        // axum adds `Allow`.
        .method_not_allowed_fallback(fallback(ApiError::MethodNotAllowed { allow: None }))
        .fallback(fallback(ApiError::NotFound))
}

/// Source of an invocation, as Function Compute marks it: `/http-invoke` for the HTTP trigger, `/invoke` for an event,
/// `/initialize` for the hook. Clients cannot send it: the platform drops their `x-fc-` headers (certain: vendor's
/// limits of web functions). That the current generation still sends it is only likely (documented for 2.0), so its
/// absence proves nothing.
const CONTROL_PATH: HeaderName = HeaderName::from_static("x-fc-control-path");

/// Headers of a request that came through a proxy.
const FORWARDED: [HeaderName; 3] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("via"),
];

/// API Gateway adds headers with this prefix to every request that it passes on (certain: vendor's documentation of
/// backend signatures).
const GATEWAY_PREFIX: &str = "x-ca-";

/// Paths without which no instance starts or serves: that the platform's own calls have no header of a proxy is only
/// likely. A client gains nothing by them.
const NEEDED_TO_SERVE: [&str; 4] = ["/initialize", "/healthz", "/readyz", "/invoke"];

/// True if the request is not one of the platform's own calls: a client's `GET /pre-stop` would end an instance.
/// Without the platform's mark, the headers of a gateway or a proxy distinguish them. If the platform's own call had one,
/// the instance would stop by SIGTERM alone.
fn is_from_outside<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(name))
        || headers.keys().any(|name| name.as_str().starts_with(GATEWAY_PREFIX));
    headers.get(CONTROL_PATH).is_some_and(|value| value.as_bytes() == b"/http-invoke")
        || (is_forwarded && !NEEDED_TO_SERVE.contains(&request.uri().path()))
}

/// Rejects requests from outside to routes that are not public. Rejects `HEAD` for the pre-stop hook too: axum would run
/// the `GET` handler.
async fn reject_outside(request: extract::Request, next: Next) -> Response {
    let id = RequestId::from_headers(request.headers());
    let mut response = if is_from_outside(&request) {
        ApiError::NotFound.into_response()
    } else if request.method() == Method::HEAD && request.uri().path() == "/pre-stop" {
        ApiError::MethodNotAllowed { allow: Some("GET") }.into_response()
    } else {
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        answer.unwrap_or_else(|_logged| ApiError::Internal.into_response())
    };
    write_problem(&mut response, &id);
    response
}
