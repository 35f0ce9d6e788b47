//! Finds orders by the client's reference where the buyer is not known.
//!
//! Such a reference has no index: it would be a third random write of each order, for a question that is rarely asked.
//! Orders lie in the order of their decision, so a span of time is a part of the table, which is read piece by piece.

use std::num::NonZeroU32;

use shared::order::ClientReference;
use time::{Duration, OffsetDateTime};

use super::Store;
use super::error::StoreError;
use super::orders::{COLUMNS, DecidedOrder, PAGE_ORDERS_MAX};
use super::sql::{ColumnKind, Statement, from_database};

/// Maximum rows of one statement: 7 ms of reading on MariaDB from memory, 20 ms from disk (2026-11-30).
const PIECE_ROWS_MAX: u32 = 20_000;

/// Maximum time by which an order seems to be decided before it was accepted, or before one with a lower sequence: the
/// clocks of the ingest function and the database differ, and transactions take a while.
const CLOCKS_APART: Duration = Duration::minutes(10);

/// A part of the orders that have a client reference.
#[derive(Clone, Debug)]
pub struct ReferencedOrders {
    pub reference: ClientReference,
    /// Only orders accepted at this instant or later; what was decided before is not read.
    pub from: Option<OffsetDateTime>,
    /// Only orders accepted before.
    pub to: Option<OffsetDateTime>,
    /// Only orders with a higher sequence; start with 0, continue with [`ReferencedPage::next`].
    pub after: i64,
    /// Maximum orders; at most [`PAGE_ORDERS_MAX`] are returned.
    pub orders_max: NonZeroU32,
    /// Maximum rows that are read.
    pub rows_max: NonZeroU32,
}

/// The orders that were found first, in the order of their decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferencedPage {
    pub orders: Vec<DecidedOrder>,
    /// Where to continue, also if nothing was found so far; `None`: everything was read.
    pub next: Option<i64>,
}

impl Store {
    /// Reads on until it finds orders with the reference, or has read as many rows as it may.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn referenced_orders(&self, wanted: &ReferencedOrders) -> Result<ReferencedPage, StoreError> {
        let mut after = match wanted.from {
            Some(from) if wanted.after == 0 => self.decided_before(from - CLOCKS_APART).await?,
            _ => wanted.after,
        };
        let page_max = wanted.orders_max.get().min(PAGE_ORDERS_MAX) as usize;
        let mut rows_left = wanted.rows_max.get();
        while rows_left > 0 {
            let rows = rows_left.min(PIECE_ROWS_MAX);
            let last = self.last_of_piece(after, rows).await?;
            let piece = Statement::new(COLUMNS)
                .text("WHERE sequence > ? AND sequence <= ? AND client_reference = ?")
                .bind(after)
                .bind(last.unwrap_or(i64::MAX))
                .bind(wanted.reference.as_str());
            let ReferencedOrders { from, to, orders_max, .. } = *wanted;
            let orders = self.list_accepted("find orders by reference", piece, from, to, orders_max).await?;
            if !orders.is_empty() || last.is_none() {
                let is_full = orders.len() >= page_max;
                let next = if is_full { orders.last().map(|order| order.sequence) } else { last };
                return Ok(ReferencedPage { orders, next });
            }
            after = last.unwrap_or(after);
            rows_left -= rows;
        }
        Ok(ReferencedPage { orders: Vec::new(), next: Some(after) })
    }

    /// The sequence up to which orders were decided before `instant`, by bisection.
    async fn decided_before(&self, instant: OffsetDateTime) -> Result<i64, StoreError> {
        let ends = Statement::new("SELECT MIN(sequence), MAX(sequence) FROM orders").rare();
        let rows = self.look_up("find the first order", ends, &[ColumnKind::Int, ColumnKind::Int]).await?;
        let Some(row) = rows.first() else { return Ok(0) };
        let (Some(first), Some(last)) = (row.optional_int(0)?, row.optional_int(1)?) else { return Ok(0) };
        // Orders up to `low` were decided before, those above `high` were not.
        let (mut low, mut high) = (first - 1, last);
        while low < high {
            let middle = low + (high - low + 1) / 2;
            let statement = Statement::new(
                "SELECT sequence, CAST(decided_at AS CHAR) FROM orders WHERE sequence >= ? AND sequence <= ? \
                 ORDER BY sequence LIMIT 1",
            )
            .bind(middle)
            .bind(high)
            .rare();
            let rows = self
                .look_up("find an order by its time", statement, &[ColumnKind::Int, ColumnKind::Text])
                .await?;
            match rows.first() {
                Some(row) if from_database(row, 1)? < instant => low = row.int(0)?,
                _ => high = middle - 1,
            }
        }
        Ok(low)
    }

    /// The sequence of the last of the next `rows` orders; `None`: there are fewer.
    async fn last_of_piece(&self, after: i64, rows: u32) -> Result<Option<i64>, StoreError> {
        let statement = Statement::new(
            "SELECT sequence FROM orders WHERE sequence > ? ORDER BY sequence LIMIT 1 OFFSET ?",
        )
        .bind(after)
        .bind(rows - 1)
        .rare();
        let rows = self.look_up("find the end of a piece", statement, &[ColumnKind::Int]).await?;
        Ok(rows.first().map(|row| row.int(0)).transpose()?)
    }
}
