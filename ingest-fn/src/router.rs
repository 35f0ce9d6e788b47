//! Which path goes where, and what surrounds it.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, post_service};
use shared::time::Clock;

use crate::app::App;
use crate::error::ApiError;
use crate::event::EVENT_BYTES_MAX;
use crate::handlers::invoke::{Unwrap, Wrap};
use crate::handlers::orders::CreateOrder;
use crate::handlers::{health, lifecycle};
use crate::layers::admission::Admit;
use crate::layers::buffer::Buffer;
use crate::layers::head::CheckHead;
use crate::layers::identity::Identify;
use crate::layers::observe::Observe;
use crate::layers::signature::CheckSignature;
use crate::limits::BODY_BYTES_MAX;
use crate::publish::OrderPublisher;

/// Takes orders that have been read, from the gateway alone.
type VouchedOrders<P, C> = CheckSignature<Identify<CreateOrder<P, C>>>;

/// `POST /v1/orders` with everything around it.
pub type OrdersService<P, C> = Observe<Admit<CheckHead<Buffer<VouchedOrders<P, C>>>>, C>;

/// `POST /invoke` with everything around it: the same for an order within an event.
pub type EventsService<P, C> = Observe<Wrap<Admit<Buffer<Unwrap<CheckHead<VouchedOrders<P, C>>>>>>, C>;

/// The path of [`orders`].
pub const ORDERS_PATH: &str = "/v1/orders";

/// `POST /v1/orders`, its layers from the outside in.
pub fn orders<P: OrderPublisher, C: Clock + Clone>(app: &Arc<App<P, C>>) -> OrdersService<P, C> {
    let read = Buffer::new(BODY_BYTES_MAX, app.limits().body_timeout, vouched(app));
    let admit = Admit::new(app.instance().clone(), BODY_BYTES_MAX, CheckHead::new(read));
    Observe::new(app.clock().clone(), admit)
}

/// `POST /invoke`, its layers from the outside in.
pub fn events<P: OrderPublisher, C: Clock + Clone>(app: &Arc<App<P, C>>) -> EventsService<P, C> {
    let unwrap = Unwrap::new(CheckHead::new(vouched(app)));
    let read = Buffer::new(EVENT_BYTES_MAX, app.limits().body_timeout, unwrap);
    let admit = Admit::new(app.instance().clone(), EVENT_BYTES_MAX, read);
    Observe::new(app.clock().clone(), Wrap::new(admit))
}

fn vouched<P, C>(app: &Arc<App<P, C>>) -> VouchedOrders<P, C>
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
/// - For operators: `/metrics`.
pub fn router<P: OrderPublisher, C: Clock + Clone>(app: Arc<App<P, C>>) -> Router {
    let operators = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(app.instance().clone());
    let public = Router::new().route(ORDERS_PATH, post_service(orders(&app)));
    let platform = Router::new()
        .route("/invoke", post_service(events(&app)))
        .route("/initialize", post(lifecycle::initialize::<P, C>))
        .route("/pre-stop", get(lifecycle::pre_stop::<P, C>))
        .with_state(app);
    public
        .merge(platform)
        .merge(operators)
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .fallback(|| async { ApiError::NotFound })
}
