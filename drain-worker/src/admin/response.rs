//! Responses that the handlers share.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::http::{REQUEST_ID, new_request_id};
use shared::problem::{MEDIA_TYPE, Problem};

use crate::store::StoreError;

/// Maximum problem document; one of changed settings lists changes.
const PROBLEM_BYTES_MAX: usize = 4 << 20;

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
    tracing::error!(event = "admin_request_failed", request_id = request_id(), %error, error_code = "database_unavailable", "admin request failed: database unavailable");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", error.to_string())
        .retry_after(rand::random_range(1..=5))
}

tokio::task_local! {
    static REQUEST: HeaderValue;
}

/// The id of the request that this task answers, for its log lines; `None` outside of [`identified`].
pub(crate) fn request_id() -> Option<String> {
    REQUEST.try_with(|id| id.to_str().unwrap_or_default().to_owned()).ok()
}

/// Gives each request an id: in `X-Request-Id` of the response, and as the `instance` of its problem document, if it is one.
/// The framework's own rejections, which are plain text, become problem documents: a path segment that is no UTF-8, a
/// body with too many bytes.
pub(crate) async fn identified(request: Request, next: Next) -> Response {
    // Hex digits.
    let id = HeaderValue::from_bytes(&new_request_id()).unwrap_or(HeaderValue::from_static("unknown"));
    let response = as_problem(REQUEST.scope(id.clone(), next.run(request)).await);
    let mut response = with_instance(response, &id).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn as_problem(response: Response) -> Response {
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

/// Adds `instance` to a problem document, which may have members of its own.
async fn with_instance(response: Response, id: &HeaderValue) -> Response {
    if response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes) != Some(MEDIA_TYPE.as_bytes()) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // The handlers' own documents: small, and in memory.
    let document = to_bytes(body, PROBLEM_BYTES_MAX).await.unwrap_or_default();
    let Ok(mut members) = serde_json::from_slice::<Map<String, Value>>(&document) else {
        return Response::from_parts(head, document.into());
    };
    let instance = format!("urn:spillway:request:{}", id.to_str().unwrap_or_default());
    members.insert("instance".to_owned(), instance.into());
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Value::Object(members).to_string().into())
}
