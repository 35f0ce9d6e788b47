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
use shared::order::{Currency, IdempotencyKey, OrderId, PayloadDigest, TraceParent};
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
use crate::request::{ReadError, check_head, read_order};
use crate::request_context::{RequestContext, RequestStart};

pub(crate) const ORDERS_PATH: &str = "/v1/orders";

/// The answer to an accepted order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The order's id; a retry with the same Idempotency-Key has the same id.
    #[schemars(extend("format" = "uuid"))]
    pub order_id: String,
    /// `accepted`: the broker has stored the order. `Location` returns its outcome.
    #[schemars(extend("const" = "accepted"))]
    pub status: Cow<'static, str>,
    /// Digest of this attempt's payload. The look-up returns the digest of the attempt that won.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// Time of acceptance, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub accepted_at: String,
    /// Sum of the order at the prices of its acceptance, in the currency's minor unit.
    pub total_minor: i64,
    /// ISO 4217 code.
    #[schemars(regex(pattern = Currency::PATTERN))]
    pub currency: String,
    /// Revision of the catalogue whose prices these are.
    pub catalogue_revision: String,
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

/// An order that passed every rule, encoded for the broker.
struct PreparedOrder {
    order_id: OrderId,
    digest: PayloadDigest,
    accepted_at: OffsetDateTime,
    total_minor: i64,
    currency: Currency,
    catalogue_revision: String,
    encoded: EncodedOrder,
}

/// Signature, identity, body, rules of the order, rules of the catalogue, then what the client expects, in this order.
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
    let body = read_order(request.body(), buyer.as_ref()).map_err(|error| match error {
        ReadError::NotJson(problem) => ApiError::MalformedJson(problem),
        ReadError::OtherBuyer => ApiError::UserMismatch,
        ReadError::Faulty(faulty) => ApiError::Invalid(sales.all_problems(faulty)),
    })?;
    let traceparent = traceparent(request.headers());
    let expected_total_minor = body.expected_total_minor;
    let order = sales.accept(now, body, &idempotency_key, traceparent)?;
    let (order_id, digest) = (order.order_id, order.digest);
    if app.instance.accepted_orders.has_another_digest(order_id, digest) {
        return Err(ApiError::KeyReused { order_id, digest });
    }
    // The catalogue's bounds keep every total far below the maximum.
    let total_minor = order.total_minor().unwrap_or(i64::MAX);
    if expected_total_minor.is_some_and(|expected| expected != total_minor) {
        return Err(ApiError::PriceChanged { order_id, digest, total_minor, currency: order.currency });
    }
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
        order_id,
        digest,
        accepted_at: order.accepted_at,
        total_minor,
        currency: order.currency,
        encoded: EncodedOrder::new(&order),
        catalogue_revision: order.catalogue_revision,
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
    let PreparedOrder { order_id, digest, accepted_at, total_minor, currency, catalogue_revision, encoded } =
        order;
    let failed = |error| ApiError::Publish { order_id, digest, error, retry_after_s: random_retry_after_s() };
    let time_left = || {
        let left = app.limits.request_timeout.checked_sub(start.elapsed(&app.clock));
        left.filter(|left| !left.is_zero()).ok_or_else(|| failed(PublishError::TimedOut))
    };
    app.publisher.publish(order_id, encoded, time_left()?).await.map_err(failed)?;
    time_left()?;
    app.instance.accepted_orders.remember(order_id, digest);
    Ok(Accepted {
        order_id: order_id.to_string(),
        status: Cow::Borrowed("accepted"),
        digest: digest.to_string(),
        accepted_at: rfc3339_millis(accepted_at),
        total_minor,
        currency: currency.to_string(),
        catalogue_revision,
    })
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        // Strings and a number: serialisation cannot fail.
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
