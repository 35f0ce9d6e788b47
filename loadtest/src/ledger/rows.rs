//! The database's rows, as the ledger reads them.

use serde::{Deserialize, Serialize};
use shared::order::{OrderId, PayloadDigest};

#[derive(Clone, Debug)]
pub(super) struct OrderRow {
    pub order_id: OrderId,
    pub digest: PayloadDigest,
    pub sale_id: String,
    pub user_id: String,
    pub state: String,
    pub reason: Option<String>,
    pub currency: String,
    pub total_minor: i64,
    /// Eight lines; `None`: the order has none. Not read of another run's buyers: it is personal data.
    pub address: Option<String>,
    pub client_reference: Option<String>,
    /// Decision time, microseconds since 1970 by the database's clock.
    pub decided_us: i64,
    pub lines: Vec<LineRow>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LineRow {
    pub sku: String,
    pub quantity: i64,
    pub unit_price_minor: i64,
}

/// Another payload that arrived with an order's id.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConflictRow {
    pub order_id: OrderId,
    pub digest: PayloadDigest,
    pub first_seen_us: i64,
}

#[derive(Clone, Debug)]
pub(super) struct LetterRow {
    /// `None`: the message could not be read as orders.
    pub order_id: Option<OrderId>,
    pub digest: Option<PayloadDigest>,
    pub user_id: Option<String>,
    pub reason: String,
    /// False once an operator has discarded it.
    pub is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SkuRow {
    pub sku: String,
    pub total: i64,
    pub reserved: i64,
    pub per_user_limit: Option<i64>,
}

/// Units of one buyer of this run.
#[derive(Clone, Debug)]
pub(super) struct PurchaseRow {
    pub user_id: String,
    pub sku: String,
    pub units: i64,
}

/// A decided order as the look-up should show it.
#[derive(Clone, Debug)]
pub struct SampledRow {
    pub order_id: OrderId,
    /// Number of a request for it.
    pub number: u32,
    pub digest: PayloadDigest,
    pub state: String,
    pub reason: Option<String>,
    pub conflicts: u64,
    /// By the database's clock.
    pub decided_us: i64,
}

impl SampledRow {
    pub(super) fn of(row: &OrderRow, number: u32, conflicts: u64) -> Self {
        Self {
            order_id: row.order_id,
            number,
            digest: row.digest,
            state: row.state.clone(),
            reason: row.reason.clone(),
            conflicts,
            decided_us: row.decided_us,
        }
    }
}
