//! For the platform: what it asks of an instance in the course of its life. Never routed by the gateway.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use shared::problem::Problem;
use shared::telemetry::FcLogMarker;
use shared::time::Clock;

use crate::app::App;
use crate::layers::observe::set_fc_status;
use crate::publish::OrderPublisher;
use crate::request_context::RequestId;

/// Asked once, before the first order, where the function has an initializer: answers when the instance has reached
/// the broker, has found its topic, and could take an order this moment. A start does the same by itself; asking
/// merely waits for it.
pub async fn initialize<P: OrderPublisher, C: Clock>(
    State(app): State<Arc<App<P, C>>>,
    headers: HeaderMap,
) -> Response {
    let id = RequestId::from_headers(&headers);
    let work = async {
        match app.instance().started().await {
            Ok(()) => {
                tracing::info!(request_id = id.as_str(), "initialized");
                "initialized\n".into_response()
            }
            Err(reason) => {
                let (request_id, error_code) = (id.as_str(), "initialize_failed");
                tracing::error!(request_id, error_code, error = reason, "not initialized");
                failed(error_code, StatusCode::INTERNAL_SERVER_ERROR, reason)
            }
        }
    };
    app.instance().observer.framed(FcLogMarker::Initialize, &id, work).await
}

/// The instance is about to be stopped: it takes no more orders, and answers once those under way have their
/// answers, and so the broker has them. Asked again it does the same. Orders whose clients have hung up are not waited
/// for: nobody was told that they were taken, and SIGTERM waits for their sends too.
pub async fn pre_stop<P: OrderPublisher, C: Clock>(
    State(app): State<Arc<App<P, C>>>,
    headers: HeaderMap,
) -> Response {
    let (id, instance) = (RequestId::from_headers(&headers), app.instance());
    let work = async {
        let requests = instance.admission.requests_in_flight();
        tracing::info!(request_id = id.as_str(), requests, "pre-stop");
        let is_drained = instance.drain(app.limits().drain_timeout).await;
        // An instance may be gone without another word.
        instance.observer.flush(Some(&id), instance.admission.requests_in_flight());
        if is_drained {
            "drained\n".into_response()
        } else {
            let (request_id, error_code) = (id.as_str(), "pre_stop_incomplete");
            let detail = "requests are still under way".to_owned();
            tracing::error!(request_id, error_code, error = detail, "pre-stop ended too early");
            failed(error_code, StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    };
    instance.observer.framed(FcLogMarker::PreStop, &id, work).await
}

/// The platform counts an invocation as failed by its own header only.
fn failed(code: &str, status: StatusCode, detail: String) -> Response {
    let mut response = Problem::new(status, code, detail).into_response();
    set_fc_status(&mut response, status);
    response
}
