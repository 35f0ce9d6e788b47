//! The outermost layer: assigns a request id, and counts and logs the end of a request.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use pin_project_lite::pin_project;
use shared::time::Clock;
use tower::Service;

use crate::error::{ApiError, Rejection, write_problem};
use crate::instance::Instance;
use crate::log_budgets::REQUESTS_ABANDONED;
use crate::metrics;
use crate::request_context::{REQUEST_ID, RequestContext, RequestId, RequestStart, unix_ms};
use crate::request_logger::CompletedRequest;

/// Reports a failed invocation to Function Compute: without it every answer counts as a success, regardless of its
/// status (certain: vendor's documentation of web functions).
const FC_STATUS: HeaderName = HeaderName::from_static("x-fc-status");

/// Sets `x-fc-status` so that Function Compute counts a 5xx as failed. A 4xx is the client's fault: early buyers would
/// raise the alarm for failed invocations at each opening. `status` is the order's own: a reply to an event is always a
/// 200.
pub(crate) fn set_fc_status(response: &mut Response, status: StatusCode) {
    if status.is_server_error() {
        response.headers_mut().insert(FC_STATUS, HeaderValue::from(status.as_u16()));
    }
}

#[derive(Clone, Debug)]
pub struct Observe<S, C> {
    inner: S,
    instance: Arc<Instance>,
    clock: C,
}

impl<S, C> Observe<S, C> {
    pub(crate) const fn new(instance: Arc<Instance>, clock: C, inner: S) -> Self {
        Self { inner, instance, clock }
    }
}

impl<S, C, B> Service<Request<B>> for Observe<S, C>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
    C: Clock + Clone,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ObserveFuture<S::Future, C>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let id = RequestId::from_headers(request.headers());
        let start = RequestStart::now(&self.clock);
        self.instance.logger.on_request(&id);
        request.extensions_mut().insert(RequestContext { id: id.clone(), start });
        let future = self.inner.call(request);
        let (instance, clock) = (self.instance.clone(), self.clock.clone());
        ObserveFuture { future, id, start, instance, clock, open: OpenRequest { is_answered: false } }
    }
}

pin_project! {
    #[derive(Debug)]
    pub struct ObserveFuture<F, C> {
        #[pin]
        future: F,
        id: RequestId,
        start: RequestStart,
        instance: Arc<Instance>,
        clock: C,
        open: OpenRequest,
    }
}

/// A request that is dropped without an answer: its client has hung up, or its connection was cut.
#[derive(Debug)]
struct OpenRequest {
    is_answered: bool,
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if !self.is_answered {
            metrics::request_abandoned();
            REQUESTS_ABANDONED.count();
        }
    }
}

impl<F: Future<Output = Result<Response, Infallible>>, C: Clock> Future for ObserveFuture<F, C> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // A panic is this request's alone: the others of its connection go on.
        let mut response = match catch_unwind(AssertUnwindSafe(|| this.future.poll(context))) {
            Ok(polled) => {
                let Ok(response) = ready!(polled);
                response
            }
            Err(_logged) => ApiError::Internal.into_response(),
        };
        this.open.is_answered = true;
        let status = response.status();
        let now = this.clock.now();
        let rejection = response.extensions().get::<Rejection>();
        match rejection {
            Some(rejection) => metrics::request_rejected(rejection.code),
            None => metrics::order_accepted(),
        }
        metrics::request_completed(this.start.elapsed_at(now));
        let completed = CompletedRequest { id: this.id, rejection, now_ms: unix_ms(now) };
        this.instance.logger.on_response(&completed, || this.instance.budget.requests_in_flight());
        set_fc_status(&mut response, status);
        write_problem(&mut response, this.id);
        response.headers_mut().insert(REQUEST_ID, this.id.as_header().clone());
        Poll::Ready(Ok(response))
    }
}
