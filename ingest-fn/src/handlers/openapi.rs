//! `GET /openapi.json`: what the public API takes and answers. Never routed by the gateway; clients get it from you.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::openapi;

/// The document.
pub async fn document() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi::bytes()).into_response()
}
