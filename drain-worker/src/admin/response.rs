//! Responses that the handlers share.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use shared::problem::Problem;

use crate::store::StoreError;

/// 200 with JSON.
pub(super) fn json_response(body: &impl Serialize) -> Response {
    // Strings and numbers only: serialisation cannot fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body).into_response()
}

/// Adds the revision of the settings as `ETag`, for `If-Match`.
pub(super) fn with_revision(mut response: Response, revision: i64) -> Response {
    // Digits within quotes are a valid header.
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// 400 with `detail`.
pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
}

/// 503: the database is unavailable.
pub(super) fn unavailable(error: &StoreError) -> Problem {
    tracing::error!(event = "admin_request_failed", %error, error_code = "database_unavailable", "admin request failed: database unavailable");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", error.to_string())
        .retry_after(rand::random_range(1..=5))
}

/// Turns the framework's own rejections, which are plain text, into problem documents: a path segment that is no UTF-8, a
/// body with too many bytes. Everything else passes unchanged.
pub(crate) async fn as_problem(response: Response) -> Response {
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !response.status().is_client_error() || !(kind.is_empty() || kind.starts_with(b"text/plain")) {
        return response;
    }
    match response.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(status, "body_too_large", "The body has more bytes than this path accepts.")
        }
        status @ StatusCode::BAD_REQUEST => {
            Problem::new(status, "invalid_request", "The path or the body cannot be read.")
        }
        status => Problem::new(status, "invalid_request", "The request cannot be read."),
    }
    .into_response()
}
