//! Lets only the gateway's own requests through.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::response::IntoResponse;
use futures_util::future::{Either, Ready, ready};
use http::Request;
use shared::gateway::{SignatureError, Verified};
use tower::Service;

use super::Response;
use crate::error::ApiError;
use crate::gateway::Gateway;

/// Checks the signature of every request before `inner` sees it, where requests are signed. What passes has
/// [`Verified`] in its extensions.
#[derive(Clone, Debug)]
pub struct CheckSignature<S> {
    inner: S,
    gateway: Arc<Gateway>,
}

impl<S> CheckSignature<S> {
    /// In front of `inner`.
    pub const fn new(gateway: Arc<Gateway>, inner: S) -> Self {
        Self { inner, gateway }
    }
}

impl<S> Service<Request<Bytes>> for CheckSignature<S>
where
    S: Service<Request<Bytes>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Bytes>) -> Self::Future {
        if let Some(verifier) = self.gateway.verifier() {
            match verifier.verify(request.method(), request.uri(), request.headers(), request.body()) {
                Ok(verified) => request.extensions_mut().insert::<Verified>(verified),
                Err(fault) => {
                    self.gateway.refused(fault);
                    return Either::Right(ready(Ok(refusal(fault).into_response())));
                }
            };
        }
        Either::Left(self.inner.call(request))
    }
}

/// A client learns no more than this: what exactly is wrong would help whoever forges.
const fn refusal(fault: SignatureError) -> ApiError {
    match fault {
        SignatureError::Missing => ApiError::SignatureMissing,
        SignatureError::RepeatedParameter => ApiError::RepeatedParameter,
        _ => ApiError::SignatureInvalid,
    }
}
