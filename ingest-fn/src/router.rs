//! Which path goes where, and what surrounds it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use axum::routing::{get, post, post_service};
use http::Request;
use shared::time::Clock;
use tower::{ServiceExt, service_fn};

use crate::app::App;
use crate::error::ApiError;
use crate::event::EVENT_BYTES_MAX;
use crate::handlers::invoke::{Unwrap, Wrap};
use crate::handlers::orders::CreateOrder;
use crate::handlers::{health, lifecycle, openapi};
use crate::layers::admission::LoadShed;
use crate::layers::buffer::Buffer;
use crate::layers::head::CheckHead;
use crate::layers::identity::Identify;
use crate::layers::observe::Observe;
use crate::layers::private;
use crate::layers::signature::CheckSignature;
use crate::limits::BODY_BYTES_MAX;
use crate::publish::OrderPublisher;

/// Takes orders that have been read, from the gateway alone.
type AuthenticatedOrders<P, C> = CheckSignature<Identify<CreateOrder<P, C>>>;

/// `POST /v1/orders` with everything around it.
pub type OrdersService<P, C> = Observe<LoadShed<CheckHead<Buffer<AuthenticatedOrders<P, C>>>>, C>;

/// `POST /invoke` with everything around it: the same for an order within an event.
pub type EventsService<P, C> =
    Observe<Wrap<LoadShed<Buffer<Unwrap<CheckHead<AuthenticatedOrders<P, C>>>>>>, C>;

/// The path of [`orders`].
pub const ORDERS_PATH: &str = "/v1/orders";

/// `POST /v1/orders`, its layers from the outside in.
pub fn orders<P: OrderPublisher, C: Clock + Clone>(app: &Arc<App<P, C>>) -> OrdersService<P, C> {
    let read = Buffer::new(BODY_BYTES_MAX, app.limits().body_timeout, authenticated(app));
    let admit = LoadShed::new(app.instance().clone(), BODY_BYTES_MAX, CheckHead::new(read));
    observed(app, admit)
}

fn observed<P, C: Clock + Clone, S>(app: &App<P, C>, inner: S) -> Observe<S, C> {
    Observe::new(app.instance().clone(), app.clock().clone(), inner)
}

/// `POST /invoke`, its layers from the outside in.
pub fn events<P: OrderPublisher, C: Clock + Clone>(app: &Arc<App<P, C>>) -> EventsService<P, C> {
    let unwrap = Unwrap::new(CheckHead::new(authenticated(app)));
    let read = Buffer::new(EVENT_BYTES_MAX, app.limits().body_timeout, unwrap);
    let admit = LoadShed::new(app.instance().clone(), EVENT_BYTES_MAX, read);
    observed(app, Wrap::new(admit))
}

fn authenticated<P, C>(app: &Arc<App<P, C>>) -> AuthenticatedOrders<P, C>
where
    P: OrderPublisher,
    C: Clock,
{
    let identify = Identify::new(app.gateway().clone(), CreateOrder::new(app.clone()));
    CheckSignature::new(app.gateway().clone(), identify)
}

/// The routes.
///
/// - Public: `POST /v1/orders`. The gateway routes this and nothing else.
/// - For the platform: `/invoke`, `/initialize`, `/pre-stop`, `/healthz`, `/readyz`.
/// - For operators: `/metrics`, and `/openapi.json` to hand on.
pub fn router<P: OrderPublisher, C: Clock + Clone>(app: Arc<App<P, C>>) -> Router {
    let operators = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::document))
        .with_state(app.instance().clone());
    let public = Router::new().route(ORDERS_PATH, post_service(orders(&app)));
    // What leads nowhere is a request like any other: it has an id, and is counted.
    let refuse = |error: ApiError| {
        let refuse = service_fn(move |_request: Request<Body>| {
            std::future::ready(Ok::<_, Infallible>(error.clone().into_response()))
        });
        let refuse = observed(&app, refuse);
        move |request: Request<Body>| refuse.oneshot(request)
    };
    let (not_found, wrong_method) = (refuse(ApiError::NotFound), refuse(ApiError::MethodNotAllowed));
    let platform = Router::new()
        .route("/invoke", post_service(events(&app)))
        .route("/initialize", post(lifecycle::initialize::<P, C>))
        .route("/pre-stop", get(lifecycle::pre_stop::<P, C>))
        .with_state(app);
    let private = platform.merge(operators).route_layer(from_fn(private::reject_http_trigger));
    public.merge(private).method_not_allowed_fallback(wrong_method).fallback(not_found)
}
