//! Takes the buyer from the gateway.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::response::IntoResponse;
use futures_util::future::{Either, Ready, ready};
use http::Request;
use shared::gateway::Verified;
use tower::Service;

use super::Response;
use crate::error::ApiError;
use crate::gateway::{Buyer, Gateway};

/// Puts the [`Buyer`] into the extensions of every request before `inner` sees it, where the gateway names one.
#[derive(Clone, Debug)]
pub struct Identify<S> {
    inner: S,
    gateway: Arc<Gateway>,
}

impl<S> Identify<S> {
    /// In front of `inner`.
    pub const fn new(gateway: Arc<Gateway>, inner: S) -> Self {
        Self { inner, gateway }
    }

    /// The buyer of `request`, if the gateway is to name one.
    fn buyer(&self, request: &Request<Bytes>) -> Result<Option<Buyer>, ApiError> {
        let Some(header) = self.gateway.identity_header() else { return Ok(None) };
        // Anybody can set a header: only the signature makes it the gateway's word.
        if request.extensions().get::<Verified>().is_none() {
            return Err(ApiError::SignatureMissing);
        }
        // Once at most: the signature was checked for that.
        let buyer = request.headers().get(header).and_then(Buyer::parse);
        buyer.map(Some).ok_or(ApiError::IdentityMissing)
    }
}

impl<S> Service<Request<Bytes>> for Identify<S>
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
        match self.buyer(&request) {
            Ok(Some(buyer)) => {
                request.extensions_mut().insert(buyer);
            }
            Ok(None) => {}
            Err(error) => return Either::Right(ready(Ok(error.into_response()))),
        }
        Either::Left(self.inner.call(request))
    }
}
