//! Orders as operators look them up: one with its conflicts and dead letters, or a buyer's. Never an address.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use shared::order::{ClientReference, OrderId, Outcome, PayloadDigest, TraceParent, UserId};
use time::OffsetDateTime;

use super::Store;
use super::error::{DbError, StoreError};
use super::lookup::count;
use super::order_columns::{lines, outcome, trace};
use super::sql::{ColumnKind, SqlRow, Statement, from_database, to_database};

/// Maximum orders of a page.
pub const PAGE_ORDERS_MAX: u32 = 200;

/// Maximum conflicts that are listed of one order.
const CONFLICTS_MAX: u32 = 50;

pub(super) const COLUMNS: &str = "SELECT sequence, order_id, sale_id, user_id, payload_digest, state, reason, currency, total_minor, \
     items, client_reference, catalogue_revision, traceparent, CAST(accepted_at AS CHAR), CAST(decided_at AS CHAR), \
     (SELECT COUNT(*) FROM order_conflicts WHERE order_conflicts.order_id = orders.order_id) FROM orders ";

const KINDS: &[ColumnKind] = &[
    ColumnKind::Int,
    ColumnKind::Bytes,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Bytes,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Text,
    ColumnKind::Int,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Bytes,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Int,
];

/// A decided order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedOrder {
    /// Ascending with the time of the decision.
    pub sequence: i64,
    pub order_id: OrderId,
    pub sale_id: String,
    /// `None`: purged.
    pub user_id: Option<UserId>,
    pub digest: PayloadDigest,
    pub outcome: Outcome,
    pub currency: String,
    pub total_minor: i64,
    /// Quantity and unit price in minor units, by SKU.
    pub lines: BTreeMap<String, (i64, i64)>,
    /// `None`: the request had none, or it is purged.
    pub client_reference: Option<ClientReference>,
    pub catalogue_revision: String,
    /// `None`: the request had none, or it is purged.
    pub traceparent: Option<TraceParent>,
    /// UTC, by the ingest function's clock.
    pub accepted_at: OffsetDateTime,
    /// UTC, by the database's clock.
    pub decided_at: OffsetDateTime,
    /// Number of other payloads under the same id.
    pub conflicts: u64,
}

/// Another payload that arrived under the id of a decided order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderConflict {
    pub digest: PayloadDigest,
    /// UTC, by the database's clock.
    pub first_seen_at: OffsetDateTime,
}

/// A page of a buyer's orders, in the order of their decision.
#[derive(Clone, Debug)]
pub struct BuyerOrders {
    pub user_id: UserId,
    /// Only orders with this client reference.
    pub reference: Option<ClientReference>,
    /// Only orders accepted at this instant or later.
    pub from: Option<OffsetDateTime>,
    /// Only orders accepted before.
    pub to: Option<OffsetDateTime>,
    /// Only orders with a higher sequence; start with 0, continue with the last one returned.
    pub after: i64,
    /// Maximum orders; at most [`PAGE_ORDERS_MAX`] are returned.
    pub orders_max: NonZeroU32,
}

impl Store {
    /// Returns a decided order; `None`: it is not decided.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn decided_order(&self, order_id: OrderId) -> Result<Option<DecidedOrder>, StoreError> {
        let statement = Statement::new(COLUMNS)
            .text("WHERE order_id = UNHEX(?)")
            .bind(order_id.as_bytes().as_slice())
            .rare();
        let rows = self.look_up("show an order", statement, KINDS).await?;
        Ok(rows.first().map(decided).transpose()?)
    }

    /// Lists the conflicts of an order, the oldest first; at most 50.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn order_conflicts(&self, order_id: OrderId) -> Result<Vec<OrderConflict>, StoreError> {
        const KINDS: &[ColumnKind] = &[ColumnKind::Bytes, ColumnKind::Text];
        let statement = Statement::new(
            "SELECT payload_digest, CAST(first_seen_at AS CHAR) FROM order_conflicts WHERE order_id = UNHEX(?) \
             ORDER BY first_seen_at, payload_digest LIMIT ?",
        )
        .bind(order_id.as_bytes().as_slice())
        .bind(CONFLICTS_MAX)
        .rare();
        let conflict = |row: &SqlRow| {
            Ok(OrderConflict {
                digest: PayloadDigest::from_bytes(row.array(0)?),
                first_seen_at: from_database(row, 1)?,
            })
        };
        let rows = self.look_up("list conflicts", statement, KINDS).await?;
        Ok(rows.iter().map(conflict).collect::<Result<_, DbError>>()?)
    }

    /// Lists a page of a buyer's decided orders. Reads that buyer's rows alone, by index.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn buyer_orders(&self, wanted: &BuyerOrders) -> Result<Vec<DecidedOrder>, StoreError> {
        let mut statement = Statement::new(COLUMNS)
            .text("WHERE user_id = ? AND sequence > ?")
            .bind(wanted.user_id.as_str())
            .bind(wanted.after);
        if let Some(reference) = &wanted.reference {
            statement = statement.text(" AND client_reference = ?").bind(reference.as_str());
        }
        self.list_accepted("list a buyer's orders", statement, wanted.from, wanted.to, wanted.orders_max)
            .await
    }

    /// Lists those that `statement`, which has [`COLUMNS`] and a condition, selects of the orders accepted from `from` and
    /// before `to`: in the order of their decision, at most `orders_max` and [`PAGE_ORDERS_MAX`].
    pub(super) async fn list_accepted(
        &self,
        operation: &'static str,
        mut statement: Statement<'_>,
        from: Option<OffsetDateTime>,
        to: Option<OffsetDateTime>,
        orders_max: NonZeroU32,
    ) -> Result<Vec<DecidedOrder>, StoreError> {
        let (from, to) = (from.map(to_database), to.map(to_database));
        if let Some(from) = &from {
            statement = statement.text(" AND accepted_at >= ?").bind(from.as_str());
        }
        if let Some(to) = &to {
            statement = statement.text(" AND accepted_at < ?").bind(to.as_str());
        }
        let statement =
            statement.text(" ORDER BY sequence LIMIT ?").bind(orders_max.get().min(PAGE_ORDERS_MAX)).rare();
        let rows = self.look_up(operation, statement, KINDS).await?;
        Ok(rows.iter().map(decided).collect::<Result<_, DbError>>()?)
    }
}

fn decided(row: &SqlRow) -> Result<DecidedOrder, DbError> {
    Ok(DecidedOrder {
        sequence: row.int(0)?,
        order_id: OrderId::from_bytes(row.array(1)?),
        sale_id: row.text(2)?.to_owned(),
        user_id: UserId::parse(row.text(3)?).ok(),
        digest: PayloadDigest::from_bytes(row.array(4)?),
        outcome: outcome(row, 5)?,
        currency: row.text(7)?.to_owned(),
        total_minor: row.int(8)?,
        lines: lines(row, 9)?,
        client_reference: row.optional_text(10)?.and_then(|text| ClientReference::parse(text).ok()),
        catalogue_revision: row.text(11)?.to_owned(),
        traceparent: trace(row, 12)?,
        accepted_at: from_database(row, 13)?,
        decided_at: from_database(row, 14)?,
        conflicts: count(row, 15)?,
    })
}
