//! Reads a request's body within its bounds of bytes and time.

use std::error::Error;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::error::ApiError;

/// A rejected request. Its answer closes the connection if part of the body is unread.
#[derive(Debug)]
pub(crate) struct RejectedRequest {
    error: ApiError,
    body_is_unread: bool,
}

impl From<ApiError> for RejectedRequest {
    fn from(error: ApiError) -> Self {
        Self { error, body_is_unread: false }
    }
}

impl IntoResponse for RejectedRequest {
    fn into_response(self) -> Response {
        let mut response = self.error.into_response();
        if self.body_is_unread {
            // The rest of the body cannot be distinguished from the next request, so the connection ends here. A
            // client that pools connections must know before it sends the next order.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The body's size as the request announces it, bytes.
pub(crate) fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads at most `bytes_max` bytes within `body_timeout`. A body that announces more is rejected unread.
///
/// # Errors
/// [`ApiError::BodyTooLarge`], [`ApiError::BodyTimeout`], or [`ApiError::UnreadableBody`] if the body breaks off.
pub(crate) async fn read_body<B>(
    request: Request<B>,
    bytes_max: usize,
    body_timeout: Duration,
) -> Result<Request<Bytes>, RejectedRequest>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let unread = |error| RejectedRequest { error, body_is_unread: true };
    if announced_bytes(&head.headers).is_some_and(|bytes| bytes > bytes_max) {
        return Err(unread(ApiError::BodyTooLarge { max: bytes_max }));
    }
    match timeout(body_timeout, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(body)) => Ok(Request::from_parts(head, body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(unread(ApiError::BodyTooLarge { max: bytes_max }))
        }
        Ok(Err(_broken_off)) => Err(unread(ApiError::UnreadableBody)),
        Err(_elapsed) => Err(unread(ApiError::BodyTimeout)),
    }
}
