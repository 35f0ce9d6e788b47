//! `GET /v1/orders/{order_id}`.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use shared::order::{OrderId, Outcome};
use shared::problem::Problem;
use shared::time::rfc3339_millis;
use tokio::sync::Semaphore;

use super::access::Asker;
use crate::store::{OrderStore, StoredOrder, StoredStatus};

/// An order as buyers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// The order's id.
    pub order_id: String,
    /// `confirmed`, `rejected`, or `dead_lettered`: kept until an operator has mended what is in its way.
    pub state: String,
    /// Why it is not confirmed: `sold_out`, `limit_exceeded`, or why it is dead-lettered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Digest of the payload that was decided. Another digest in a 202 means that another payload came first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
    /// Payloads that came later under the same id and were not taken.
    pub conflicts: u64,
    /// W3C trace context of the request that was decided, if it had one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// Of a dead letter: when an operator gave it up, RFC 3339. It will not be decided any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub discarded_at: Option<String>,
    /// When it was accepted, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accepted_at: Option<String>,
    /// When it was decided, last failed or was given up, by the database's clock, RFC 3339.
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

/// The store, and how many may ask it at once.
#[derive(Debug)]
pub(super) struct Lookups<S> {
    store: Arc<S>,
    places: Arc<Semaphore>,
}

impl<S> Lookups<S> {
    pub(super) fn new(store: Arc<S>, lookups_max: usize) -> Self {
        Self { store, places: Arc::new(Semaphore::new(lookups_max)) }
    }
}

impl<S> Clone for Lookups<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), places: self.places.clone() }
    }
}

pub(super) async fn find<S: OrderStore>(
    State(lookups): State<Lookups<S>>,
    Extension(asker): Extension<Asker>,
    Path(order_id): Path<String>,
) -> Response {
    let Ok(order_id) = order_id.parse::<OrderId>() else {
        return Problem::new(StatusCode::BAD_REQUEST, "invalid_order_id", "An order id is a UUID.")
            .into_response();
    };
    let Ok(_place) = lookups.places.try_acquire() else {
        return Problem::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", "Too many look-ups at once.")
            .retry_after(rand::random_range(1..=3))
            .into_response();
    };
    match lookups.store.find(order_id).await {
        Ok(Some(order)) if asker.may_see(order.user_id.as_ref()) => found(&OrderView::from(order)),
        // That somebody else's order exists is not told either.
        Ok(_) => not_found(order_id),
        Err(error) => {
            tracing::error!(%error, error_code = "database_unavailable", "look-up failed");
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

/// An order that was answered 202 may be on its way: only the queue knows, and it cannot be asked about one order.
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
