//! For the platform and for operators; never routed by the gateway.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use shared::time::Clock;

use crate::app::App;

/// The process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// The instance takes orders: it listens only once it has reached the broker, so all that is left is stopping.
pub async fn ready<P, C: Clock>(State(app): State<Arc<App<P, C>>>) -> Response {
    if app.is_stopping() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
    } else {
        "ready\n".into_response()
    }
}

/// Metrics in Prometheus' text format.
pub async fn metrics<P, C: Clock>(State(app): State<Arc<App<P, C>>>) -> Response {
    crate::metrics::in_flight(app.requests_under_way());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared::telemetry::metrics().render()).into_response()
}
