//! `POST /v1/orders`: an order's way, from the head of its request to the 202.
//!
//! `Observe` and `LoadShed` surround it ([`crate::layers`]). [`crate::invoke`] enters at `accept` with an order from
//! an event.

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::envelope::EncodedOrder;
use shared::order::{IdempotencyKey, OrderId, PayloadDigest, TraceParent};
use shared::time::{Clock, rfc3339_millis};
use time::OffsetDateTime;
use tokio::time::Instant;
use tower::Service;

use crate::app::App;
use crate::body::read_body;
use crate::error::{ApiError, random_retry_after_s};
use crate::limits::BODY_BYTES_MAX;
use crate::metrics;
use crate::publish::{OrderPublisher, PublishError};
use crate::request::{parse_order, read_json};
use crate::request_context::{IDEMPOTENCY_KEY, RequestContext, RequestStart};

pub(crate) const ORDERS_PATH: &str = "/v1/orders";

/// The answer to an accepted order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The order's id; a retry with the same Idempotency-Key has the same id.
    pub order_id: String,
    /// `accepted`: the broker has stored the order. `Location` returns its outcome.
    pub status: Cow<'static, str>,
    /// Digest of this attempt's payload. The look-up returns the digest of the attempt that won.
    pub digest: String,
    /// Time of acceptance, RFC 3339.
    pub accepted_at: String,
}

/// The service inside the layers. One boxed future per order, however many steps it has.
#[derive(Debug)]
pub struct CreateOrder<P, C> {
    app: Arc<App<P, C>>,
}

impl<P, C> CreateOrder<P, C> {
    pub(crate) const fn new(app: Arc<App<P, C>>) -> Self {
        Self { app }
    }
}

impl<P, C> Clone for CreateOrder<P, C> {
    fn clone(&self) -> Self {
        Self { app: self.app.clone() }
    }
}

impl<P, C, B> Service<Request<B>> for CreateOrder<P, C>
where
    P: OrderPublisher,
    C: Clock,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let app = self.app.clone();
        Box::pin(async move {
            Ok(match create_order(&app, request).await {
                Ok(accepted) => accepted.into_response(),
                Err(rejected) => rejected.into_response(),
            })
        })
    }
}

/// Head, body, then [`accept`]: the head is checked before a byte of the body is read.
///
/// If the future is dropped before [`publish`], nothing is sent; afterwards the order is sent regardless.
async fn create_order<P, C, B>(app: &App<P, C>, request: Request<B>) -> Result<Accepted, ApiError>
where
    P: OrderPublisher,
    C: Clock,
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let idempotency_key = check_head(request.headers())?;
    let request = read_body(request, BODY_BYTES_MAX, app.limits.body_timeout).await?;
    accept(app, request, idempotency_key).await
}

/// Validates a request whose body is read, publishes its order, and returns once the broker has acknowledged it.
pub(crate) async fn accept<P: OrderPublisher, C: Clock>(
    app: &App<P, C>,
    request: Request<Bytes>,
    idempotency_key: IdempotencyKey,
) -> Result<Accepted, ApiError> {
    let began = Instant::now();
    let (start, order) = prepare(app, request, idempotency_key)?;
    metrics::order_validated(began.elapsed());
    // Thousands of requests may wait here: each holds only what its answer needs.
    publish(app, start, order).await
}

/// Checks the head of a request for an order: JSON, and exactly one valid `Idempotency-Key`.
///
/// # Errors
/// [`ApiError::MediaType`], then [`ApiError::IdempotencyKey`].
pub(crate) fn check_head(headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::MediaType);
    }
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    // With two keys the order would be ambiguous.
    let (Some(key), None) = (keys.next(), keys.next()) else { return Err(ApiError::IdempotencyKey) };
    key.to_str().ok().and_then(|text| IdempotencyKey::parse(text).ok()).ok_or(ApiError::IdempotencyKey)
}

/// An order that passed every rule, encoded for the broker.
struct PreparedOrder {
    order_id: OrderId,
    digest: PayloadDigest,
    accepted_at: OffsetDateTime,
    encoded: EncodedOrder,
}

/// Signature, identity, body, rules of the order, rules of the catalogue, in this order.
#[expect(clippy::needless_pass_by_value, reason = "the caller's future does not hold what it no longer owns")]
fn prepare<P, C: Clock>(
    app: &App<P, C>,
    request: Request<Bytes>,
    idempotency_key: IdempotencyKey,
) -> Result<(RequestStart, PreparedOrder), ApiError> {
    let now = app.clock.now();
    let sales = app.sales.at(now);
    let verified = app.gateway.check_signature(&request)?;
    let buyer = app.gateway.identify(request.headers(), verified)?;
    let mut body = read_json(request.body())?;
    if let Some(buyer) = buyer {
        buyer.apply_to(&mut body.user_id)?;
    }
    let order =
        parse_order(&body).map_err(|problems| ApiError::Invalid(sales.all_problems(&body, problems)))?;
    let traceparent = traceparent(request.headers());
    let order = sales.accept(now, &body, order, &idempotency_key, traceparent)?;
    let context = request.extensions().get::<RequestContext>();
    tracing::debug!(
        event = "order_validated",
        request_id = context.map(|context| context.id.as_str()),
        order_id = %order.order_id,
        traceparent = order.traceparent.as_ref().map(TraceParent::as_str),
        "order validated"
    );
    let start = context.map_or_else(|| RequestStart::now(&app.clock), |context| context.start);
    let prepared = PreparedOrder {
        order_id: order.order_id,
        digest: order.digest,
        accepted_at: order.accepted_at,
        encoded: EncodedOrder::new(&order),
    };
    Ok((start, prepared))
}

/// A malformed trace context is ignored, as W3C Trace Context requires.
fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent").and_then(|value| TraceParent::parse(value.to_str().ok()?))
}

/// Publishes within the rest of the request timeout. After a freeze an acknowledgement may arrive later than that: the
/// client has timed out by then, so the answer is [`PublishError::TimedOut`], and its retry is the same order.
async fn publish<P: OrderPublisher, C: Clock>(
    app: &App<P, C>,
    start: RequestStart,
    order: PreparedOrder,
) -> Result<Accepted, ApiError> {
    let PreparedOrder { order_id, digest, accepted_at, encoded } = order;
    let failed = |error| ApiError::Publish { order_id, digest, error, retry_after_s: random_retry_after_s() };
    let time_left = || {
        let left = app.limits.request_timeout.checked_sub(start.elapsed(&app.clock));
        left.filter(|left| !left.is_zero()).ok_or_else(|| failed(PublishError::TimedOut))
    };
    app.publisher.publish(order_id, encoded, time_left()?).await.map_err(failed)?;
    time_left()?;
    Ok(Accepted {
        order_id: order_id.to_string(),
        status: Cow::Borrowed("accepted"),
        digest: digest.to_string(),
        accepted_at: rfc3339_millis(accepted_at),
    })
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        // Strings only: serialisation cannot fail.
        let mut response = Response::new(Body::from(serde_json::to_vec(&self).unwrap_or_default()));
        *response.status_mut() = StatusCode::ACCEPTED;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // An order id is a UUID, which is a valid header value.
        if let Ok(location) = HeaderValue::try_from(format!("{ORDERS_PATH}/{}", self.order_id)) {
            headers.insert(LOCATION, location);
        }
        response
    }
}
