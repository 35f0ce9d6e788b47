//! Which path goes where, and what surrounds it.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, post_service};
use shared::time::Clock;

use crate::app::App;
use crate::error::ApiError;
use crate::handlers::orders::CreateOrder;
use crate::handlers::{health, lifecycle};
use crate::layers::admission::Admit;
use crate::layers::buffer::Buffer;
use crate::layers::head::CheckHead;
use crate::layers::observe::Observe;
use crate::limits::BODY_BYTES_MAX;
use crate::publish::OrderPublisher;

/// `POST /v1/orders` with everything around it.
pub type OrdersService<P, C> = Observe<Admit<CheckHead<Buffer<CreateOrder<P, C>>>>, C>;

/// The path of [`orders`].
pub const ORDERS_PATH: &str = "/v1/orders";

/// `POST /v1/orders`, its layers from the outside in.
pub fn orders<P: OrderPublisher, C: Clock + Clone>(app: &Arc<App<P, C>>) -> OrdersService<P, C> {
    let create = CreateOrder::new(app.clone());
    let read = Buffer::new(BODY_BYTES_MAX, app.limits().body_timeout, create);
    let admit = Admit::new(app.instance().clone(), CheckHead::new(read));
    Observe::new(app.clock().clone(), admit)
}

/// The routes.
///
/// - Public: `POST /v1/orders`. The gateway routes this and nothing else.
/// - For the platform: `/initialize`, `/pre-stop`, `/healthz`, `/readyz`.
/// - For operators: `/metrics`.
pub fn router<P: OrderPublisher, C: Clock + Clone>(app: Arc<App<P, C>>) -> Router {
    let operators = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(app.instance().clone());
    let public = Router::new().route(ORDERS_PATH, post_service(orders(&app)));
    let platform = Router::new()
        .route("/initialize", post(lifecycle::initialize::<P, C>))
        .route("/pre-stop", get(lifecycle::pre_stop::<P, C>))
        .with_state(app);
    public
        .merge(platform)
        .merge(operators)
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .fallback(|| async { ApiError::NotFound })
}
