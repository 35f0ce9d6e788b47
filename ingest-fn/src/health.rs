//! Probes, metrics and the OpenAPI document. The gateway routes none of them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::instance::{Instance, InstanceState};
use crate::openapi;

pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// 200 if every worker has reached the broker and the instance is not stopping, else 503 with the reason.
pub(crate) async fn ready(State(instance): State<Arc<Instance>>) -> Response {
    let unready = |reason: String| (StatusCode::SERVICE_UNAVAILABLE, reason).into_response();
    match instance.state() {
        _ if instance.is_stopping() => unready("stopping\n".to_owned()),
        InstanceState::Starting => unready("connecting to the broker\n".to_owned()),
        InstanceState::Failed(reason) => unready(format!("{reason}\n")),
        InstanceState::Ready => "ready\n".into_response(),
    }
}

/// Prometheus' text format.
pub(crate) async fn metrics(State(instance): State<Arc<Instance>>) -> Response {
    crate::metrics::requests_in_flight(instance.budget.requests_in_flight());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared::telemetry::metrics().render()).into_response()
}

pub(crate) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi::bytes()).into_response()
}
