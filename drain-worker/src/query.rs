//! The buyers' lookup, `GET /v1/orders/{order_id}`. It has its own listener and its own database connections: lookups
//! cannot delay the writers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use shared::gateway::{IdentityMissing, SignatureError, SignedGateway, SigningKeys};
use shared::order::{OrderId, Outcome, UserId};
use shared::problem::Problem;
use shared::telemetry::LogBudget;
use shared::time::rfc3339_millis;
use tokio::sync::Semaphore;

use crate::store::{Store, StoredOrder, StoredStatus};

/// Maximum lookups in flight; further ones get 429.
pub const LOOKUPS_MAX: usize = 256;

static REJECTIONS: LogBudget = LogBudget::new(1, |requests| {
    tracing::warn!(
        event = "lookups_unauthenticated",
        requests,
        "lookups rejected: not signed by the gateway"
    );
});

/// Authentication of the query port.
#[derive(Debug)]
pub enum LookupAccess {
    /// Any caller that knows an order's id.
    Open,
    /// The gateway, by its signature. If it names the buyer, the lookup returns that buyer's orders alone.
    Gateway(SignedGateway),
}

impl LookupAccess {
    /// Verifies the gateway's signature with `keys`; reads the buyer from `identity_header`.
    #[must_use]
    pub fn gateway(keys: SigningKeys, identity_header: Option<HeaderName>) -> Self {
        Self::Gateway(SignedGateway::new(keys, identity_header, &[]))
    }

    /// Logs what is not checked; call it once at start.
    pub fn warn(&self) {
        match self {
            Self::Open => tracing::warn!(
                event = "lookups_not_signed",
                "no --gateway-secrets: the query port answers any caller that knows an order's id"
            ),
            Self::Gateway(gateway) if gateway.identity_header().is_none() => tracing::warn!(
                event = "lookups_without_identity",
                "no --identity-header: a client of the gateway can look up every order whose id it knows"
            ),
            Self::Gateway(_) => {}
        }
    }

    fn authorize(&self, request: &Request) -> Result<Caller, AccessError> {
        let Self::Gateway(gateway) = self else { return Ok(Caller(None)) };
        // A lookup has no body; a body would be neither signed nor read.
        match gateway.verify(request.method(), request.uri(), request.headers(), &[]) {
            Ok(verified) => Ok(Caller(gateway.buyer(request.headers(), verified)?)),
            Err(error) => {
                REJECTIONS.record(|| {
                    tracing::warn!(
                        event = "lookups_unauthenticated",
                        requests = 1,
                        %error,
                        "lookups rejected: not signed by the gateway"
                    );
                });
                Err(error.into())
            }
        }
    }
}

/// The buyer of a lookup; `None`: the caller may see every order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Caller(Option<UserId>);

impl Caller {
    /// True if the caller may see an order of `owner`. An order without a recorded owner is hidden from every buyer.
    fn may_see(&self, owner: Option<&UserId>) -> bool {
        self.0.is_none() || self.0.as_ref() == owner
    }
}

/// The reason why a lookup is rejected; the codes are ingest-fn's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AccessError {
    SignatureMissing,
    SignatureInvalid,
    RepeatedParameter,
    IdentityMissing,
}

impl From<SignatureError> for AccessError {
    /// The client learns no more than this; details would help a forger.
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Missing => Self::SignatureMissing,
            SignatureError::RepeatedParameter => Self::RepeatedParameter,
            _ => Self::SignatureInvalid,
        }
    }
}

impl From<IdentityMissing> for AccessError {
    fn from(_: IdentityMissing) -> Self {
        Self::IdentityMissing
    }
}

impl IntoResponse for AccessError {
    fn into_response(self) -> Response {
        let (status, code, detail) = match self {
            Self::SignatureMissing => {
                (StatusCode::UNAUTHORIZED, "signature_missing", "Look orders up through the gateway.")
            }
            Self::SignatureInvalid => (
                StatusCode::FORBIDDEN,
                "signature_invalid",
                "Look orders up through the gateway, with one of each header.",
            ),
            Self::RepeatedParameter => {
                (StatusCode::BAD_REQUEST, "repeated_parameter", "Send each query parameter once.")
            }
            Self::IdentityMissing => {
                (StatusCode::UNAUTHORIZED, "identity_missing", "Sign in: the gateway did not name the buyer.")
            }
        };
        Problem::new(status, code, detail).into_response()
    }
}

/// Passes an authorized lookup on, with its [`Caller`] in the extensions.
async fn guard(State(access): State<Arc<LookupAccess>>, mut request: Request, next: Next) -> Response {
    match access.authorize(&request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// The routes of the query port. Authorization comes first, also for unknown paths.
pub fn router(store: Arc<Store>, access: Arc<LookupAccess>) -> Router {
    let state = Lookups { store, permits: Arc::new(Semaphore::new(LOOKUPS_MAX)) };
    Router::new()
        .route("/v1/orders/{order_id}", get(find))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async {
            Problem::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "Unknown path. Orders are at GET /v1/orders/{order_id}.",
            )
        })
        .layer(from_fn_with_state(access, guard))
        .with_state(state)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    pub order_id: String,
    /// `confirmed`, `rejected` or `dead_lettered`; the last one until an operator has repaired the cause.
    pub state: String,
    /// `sold_out`, `limit_exceeded`, or the reason of the dead letter; absent if confirmed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Digest of the decided payload. A different digest in a 202 means that another payload was decided first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
    /// Number of later payloads under the same id, which were not decided.
    pub conflicts: u64,
    /// W3C trace context of the decided request, if it had one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// When an operator discarded the dead letter, RFC 3339; the order will not be decided any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub discarded_at: Option<String>,
    /// RFC 3339, by the ingest function's clock.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accepted_at: Option<String>,
    /// When the order was decided, last failed or was discarded, RFC 3339, by the database's clock.
    pub decided_at: String,
}

impl From<StoredOrder> for OrderView {
    fn from(order: StoredOrder) -> Self {
        let (state, reason, discarded_at) = match order.status {
            StoredStatus::Decided(Outcome::Confirmed) => ("confirmed", None, None),
            StoredStatus::Decided(Outcome::Rejected(reason)) => {
                ("rejected", Some(reason.as_str().to_owned()), None)
            }
            StoredStatus::DeadLettered { reason, discarded_at } => {
                ("dead_lettered", Some(reason), discarded_at)
            }
        };
        Self {
            order_id: order.order_id.to_string(),
            state: state.to_owned(),
            reason,
            digest: order.digest.map(|digest| digest.to_string()),
            conflicts: order.conflicts,
            traceparent: order.traceparent.map(|trace| trace.as_str().to_owned()),
            discarded_at: discarded_at.map(rfc3339_millis),
            accepted_at: order.accepted_at.map(rfc3339_millis),
            decided_at: rfc3339_millis(order.updated_at),
        }
    }
}

#[derive(Clone)]
struct Lookups {
    store: Arc<Store>,
    permits: Arc<Semaphore>,
}

async fn find(
    State(lookups): State<Lookups>,
    Extension(caller): Extension<Caller>,
    Path(order_id): Path<String>,
) -> Response {
    let Ok(order_id) = order_id.parse::<OrderId>() else {
        return Problem::new(StatusCode::BAD_REQUEST, "invalid_order_id", "An order id is a UUID.")
            .into_response();
    };
    let Ok(_permit) = lookups.permits.try_acquire() else {
        return Problem::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", "Too many lookups in flight.")
            .retry_after(rand::random_range(1..=3))
            .into_response();
    };
    match lookups.store.find(order_id).await {
        Ok(Some(order)) if caller.may_see(order.user_id.as_ref()) => found(&OrderView::from(order)),
        // Another buyer's order gets the same response as one that does not exist.
        Ok(_) => not_found(order_id),
        Err(error) => {
            tracing::error!(event = "lookup_failed", %error, error_code = "database_unavailable", "lookup failed: database unavailable");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_unavailable",
                "The order cannot be looked up now.",
            )
            .retry_after(rand::random_range(1..=5))
            .into_response()
        }
    }
}

fn found(order: &OrderView) -> Response {
    let body = serde_json::to_vec(order).unwrap_or_default();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}

/// An accepted order may still be queued; the queue cannot be searched for one order.
fn not_found(order_id: OrderId) -> Response {
    Problem::new(
        StatusCode::NOT_FOUND,
        "order_not_found",
        "No such order yet. If it was answered 202 it is still queued: ask again.",
    )
    .retry_after(2)
    .about(order_id, None)
    .into_response()
}
