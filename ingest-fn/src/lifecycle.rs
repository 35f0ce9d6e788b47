//! The platform's lifecycle hooks. The gateway routes none of them.

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

/// Called once before the first order, if the function has an initializer. Answers 200 when the instance has reached
/// the broker and found its topic, 500 if it cannot. The instance starts by itself; this hook only waits.
pub(crate) async fn initialize<P: OrderPublisher, C: Clock>(
    State(app): State<Arc<App<P, C>>>,
    headers: HeaderMap,
) -> Response {
    let (id, instance) = (RequestId::from_headers(&headers), &app.instance);
    let request_id = id.as_str();
    let lines = instance.logger.initializations.admit();
    instance.logger.initializations.log_count(lines.suppressed);
    let work = async {
        let (started, error_code) = (instance.started().await, "initialize_failed");
        match &started {
            Ok(()) if lines.emit => tracing::info!(event = "initialized", request_id, "initialized"),
            Err(error) if lines.emit => {
                tracing::error!(
                    event = "initialize_failed",
                    request_id,
                    error_code,
                    error,
                    "initialize failed"
                );
            }
            _ => {}
        }
        match started {
            Ok(()) => "initialized\n".into_response(),
            Err(reason) => failed(&id, error_code, StatusCode::INTERNAL_SERVER_ERROR, reason),
        }
    };
    if lines.emit { instance.logger.framed(FcLogMarker::Initialize, &id, work).await } else { work.await }
}

/// Called before the platform stops the instance. Rejects further orders, and answers 200 once requests in flight have
/// their answers, or 503 after the grace period. Idempotent. Orders of clients that have hung up are not waited for:
/// no client saw their acceptance, and SIGTERM waits for their messages.
pub(crate) async fn pre_stop<P: OrderPublisher, C: Clock>(
    State(app): State<Arc<App<P, C>>>,
    headers: HeaderMap,
) -> Response {
    let (id, instance) = (RequestId::from_headers(&headers), &app.instance);
    let work = async {
        let requests = instance.budget.requests_in_flight();
        tracing::info!(event = "pre_stop", request_id = id.as_str(), requests, "pre-stop");
        let is_drained = instance.drain(app.limits.drain_timeout).await;
        // The platform may end the process without a further signal.
        instance.logger.flush(Some(&id), instance.budget.requests_in_flight());
        if is_drained {
            "drained\n".into_response()
        } else {
            let (request_id, error_code) = (id.as_str(), "pre_stop_incomplete");
            let detail = "requests are still in flight".to_owned();
            tracing::error!(
                event = "pre_stop_incomplete",
                request_id,
                error_code,
                error = detail,
                "pre-stop incomplete: grace period expired"
            );
            failed(&id, error_code, StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    };
    instance.logger.framed(FcLogMarker::PreStop, &id, work).await
}

/// The platform counts an invocation as failed by its own header only.
fn failed(id: &RequestId, code: &str, status: StatusCode, detail: String) -> Response {
    let mut response = Problem::new(status, code, detail).with_request_id(id.as_str()).into_response();
    set_fc_status(&mut response, status);
    response
}
