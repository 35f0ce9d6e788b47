//! Responses that the handlers share.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use shared::problem::Problem;

use crate::store::StoreError;

/// 200 with JSON.
pub(super) fn json_response(body: &impl Serialize) -> Response {
    // Strings and numbers only: serialisation cannot fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body).into_response()
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
