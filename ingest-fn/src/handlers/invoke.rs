//! `POST /invoke`: the event form of the public API.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::response::IntoResponse;
use futures_util::future::{Either, Ready, ready};
use http::header::ALLOW;
use http::{HeaderValue, Method, Request};
use tower::Service;

use crate::error::ApiError;
use crate::event;
use crate::layers::Response;
use crate::layers::observe::set_fc_status;
use crate::limits::BODY_BYTES_MAX;
use crate::request_context::{REQUEST_ID, RequestContext};
use crate::router::ORDERS_PATH;

/// Hands `orders` the request that an event stands for, with the extensions of the request that brought the event.
#[derive(Clone, Debug)]
pub struct Unwrap<S> {
    orders: S,
}

impl<S> Unwrap<S> {
    /// In front of `orders`.
    pub const fn new(orders: S) -> Self {
        Self { orders }
    }
}

impl<S> Service<Request<Bytes>> for Unwrap<S>
where
    S: Service<Request<Bytes>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.orders.poll_ready(context)
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (outer, event) = request.into_parts();
        let mut request = match event::read(&event) {
            Ok(request) => request,
            Err(fault) => return answer(ApiError::MalformedEvent(fault).into_response()),
        };
        // The one public route. No other can be reached by an event.
        if request.uri().path() != ORDERS_PATH {
            return answer(ApiError::NotFound.into_response());
        }
        if *request.method() != Method::POST {
            let mut response = ApiError::MethodNotAllowed.into_response();
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return answer(response);
        }
        if request.body().len() > BODY_BYTES_MAX {
            return answer(ApiError::BodyTooLarge { max: BODY_BYTES_MAX }.into_response());
        }
        *request.extensions_mut() = outer.extensions;
        Either::Left(self.orders.call(request))
    }
}

fn answer<F>(response: Response) -> Either<F, Ready<Result<Response, Infallible>>> {
    Either::Right(ready(Ok(response)))
}

/// Wraps every answer of `inner` into a reply, refusals of layers included: an event's sender sees nothing else.
#[derive(Clone, Debug)]
pub struct Wrap<S> {
    inner: S,
}

impl<S> Wrap<S> {
    /// Around `inner`.
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Wrap<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let id = request.extensions().get::<RequestContext>().map(|context| context.id.clone());
        let answered = self.inner.call(request);
        Box::pin(async move {
            let Ok(mut response) = answered.await;
            if let Some(id) = id {
                response.headers_mut().insert(REQUEST_ID, id.as_header().clone());
            }
            let status = response.status();
            let mut wrapped = event::wrap(response).await;
            // The platform sees a 200, whatever it brings.
            set_fc_status(&mut wrapped, status);
            Ok(wrapped)
        })
    }
}
