//! The outermost layer: gives a request its id, and sees what became of it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderName, HeaderValue, Request};
use pin_project_lite::pin_project;
use shared::time::Clock;
use tower::Service;

use super::Response;
use crate::error::Refusal;
use crate::metrics;
use crate::request_context::{REQUEST_ID, Received, RequestContext, RequestId};

/// Tells Function Compute that an invocation failed: without it every answer counts as a success, whatever its status
/// (certain: vendor's documentation of web functions).
pub const FC_STATUS: HeaderName = HeaderName::from_static("x-fc-status");

/// Observes `inner`.
#[derive(Clone, Debug)]
pub struct Observe<S, C> {
    inner: S,
    clock: C,
}

impl<S, C> Observe<S, C> {
    /// Around `inner`.
    pub const fn new(clock: C, inner: S) -> Self {
        Self { inner, clock }
    }
}

impl<S, C, B> Service<Request<B>> for Observe<S, C>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
    C: Clock,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Observed<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let id = RequestId::of(request.headers());
        let received = Received::now(&self.clock);
        request.extensions_mut().insert(RequestContext { id: id.clone(), received });
        Observed { future: self.inner.call(request), id }
    }
}

pin_project! {
    /// The answer of [`Observe`].
    #[derive(Debug)]
    pub struct Observed<F> {
        #[pin]
        future: F,
        id: RequestId,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Observed<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.future.poll(context));
        let status = response.status().as_u16();
        match response.extensions().get::<Refusal>() {
            Some(refusal) => metrics::refused(refusal.code),
            None => metrics::accepted(),
        }
        let headers = response.headers_mut();
        if status >= 400 {
            headers.insert(FC_STATUS, HeaderValue::from(status));
        }
        headers.insert(REQUEST_ID, this.id.as_header().clone());
        Poll::Ready(Ok(response))
    }
}
