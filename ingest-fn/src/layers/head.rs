//! Judges what the head of a request alone can tell, before its body is read.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::response::IntoResponse;
use futures_util::future::{Either, Ready, ready};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Request};
use shared::order::IdempotencyKey;
use tower::Service;

use super::Response;
use crate::error::ApiError;

/// The header that makes a retry the same order.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Hands `inner` only requests that say they carry JSON and have one good `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct CheckHead<S> {
    inner: S,
}

impl<S> CheckHead<S> {
    /// In front of `inner`.
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for CheckHead<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let headers = request.headers();
        match check_media_type(headers).and_then(|()| idempotency_key(headers)) {
            Ok(_key) => Either::Left(self.inner.call(request)),
            Err(error) => Either::Right(ready(Ok(error.into_response()))),
        }
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or(ApiError::MediaType)?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(ApiError::MediaType) }
}

/// The one `Idempotency-Key`.
///
/// # Errors
/// [`ApiError::IdempotencyKey`] if there is none, more than one, or one that is not valid.
pub fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    // Two keys would leave it open which order this is.
    let (Some(value), None) = (values.next(), values.next()) else { return Err(ApiError::IdempotencyKey) };
    value.to_str().ok().and_then(|text| IdempotencyKey::parse(text).ok()).ok_or(ApiError::IdempotencyKey)
}
