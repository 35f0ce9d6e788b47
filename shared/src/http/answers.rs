//! Answers outside of hyper: to a connection that is one too many, and to a head that does not end.

use http::StatusCode;

use super::{REQUEST_ID, new_request_id};
use crate::problem::{MEDIA_TYPE, Problem};

/// 503 for a connection beyond the bound.
pub(super) fn too_many_connections() -> Vec<u8> {
    let detail = "Too many connections are open.";
    closing(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", detail).retry_after(1))
}

/// 408 for a head that has begun and not ended within its time.
pub(super) fn slow_head() -> Vec<u8> {
    let detail = "The request's head did not arrive in time; send it again.";
    closing(Problem::new(StatusCode::REQUEST_TIMEOUT, "head_timeout", detail).retry_after(1))
}

/// A whole HTTP/1.1 answer with `problem`, after which the server closes the connection.
fn closing(problem: Problem) -> Vec<u8> {
    let id = String::from_utf8_lossy(&new_request_id()).into_owned();
    let problem = problem.with_request_id(&id);
    // Strings and numbers only, so serialisation cannot fail.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let Problem { status, title, .. } = &problem;
    let wait_s = problem.retry_after_s.unwrap_or_default();
    format!(
        "HTTP/1.1 {status} {title}\r\ncontent-type: {MEDIA_TYPE}\r\n{REQUEST_ID}: {id}\r\nretry-after: {wait_s}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
