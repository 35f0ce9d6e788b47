//! Orders over HTTP, for operators: one order with its conflicts and dead letters, a buyer's, or those with a client
//! reference. Never an address.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::order::{ClientReference, OrderId, Outcome, UserId};
use shared::problem::Problem;
use shared::time::rfc3339_millis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Admin;
use super::dead_letters::DeadLetterView;
use super::response::{invalid, json_response, unavailable};
use crate::store::{BuyerOrders, DecidedOrder, OrderConflict, PAGE_ORDERS_MAX, ReferencedOrders};

/// Query of `GET /v1/orders`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrdersQuery {
    /// Without a buyer, `reference` is needed.
    user_id: Option<String>,
    /// The client's own reference.
    reference: Option<String>,
    /// RFC 3339, by the ingest function's clock; inclusive.
    from: Option<String>,
    /// RFC 3339, by the ingest function's clock; exclusive.
    to: Option<String>,
    #[serde(default)]
    after: i64,
    #[serde(default = "fifty")]
    limit: u32,
}

const fn fifty() -> u32 {
    50
}

/// Maximum rows that a request without a buyer reads: ten statements.
const SEARCH_ROWS_MAX: NonZeroU32 = NonZeroU32::MIN.saturating_add(199_999);

enum WantedOrders {
    OfBuyer(BuyerOrders),
    Referenced(ReferencedOrders),
}

impl OrdersQuery {
    fn read(self) -> Result<WantedOrders, String> {
        let orders_max = NonZeroU32::new(self.limit)
            .filter(|limit| limit.get() <= PAGE_ORDERS_MAX)
            .ok_or_else(|| format!("limit must be 1 to {PAGE_ORDERS_MAX}"))?;
        let instant = |name: &str, text: Option<String>| {
            text.map(|text| OffsetDateTime::parse(&text, &Rfc3339))
                .transpose()
                .map_err(|_| format!("{name} must be RFC 3339, such as 2026-11-11T00:00:00Z"))
        };
        let user_id = self.user_id.map(|text| UserId::parse(&text)).transpose();
        let user_id = user_id.map_err(|error| format!("user_id: {error}"))?;
        let reference = self.reference.map(|text| ClientReference::parse(&text)).transpose();
        let reference = reference.map_err(|error| format!("reference: {error}"))?;
        let (from, to, after) = (instant("from", self.from)?, instant("to", self.to)?, self.after);
        match (user_id, reference) {
            (Some(user_id), reference) => {
                Ok(WantedOrders::OfBuyer(BuyerOrders { user_id, reference, from, to, after, orders_max }))
            }
            (None, Some(reference)) => {
                let rows_max = SEARCH_ROWS_MAX;
                let wanted = ReferencedOrders { reference, from, to, after, orders_max, rows_max };
                Ok(WantedOrders::Referenced(wanted))
            }
            (None, None) => Err("user_id or reference must be given".to_owned()),
        }
    }
}

/// A page of a buyer's orders, or of those with a client reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPage {
    /// In the order of their decision.
    pub orders: Vec<DecidedOrderView>,
    /// There may be more after this sequence; also on an empty page, if the buyer is not given.
    pub next: Option<i64>,
    /// The buyer's orders that are not decided, and unaffected by the other filters; on the first page only, and only if the
    /// buyer is given.
    pub dead_letters: Vec<DeadLetterView>,
}

/// A decided order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedOrderView {
    /// Ascending with the time of the decision.
    pub sequence: i64,
    pub order_id: String,
    /// `confirmed` or `rejected`.
    pub state: String,
    /// `sold_out` or `limit_exceeded`; `null` if confirmed.
    pub reason: Option<String>,
    pub sale_id: String,
    /// `null`: purged.
    pub user_id: Option<String>,
    pub digest: String,
    /// By SKU.
    pub items: BTreeMap<String, OrderLineView>,
    pub currency: String,
    pub total_minor: i64,
    /// `null`: the request had none, or it is purged.
    pub client_reference: Option<String>,
    pub catalogue_revision: String,
    /// W3C trace context of the request. `null`: it had none, or it is purged.
    pub traceparent: Option<String>,
    /// RFC 3339, by the ingest function's clock.
    pub accepted_at: String,
    /// RFC 3339, by the database's clock.
    pub decided_at: String,
    /// Number of other payloads under the same id.
    pub conflicts: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLineView {
    pub quantity: i64,
    pub unit_price_minor: i64,
}

impl From<DecidedOrder> for DecidedOrderView {
    fn from(order: DecidedOrder) -> Self {
        let (state, reason) = match order.outcome {
            Outcome::Confirmed => ("confirmed", None),
            Outcome::Rejected(reason) => ("rejected", Some(reason.as_str().to_owned())),
        };
        let line = |(sku, (quantity, unit_price_minor))| (sku, OrderLineView { quantity, unit_price_minor });
        Self {
            sequence: order.sequence,
            order_id: order.order_id.to_string(),
            state: state.to_owned(),
            reason,
            sale_id: order.sale_id,
            user_id: order.user_id.map(|user| user.as_str().to_owned()),
            digest: order.digest.to_string(),
            items: order.lines.into_iter().map(line).collect(),
            currency: order.currency,
            total_minor: order.total_minor,
            client_reference: order.client_reference.map(|reference| reference.as_str().to_owned()),
            catalogue_revision: order.catalogue_revision,
            traceparent: order.traceparent.map(|trace| trace.as_str().to_owned()),
            accepted_at: rfc3339_millis(order.accepted_at),
            decided_at: rfc3339_millis(order.decided_at),
            conflicts: order.conflicts,
        }
    }
}

/// One order, with what else arrived under its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDetailView {
    pub order_id: String,
    /// `confirmed`, `rejected` or `dead_lettered`.
    pub state: String,
    /// The reason of the rejection or of the dead letter, of an open one first; `null` if confirmed.
    pub reason: Option<String>,
    /// `null`: dead-lettered.
    pub decided: Option<DecidedOrderView>,
    /// The oldest 50.
    pub conflicts: Vec<ConflictView>,
    /// Open and discarded ones.
    pub dead_letters: Vec<DeadLetterView>,
}

/// Another payload under the same id; it was not decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictView {
    pub digest: String,
    /// RFC 3339, by the database's clock.
    pub first_seen_at: String,
}

impl From<OrderConflict> for ConflictView {
    fn from(conflict: OrderConflict) -> Self {
        Self { digest: conflict.digest.to_string(), first_seen_at: rfc3339_millis(conflict.first_seen_at) }
    }
}

pub(super) async fn find(
    State(admin): State<Admin>,
    query: Result<Query<OrdersQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    let wanted = match query.read().map_err(invalid)? {
        WantedOrders::OfBuyer(wanted) => wanted,
        WantedOrders::Referenced(wanted) => {
            let page = admin.store.referenced_orders(&wanted).await.map_err(|error| unavailable(&error))?;
            let orders = page.orders.into_iter().map(DecidedOrderView::from).collect();
            return Ok(json_response(&OrderPage { orders, next: page.next, dead_letters: Vec::new() }));
        }
    };
    let orders = admin.store.buyer_orders(&wanted).await.map_err(|error| unavailable(&error))?;
    let is_full = orders.len() >= wanted.orders_max.get() as usize;
    let next = orders.last().filter(|_| is_full).map(|order| order.sequence);
    let dead_letters = if wanted.after == 0 {
        admin.store.buyer_dead_letters(&wanted.user_id).await.map_err(|error| unavailable(&error))?
    } else {
        Vec::new()
    };
    Ok(json_response(&OrderPage {
        orders: orders.into_iter().map(DecidedOrderView::from).collect(),
        next,
        dead_letters: dead_letters.into_iter().map(DeadLetterView::from).collect(),
    }))
}

pub(super) async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Problem> {
    let order_id: OrderId = id
        .parse()
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "invalid_order_id", "An order id is a UUID."))?;
    let store = &admin.store;
    let decided = store.decided_order(order_id).await.map_err(|error| unavailable(&error))?;
    let dead_letters = store.order_dead_letters(order_id).await.map_err(|error| unavailable(&error))?;
    let conflicts = match &decided {
        Some(order) if order.conflicts > 0 => {
            store.order_conflicts(order_id).await.map_err(|error| unavailable(&error))?
        }
        _ => Vec::new(),
    };
    let decided = decided.map(DecidedOrderView::from);
    let letter = dead_letters.iter().find(|letter| letter.discard.is_none()).or(dead_letters.first());
    let (state, reason) = match (&decided, letter) {
        (Some(order), _) => (order.state.clone(), order.reason.clone()),
        (None, Some(letter)) => ("dead_lettered".to_owned(), Some(letter.reason.clone())),
        (None, None) => {
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                "order_not_found",
                "No such order. If it was answered 202 it is still queued, or its rows are deleted.",
            ));
        }
    };
    Ok(json_response(&OrderDetailView {
        order_id: order_id.to_string(),
        state,
        reason,
        decided,
        conflicts: conflicts.into_iter().map(ConflictView::from).collect(),
        dead_letters: dead_letters.into_iter().map(DeadLetterView::from).collect(),
    }))
}
