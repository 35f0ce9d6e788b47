//! For the platform: what it asks of an instance in the course of its life. Never routed by the gateway.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use shared::problem::Problem;
use shared::time::Clock;

use crate::app::App;
use crate::publish::OrderPublisher;
use crate::request_context::RequestId;

/// Asked once, before the first order, where the function has an initializer: answers when the instance has reached
/// the broker, has found its topic, and could take an order this moment. A start does the same by itself; asking
/// merely waits for it.
pub async fn initialize<P: OrderPublisher, C: Clock>(
    State(app): State<Arc<App<P, C>>>,
    headers: HeaderMap,
) -> Response {
    let request_id = RequestId::of(&headers);
    let request_id = request_id.as_str();
    match app.instance().started().await {
        Ok(()) => {
            tracing::info!(requestId = request_id, "initialized");
            "initialized\n".into_response()
        }
        Err(reason) => {
            tracing::error!(
                requestId = request_id,
                errorCode = "initialize_failed",
                errorMessage = reason,
                "not initialized"
            );
            failed("initialize_failed", StatusCode::INTERNAL_SERVER_ERROR, reason)
        }
    }
}

/// The instance is about to be stopped: it takes no more orders, and answers once those under way have their
/// answers and the broker has all that was sent. Asked again it does the same.
pub async fn pre_stop<P: OrderPublisher, C: Clock>(
    State(app): State<Arc<App<P, C>>>,
    headers: HeaderMap,
) -> Response {
    let requests = app.instance().admission.requests_under_way();
    tracing::info!(requestId = RequestId::of(&headers).as_str(), requests, "pre-stop");
    if app.instance().drain(app.limits().drain_timeout).await {
        "drained\n".into_response()
    } else {
        let detail = "requests are still under way".to_owned();
        failed("pre_stop_incomplete", StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

/// The platform counts an invocation as failed by its own header only.
fn failed(code: &str, status: StatusCode, detail: String) -> Response {
    let mut response = Problem::new(status, code, detail).into_response();
    let value = HeaderValue::from(status.as_u16());
    response.headers_mut().insert(HeaderName::from_static("x-fc-status"), value);
    response
}
