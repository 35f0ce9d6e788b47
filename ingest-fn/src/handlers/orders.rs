//! `POST /v1/orders`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::envelope::EncodedOrder;
use shared::order::{IdempotencyKey, OrderId, PayloadDigest, TraceParent};
use shared::time::{Clock, rfc3339_millis};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::app::App;
use crate::error::ApiError;
use crate::layers::admission::retry_after_s;
use crate::metrics;
use crate::publish::OrderPublisher;
use crate::request::{into_order, read_json};

/// Largest body, bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

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

/// Validates an order, publishes it, and answers once the broker has acknowledged it.
pub async fn create<P: OrderPublisher, C: Clock>(
    State(app): State<Arc<App<P, C>>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    match accept(&app, parts.headers, body).await {
        Ok(accepted) => {
            metrics::accepted();
            accepted.into_response()
        }
        Err(error) => {
            metrics::refused(error.code());
            error.into_response()
        }
    }
}

/// An order that passed every rule, ready to go.
struct Judged {
    order_id: OrderId,
    digest: PayloadDigest,
    accepted_at: OffsetDateTime,
    encoded: EncodedOrder,
}

async fn accept<P: OrderPublisher, C: Clock>(
    app: &App<P, C>,
    headers: HeaderMap,
    body: Body,
) -> Result<Accepted, ApiError> {
    check_media_type(&headers)?;
    let idempotency_key = idempotency_key(&headers)?;
    let body = timeout(app.body_timeout(), read_body(&headers, body))
        .await
        .map_err(|_elapsed| ApiError::BodyTimeout)??;
    let Judged { order_id, digest, accepted_at, encoded } =
        judge(app, &body, &idempotency_key, traceparent(&headers))?;
    // Thousands of requests may wait for the broker at once: they hold no more than their answers need.
    drop((headers, body, idempotency_key));
    app.publisher().publish(order_id, encoded).await.map_err(|error| ApiError::Publish {
        order_id,
        digest,
        error,
        retry_after_s: retry_after_s(),
    })?;
    Ok(Accepted {
        order_id: order_id.to_string(),
        status: Cow::Borrowed("accepted"),
        digest: digest.to_string(),
        accepted_at: rfc3339_millis(accepted_at),
    })
}

fn judge<P, C: Clock>(
    app: &App<P, C>,
    body: &[u8],
    idempotency_key: &IdempotencyKey,
    traceparent: Option<TraceParent>,
) -> Result<Judged, ApiError> {
    let request = read_json(body)?;
    let order = into_order(&request).map_err(|faults| ApiError::Invalid(app.all_faults(&request, faults)))?;
    let order = app.accept(&request, order, idempotency_key, traceparent)?;
    Ok(Judged {
        order_id: order.order_id,
        digest: order.digest,
        accepted_at: order.accepted_at,
        encoded: EncodedOrder::new(&order),
    })
}

async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let too_large = ApiError::BodyTooLarge { max: BODY_BYTES_MAX };
    // A body that says that it is too large need not be read to be refused.
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
        return Err(too_large);
    }
    to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
        let over = std::error::Error::source(&error)
            .is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
        if over { too_large } else { ApiError::UnreadableBody }
    })
}

fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or(ApiError::MediaType)?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(ApiError::MediaType) }
}

fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
    let mut values = headers.get_all("idempotency-key").iter();
    // Two keys would leave it open which order this is.
    let (Some(value), None) = (values.next(), values.next()) else { return Err(ApiError::IdempotencyKey) };
    value.to_str().ok().and_then(|text| IdempotencyKey::parse(text).ok()).ok_or(ApiError::IdempotencyKey)
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
