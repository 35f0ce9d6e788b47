//! The buyers' lookup, `GET /v1/orders/{order_id}`. It has its own listener and its own database connections: lookups
//! cannot delay the writers.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use shared::gateway::{IdentityError, SignatureError, SignedGateway, SigningKeys};
use shared::lookup::{LookupError, OrderView};
use shared::order::{OrderId, Outcome, UserId};
use shared::problem::Problem;
use shared::telemetry::LogBudget;
use shared::time::rfc3339_millis;
use tokio::sync::Semaphore;

use crate::admin::response::{identified, request_id};
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

static UNUSABLE: LogBudget = LogBudget::new(1, warn_unusable);

fn warn_unusable(requests: u64) {
    tracing::warn!(
        event = "identity_unusable",
        requests,
        "lookups rejected: the gateway's name of the buyer is no user id; check --identity-header and the gateway's mapping"
    );
}

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

    fn authorize(&self, request: &Request) -> Result<Caller, LookupError> {
        let Self::Gateway(gateway) = self else { return Ok(Caller(None)) };
        // A lookup has no body; a body would be neither signed nor read.
        match gateway.verify(request.method(), request.uri(), request.headers(), &[]) {
            Ok(verified) => {
                gateway.buyer(request.headers(), verified).map(Caller).map_err(|error| match error {
                    IdentityError::Missing => LookupError::IdentityMissing,
                    IdentityError::Unusable => {
                        UNUSABLE.record(|| warn_unusable(1));
                        LookupError::IdentityUnusable
                    }
                })
            }
            Err(error) => {
                REJECTIONS.record(|| {
                    tracing::warn!(
                        event = "lookups_unauthenticated",
                        requests = 1,
                        %error,
                        "lookups rejected: not signed by the gateway"
                    );
                });
                Err(refused(error))
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

/// The client learns no more than this; details would help a forger.
const fn refused(error: SignatureError) -> LookupError {
    match error {
        SignatureError::Missing => LookupError::SignatureMissing,
        SignatureError::RepeatedParameter => LookupError::RepeatedParameter,
        _ => LookupError::SignatureInvalid,
    }
}

/// Passes an authorized lookup on, with its [`Caller`] in the extensions.
async fn guard(State(access): State<Arc<LookupAccess>>, mut request: Request, next: Next) -> Response {
    match access.authorize(&request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_problem(0).into_response(),
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
        .layer(from_fn(identified))
        .with_state(state)
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
    order_id: Result<Path<String>, PathRejection>,
) -> Response {
    let order_id = order_id.ok().and_then(|Path(text)| text.parse::<OrderId>().ok());
    let Some(order_id) = order_id else {
        return LookupError::InvalidOrderId.into_problem(0).into_response();
    };
    let Ok(_permit) = lookups.permits.try_acquire() else {
        return LookupError::Overloaded.into_problem(rand::random_range(1..=3)).into_response();
    };
    match lookups.store.find(order_id).await {
        Ok(Some(order)) if caller.may_see(order.user_id.as_ref()) => found(&OrderView::from(order)),
        // Another buyer's order gets the same response as one that does not exist.
        Ok(_) => not_found(order_id),
        Err(error) => {
            tracing::error!(event = "lookup_failed", request_id = request_id(), %error, error_code = "database_unavailable", "lookup failed: database unavailable");
            LookupError::DatabaseUnavailable.into_problem(rand::random_range(1..=5)).into_response()
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
    LookupError::OrderNotFound.into_problem(2).about(order_id, None).into_response()
}
