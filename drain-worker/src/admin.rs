//! For operators and the platform: metrics and health. A listener of its own, never for buyers.

pub mod console;
pub mod dead_letters;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::pipeline::{DatabaseHealth, Health};

/// The routes of the admin port.
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(console::router())
        .with_state(health)
}

/// The database takes orders.
async fn ready(State(health): State<Health>) -> Response {
    match health.database() {
        DatabaseHealth::Up => json_response(StatusCode::OK, &json!({ "database": "up" })),
        DatabaseHealth::Down { reason } => {
            json_response(StatusCode::SERVICE_UNAVAILABLE, &json!({ "database": "down", "reason": reason }))
        }
    }
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn metrics() -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared::telemetry::metrics().render()).into_response()
}
