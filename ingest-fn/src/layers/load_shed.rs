//! Load shedding: a request acquires a permit or is rejected immediately. There is no queue that could grow.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Request};
use pin_project_lite::pin_project;
use tower::Service;

use crate::body::announced_bytes;
use crate::error::{ApiError, random_retry_after_s};
use crate::instance::Instance;
use crate::log_budgets::REQUESTS_SHED;

/// Calls `inner` only with a permit for the request and its body; otherwise answers 429, or 503 if the instance is
/// stopping. The permit is released when the answer is ready, or when the future is dropped because the client has
/// hung up.
#[derive(Clone, Debug)]
pub struct LoadShed<S> {
    inner: S,
    instance: Arc<Instance>,
    body_bytes_max: usize,
}

impl<S> LoadShed<S> {
    /// `inner` reads at most `body_bytes_max` bytes of a body.
    pub(crate) const fn new(instance: Arc<Instance>, body_bytes_max: usize, inner: S) -> Self {
        Self { inner, instance, body_bytes_max }
    }
}

impl<S, B> Service<Request<B>> for LoadShed<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = LoadShedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let bytes = bytes_needed(request.headers(), self.body_bytes_max);
        if !self.instance.budget.try_acquire(bytes) {
            REQUESTS_SHED.count();
            return LoadShedFuture::rejected(ApiError::Overloaded { retry_after_s: random_retry_after_s() });
        }
        let permit = Permit { instance: self.instance.clone(), bytes };
        // Checked with the permit acquired: either a drain counts this request, or this request sees the drain.
        if self.instance.is_stopping() {
            return LoadShedFuture::rejected(ApiError::Stopping);
        }
        LoadShedFuture { state: State::Permitted { future: self.inner.call(request), _permit: permit } }
    }
}

/// Bytes to reserve for a body: as announced, or `max` if it does not announce its size. A body that announces more is
/// rejected unread.
fn bytes_needed(headers: &HeaderMap, max: usize) -> u32 {
    announced_bytes(headers).unwrap_or(max).min(max) as u32
}

#[derive(Debug)]
struct Permit {
    instance: Arc<Instance>,
    bytes: u32,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.instance.budget.release(self.bytes);
    }
}

pin_project! {
    #[derive(Debug)]
    pub struct LoadShedFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProjection]
    enum State<F> {
        Permitted { #[pin] future: F, _permit: Permit },
        Rejected { response: Option<Response> },
    }
}

impl<F> LoadShedFuture<F> {
    fn rejected(error: ApiError) -> Self {
        Self { state: State::Rejected { response: Some(error.into_response()) } }
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for LoadShedFuture<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Permitted { future, .. } => Poll::Ready(ready!(future.poll(context))),
            // Pending if polled after completion.
            StateProjection::Rejected { response } => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
        }
    }
}
