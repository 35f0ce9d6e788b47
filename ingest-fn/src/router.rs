//! Which path goes where.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use shared::time::Clock;

use crate::app::App;
use crate::error::ApiError;
use crate::handlers::{health, lifecycle, openapi, orders};
use crate::layers::admission;
use crate::publish::OrderPublisher;

/// The routes. Only `/v1/…` is for shoppers; the rest must never be routed by the gateway.
pub fn router<P: OrderPublisher, C: Clock>(app: Arc<App<P, C>>) -> Router {
    Router::new()
        .route("/v1/orders", post(orders::create::<P, C>))
        .route_layer(from_fn_with_state(app.clone(), admission::admit::<P, C>))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready::<P, C>))
        .route("/metrics", get(health::metrics::<P, C>))
        .route("/openapi.json", get(openapi::document))
        .route("/pre-stop", get(lifecycle::pre_stop::<P, C>))
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .fallback(|| async { ApiError::NotFound })
        .with_state(app)
}
