//! Reads the body, within its bounds of bytes and time, before anything judges it.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::response::IntoResponse;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;
use tower::Service;

use super::{Response, announced_bytes};
use crate::error::ApiError;

/// Hands `inner` requests whose bodies have been read.
#[derive(Clone, Debug)]
pub struct Buffer<S> {
    inner: S,
    bytes_max: usize,
    body_timeout: Duration,
}

impl<S> Buffer<S> {
    /// In front of `inner`: at most `bytes_max` bytes, within `body_timeout`.
    pub const fn new(bytes_max: usize, body_timeout: Duration, inner: S) -> Self {
        Self { inner, bytes_max, body_timeout }
    }
}

impl<S, B> Service<Request<B>> for Buffer<S>
where
    S: Service<Request<Bytes>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { mut inner, bytes_max, body_timeout } = self.clone();
        let (head, body) = request.into_parts();
        Box::pin(async move {
            let read = timeout(body_timeout, read(&head.headers, body, bytes_max));
            match read.await.unwrap_or(Err(ApiError::BodyTimeout)) {
                Ok(body) => inner.call(Request::from_parts(head, body)).await,
                Err(error) => {
                    let mut response = error.into_response();
                    // What is left of the body cannot be told from the next request: the connection ends here, and
                    // whoever keeps connections must hear of it before the next order goes by it.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    Ok(response)
                }
            }
        })
    }
}

async fn read<B>(headers: &HeaderMap, body: B, bytes_max: usize) -> Result<Bytes, ApiError>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let too_large = ApiError::BodyTooLarge { max: bytes_max };
    // A body that says that it is too large need not be read to be refused.
    if announced_bytes(headers).is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large);
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large),
        Err(_broken) => Err(ApiError::UnreadableBody),
    }
}
