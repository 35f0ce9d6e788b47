//! Reads a request's body within its bounds of bytes and time.

use std::error::Error;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout};

use crate::error::ApiError;
use crate::metrics;

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
) -> Result<Request<Bytes>, ApiError>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    if announced_bytes(&head.headers).is_some_and(|bytes| bytes > bytes_max) {
        return Err(ApiError::BodyTooLarge { max: bytes_max });
    }
    let began = Instant::now();
    let body = timeout(body_timeout, Limited::new(body, bytes_max).collect()).await;
    metrics::body_read(began.elapsed());
    match body {
        Ok(Ok(body)) => Ok(Request::from_parts(head, body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::BodyTooLarge { max: bytes_max }),
        Ok(Err(_broken_off)) => Err(ApiError::UnreadableBody),
        Err(_elapsed) => Err(ApiError::BodyTimeout),
    }
}
