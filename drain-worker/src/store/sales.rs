//! A sale as operators look it up: the stock of its SKUs, and the outcomes of the orders decided last.

use std::collections::BTreeMap;

use shared::order::{Outcome, RejectReason};
use time::OffsetDateTime;

use super::Store;
use super::error::{DbError, StoreError};
use super::lookup::count;
use super::order_columns::{lines, outcome};
use super::sql::{ColumnKind, SqlRow, Statement, optional_from_database, unexpected};

/// Outcomes are counted over the orders whose `sequence` is within so many of the newest: the end of the clustered key, at
/// a cost that does not grow with the table.
const RECENT_SEQUENCES: i64 = 10_000;

/// Maximum sales of a list, and SKUs of a sale.
const ROWS_MAX: u32 = 1_000;

/// The stock of a sale, summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleSummary {
    pub sale_id: String,
    pub skus: u64,
    /// Units.
    pub stock_total: i64,
    /// Units.
    pub stock_reserved: i64,
    /// UTC, by the catalogue; `None`: not known.
    pub closes_at: Option<OffsetDateTime>,
}

/// A SKU of a sale, with the orders decided last: the confirmed ones that have it, and the rejected ones of which this SKU
/// is the first that did not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleSkuState {
    pub sku: String,
    /// Units.
    pub stock_total: i64,
    /// Units.
    pub stock_reserved: i64,
    /// Maximum units of one buyer; `None`: no limit.
    pub per_user_limit: Option<i64>,
    pub recent: RecentOutcomes,
}

/// Orders by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecentOutcomes {
    pub confirmed: u64,
    pub sold_out: u64,
    pub limit_exceeded: u64,
}

impl RecentOutcomes {
    const fn add(&mut self, outcome: Outcome, orders: u64) {
        match outcome {
            Outcome::Confirmed => self.confirmed += orders,
            Outcome::Rejected(RejectReason::SoldOut) => self.sold_out += orders,
            Outcome::Rejected(RejectReason::LimitExceeded) => self.limit_exceeded += orders,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleState {
    /// Sorted by SKU.
    pub skus: Vec<SaleSkuState>,
    /// Each order once.
    pub recent: RecentOutcomes,
}

impl Store {
    /// Lists the sales with their stock, sorted; at most 1,000.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn list_sales(&self) -> Result<Vec<SaleSummary>, StoreError> {
        const KINDS: &[ColumnKind] =
            &[ColumnKind::Text, ColumnKind::Int, ColumnKind::Int, ColumnKind::Int, ColumnKind::Text];
        let statement = Statement::new(
            "SELECT sale_id, COUNT(*), CAST(SUM(stock_total) AS SIGNED), CAST(SUM(stock_reserved) AS SIGNED), \
             CAST(MAX(closes_at) AS CHAR) FROM sale_skus GROUP BY sale_id ORDER BY sale_id LIMIT ?",
        )
        .bind(ROWS_MAX)
        .rare();
        let sale = |row: &SqlRow| {
            Ok(SaleSummary {
                sale_id: row.text(0)?.to_owned(),
                skus: count(row, 1)?,
                stock_total: row.int(2)?,
                stock_reserved: row.int(3)?,
                closes_at: optional_from_database(row, 4)?,
            })
        };
        let rows = self.look_up("list sales", statement, KINDS).await?;
        Ok(rows.iter().map(sale).collect::<Result<_, DbError>>()?)
    }

    /// Returns the SKUs of a sale, at most 1,000, with the outcomes of the last 10,000 decided orders of all sales that
    /// are this sale's. Without SKUs: no such sale.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn sale_state(&self, sale: &str) -> Result<SaleState, StoreError> {
        const KINDS: &[ColumnKind] = &[ColumnKind::Text, ColumnKind::Int, ColumnKind::Int, ColumnKind::Int];
        let statement = Statement::new(
            "SELECT sku, stock_total, stock_reserved, per_user_limit FROM sale_skus WHERE sale_id = ? ORDER BY sku \
             LIMIT ?",
        )
        .bind(sale)
        .bind(ROWS_MAX)
        .rare();
        let stock = self.look_up("show a sale", statement, KINDS).await?;
        let mut recent = RecentOutcomes::default();
        let mut by_sku: BTreeMap<String, RecentOutcomes> = BTreeMap::new();
        if !stock.is_empty() {
            for row in self.recent_orders(sale).await? {
                let (outcome, orders) = (outcome(&row, 0)?, count(&row, 4)?);
                recent.add(outcome, orders);
                let skus = lines(&row, 3)?.into_keys();
                let (skipped, counted) = match row.optional_int(2)? {
                    Some(line) => (usize::try_from(line).map_err(|_| unexpected(2))?, 1),
                    None => (0, usize::MAX),
                };
                for sku in skus.skip(skipped).take(counted) {
                    by_sku.entry(sku).or_default().add(outcome, orders);
                }
            }
        }
        let sku = |row: &SqlRow| {
            let sku = row.text(0)?.to_owned();
            Ok(SaleSkuState {
                recent: by_sku.get(&sku).copied().unwrap_or_default(),
                sku,
                stock_total: row.int(1)?,
                stock_reserved: row.int(2)?,
                per_user_limit: row.optional_int(3)?,
            })
        };
        Ok(SaleState { skus: stock.iter().map(sku).collect::<Result<_, DbError>>()?, recent })
    }

    /// Two statements, so that the second one is a range of the clustered key in every server's plan.
    async fn recent_orders(&self, sale: &str) -> Result<Vec<SqlRow>, DbError> {
        const KINDS: &[ColumnKind] =
            &[ColumnKind::Int, ColumnKind::Int, ColumnKind::Int, ColumnKind::Text, ColumnKind::Int];
        let newest = Statement::new("SELECT MAX(sequence) FROM orders");
        let rows = self.look_up("find the newest order", newest.rare(), &[ColumnKind::Int]).await?;
        let newest = rows.first().map_or(Ok(None), |row| row.optional_int(0))?.unwrap_or(0);
        let statement = Statement::new(
            "SELECT state, reason, rejected_line, items, COUNT(*) FROM orders WHERE sequence > ? AND sale_id = ? \
             GROUP BY state, reason, rejected_line, items",
        )
        .bind(newest - RECENT_SEQUENCES)
        .bind(sale)
        .rare();
        self.look_up("count a sale's orders", statement, KINDS).await
    }
}
