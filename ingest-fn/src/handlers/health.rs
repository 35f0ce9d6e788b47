//! For the platform and for operators; never routed by the gateway.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::instance::{Instance, InstanceState};

/// The process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// The instance takes orders, and has reached the broker.
pub async fn ready(State(instance): State<Arc<Instance>>) -> Response {
    let unready = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    match instance.phase() {
        _ if instance.is_stopping() => unready("stopping\n".to_owned()),
        InstanceState::Starting => unready("connecting to the broker\n".to_owned()),
        InstanceState::Failed(reason) => unready(format!("{reason}\n")),
        InstanceState::Ready => "ready\n".into_response(),
    }
}

/// Metrics in Prometheus' text format.
pub async fn metrics(State(instance): State<Arc<Instance>>) -> Response {
    crate::metrics::in_flight(instance.admission.requests_in_flight());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared::telemetry::metrics().render()).into_response()
}
