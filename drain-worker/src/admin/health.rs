//! For the platform: liveness, readiness, metrics.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::pipeline::{DatabaseHealth, Health};

/// The database takes orders.
pub(super) async fn ready(State(health): State<Health>) -> Response {
    let (status, body) = match health.database() {
        DatabaseHealth::Up => (StatusCode::OK, json!({ "database": "up" })),
        DatabaseHealth::Down { reason } => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "database": "down", "reason": reason }))
        }
    };
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(super) async fn metrics() -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared::telemetry::metrics().render()).into_response()
}
