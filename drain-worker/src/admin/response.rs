//! How calls are answered, in common.

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

/// 400: what was asked for cannot be meant.
pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
}

/// 503: the database cannot be asked.
pub(super) fn unavailable(error: &StoreError) -> Problem {
    tracing::error!(%error, error_code = "database_unavailable", "an operator's call cannot be answered");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", error.to_string())
        .retry_after(rand::random_range(1..=5))
}
