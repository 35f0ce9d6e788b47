//! `POST /v1/orders`.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::envelope::EncodedOrder;
use shared::order::{OrderId, PayloadDigest, TraceParent};
use shared::time::{Clock, rfc3339_millis};
use time::OffsetDateTime;
use tower::Service;

use crate::app::App;
use crate::error::ApiError;
use crate::gateway::Buyer;
use crate::layers::admission::retry_after_s;
use crate::layers::head::idempotency_key;
use crate::publish::{OrderPublisher, PublishError};
use crate::request::{into_order, read_json};
use crate::request_context::{RequestContext, RequestStart};

/// The answer to an accepted order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The order's id; a retry with the same Idempotency-Key has the same.
    pub order_id: String,
    /// `accepted`: the broker has the order; what becomes of it shows at `Location`.
    pub status: Cow<'static, str>,
    /// Digest of this attempt's payload. The look-up shows the digest of the attempt that won.
    pub digest: String,
    /// When it was accepted, RFC 3339.
    pub accepted_at: String,
}

/// Validates an order, publishes it, and answers once the broker has acknowledged it. The innermost service of the
/// public API: its requests have been let in and read.
#[derive(Debug)]
pub struct CreateOrder<P, C> {
    app: Arc<App<P, C>>,
}

impl<P, C> CreateOrder<P, C> {
    /// For one worker.
    pub const fn new(app: Arc<App<P, C>>) -> Self {
        Self { app }
    }
}

impl<P, C> Clone for CreateOrder<P, C> {
    fn clone(&self) -> Self {
        Self { app: self.app.clone() }
    }
}

impl<P: OrderPublisher, C: Clock> Service<Request<Bytes>> for CreateOrder<P, C> {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let app = self.app.clone();
        Box::pin(async move {
            Ok(match accept(&app, request).await {
                Ok(accepted) => accepted.into_response(),
                Err(error) => error.into_response(),
            })
        })
    }
}

/// An order that passed every rule, ready to go.
struct PreparedOrder {
    order_id: OrderId,
    digest: PayloadDigest,
    accepted_at: OffsetDateTime,
    encoded: EncodedOrder,
}

async fn accept<P: OrderPublisher, C: Clock>(
    app: &App<P, C>,
    request: Request<Bytes>,
) -> Result<Accepted, ApiError> {
    let received = request
        .extensions()
        .get::<RequestContext>()
        .map_or_else(|| RequestStart::now(app.clock()), |context| context.received);
    let PreparedOrder { order_id, digest, accepted_at, encoded } = prepare(app, &request)?;
    // Thousands of requests may wait for the broker at once: they hold no more than their answers need.
    drop(request);
    let publish_error = |error| ApiError::Publish { order_id, digest, error, retry_after_s: retry_after_s() };
    let time_left = |received: &RequestStart| {
        app.limits().request_timeout.checked_sub(received.elapsed(app.clock())).filter(|left| !left.is_zero())
    };
    let left = time_left(&received).ok_or_else(|| publish_error(PublishError::TimedOut))?;
    app.publisher().publish(order_id, encoded, left).await.map_err(publish_error)?;
    // The instance may have been frozen meanwhile. Whoever waited has long been told otherwise, and asks again.
    time_left(&received).ok_or_else(|| publish_error(PublishError::TimedOut))?;
    Ok(Accepted {
        order_id: order_id.to_string(),
        status: Cow::Borrowed("accepted"),
        digest: digest.to_string(),
        accepted_at: rfc3339_millis(accepted_at),
    })
}

fn prepare<P, C: Clock>(app: &App<P, C>, request: &Request<Bytes>) -> Result<PreparedOrder, ApiError> {
    let headers = request.headers();
    let idempotency_key = idempotency_key(headers)?;
    let mut body = read_json(request.body())?;
    if let Some(buyer) = request.extensions().get::<Buyer>() {
        buyer.apply_to(&mut body.user_id)?;
    }
    let order = into_order(&body).map_err(|faults| ApiError::Invalid(app.all_problems(&body, faults)))?;
    let order = app.accept(&body, order, &idempotency_key, traceparent(headers))?;
    tracing::debug!(
        request_id = request.extensions().get::<RequestContext>().map(|context| context.id.as_str()),
        order_id = %order.order_id,
        traceparent = order.traceparent.as_ref().map(TraceParent::as_str),
        "order validated"
    );
    Ok(PreparedOrder {
        order_id: order.order_id,
        digest: order.digest,
        accepted_at: order.accepted_at,
        encoded: EncodedOrder::new(&order),
    })
}

/// A trace context that is not well-formed is passed over, as W3C asks.
fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent").and_then(|value| TraceParent::parse(value.to_str().ok()?))
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        // Strings only: serialisation cannot fail.
        let mut response = Response::new(Body::from(serde_json::to_vec(&self).unwrap_or_default()));
        *response.status_mut() = StatusCode::ACCEPTED;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // An order id is a UUID, which a header can carry.
        if let Ok(location) = HeaderValue::try_from(format!("/v1/orders/{}", self.order_id)) {
            headers.insert(LOCATION, location);
        }
        response
    }
}
