//! For the platform: what it asks of an instance in the course of its life. Never routed by the gateway.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use shared::time::Clock;

use crate::app::App;

/// The instance is about to be stopped: it takes no more orders, and answers once those under way have their
/// answers. Asked again it does the same.
pub async fn pre_stop<P: Send + Sync, C: Clock>(State(app): State<Arc<App<P, C>>>) -> Response {
    tracing::info!(requests = app.requests_under_way(), "pre-stop");
    if app.drain().await {
        "drained\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "requests are still under way\n").into_response()
    }
}
