//! Removes old data: personal data first, whole rows later.
//!
//! A purged order's row stays without its personal data, so that a redelivery or a buyer's retry finds its outcome. The
//! row itself is deleted once neither can arrive.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Store;
use super::dialect::PoolKind;
use super::error::{DbError, StoreError};
use super::fence::{Fence, lock_for_commit};
use super::sql::{ColumnKind, ROWS_MAX, SqlRow, Statement, chunks, to_database};
use super::transaction::Transaction;

/// The steps of a purge, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PurgeStep {
    /// Buyer, address, reference and trace of decided orders.
    OrderData,
    /// The buyer, and what is left of the payload, of discarded dead letters.
    LetterData,
    /// Buyers' counts of sales that are over.
    Purchases,
    /// Rows of decided orders, with their conflicts.
    Orders,
    /// Rows of discarded dead letters.
    Letters,
    /// Entries of the audit trail.
    Audit,
}

impl PurgeStep {
    pub const ALL: [Self; 6] =
        [Self::OrderData, Self::LetterData, Self::Purchases, Self::Orders, Self::Letters, Self::Audit];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderData => "order_data",
            Self::LetterData => "letter_data",
            Self::Purchases => "purchases",
            Self::Orders => "orders",
            Self::Letters => "letters",
            Self::Audit => "audit",
        }
    }

    /// True if the step deletes rows; the others remove personal data from rows or counts.
    #[must_use]
    pub const fn deletes_rows(self) -> bool {
        matches!(self, Self::Orders | Self::Letters | Self::Audit)
    }
}

impl fmt::Display for PurgeStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The ages from which data and rows are purged, by the database's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgeBounds {
    /// Personal data of what was decided or discarded before is removed.
    pub data_before: OffsetDateTime,
    /// Rows of what was decided or discarded before are deleted; `None`: no rows are.
    pub rows_before: Option<OffsetDateTime>,
}

/// Rows that one step may purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeRows {
    Numbered(PurgeStep, Vec<i64>),
    /// Sale, buyer and SKU of purchases.
    Purchases(Vec<[String; 3]>),
}

impl PurgeRows {
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbered(_, rows) => rows.len(),
            Self::Purchases(rows) => rows.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes the first `rows` and returns them.
    #[must_use]
    pub fn take(&mut self, rows: usize) -> Self {
        match self {
            Self::Numbered(step, all) => {
                let rest = all.split_off(rows.min(all.len()));
                Self::Numbered(*step, std::mem::replace(all, rest))
            }
            Self::Purchases(all) => {
                let rest = all.split_off(rows.min(all.len()));
                Self::Purchases(std::mem::replace(all, rest))
            }
        }
    }
}

/// A part of a step's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgePage {
    pub rows: PurgeRows,
    /// The next page begins after this number; `None`: the step is complete after this page.
    pub next: Option<i64>,
}

impl Store {
    /// Finds at most 500 rows that `step` purges, with numbers above `after`. Orders are read in the order of arrival, up
    /// to the first page without any that is old enough.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn find_purgeable(
        &self,
        step: PurgeStep,
        bounds: &PurgeBounds,
        group: &str,
        after: i64,
    ) -> Result<PurgePage, StoreError> {
        let before = if step.deletes_rows() { bounds.rows_before } else { Some(bounds.data_before) };
        let Some(before) = before.map(to_database) else {
            return Ok(PurgePage { rows: PurgeRows::Numbered(step, Vec::new()), next: None });
        };
        let page = match step {
            PurgeStep::OrderData | PurgeStep::Orders => self.find_orders(step, &before, after).await?,
            PurgeStep::Purchases => self.find_purchases(&before).await?,
            PurgeStep::LetterData => {
                let statement = Statement::new(
                    "SELECT id FROM dead_letters WHERE discarded_at < ? \
                     AND (user_id IS NOT NULL OR restorable_until_us IS NOT NULL) AND id > ? ORDER BY id LIMIT ?",
                );
                self.find_numbered(step, statement.bind(before.as_str()), after).await?
            }
            PurgeStep::Letters => {
                let statement = Statement::new(
                    "SELECT id FROM dead_letters WHERE discarded_at < ? AND id > ? ORDER BY id LIMIT ?",
                );
                self.find_numbered(step, statement.bind(before.as_str()), after).await?
            }
            PurgeStep::Audit => {
                let statement = Statement::new(
                    "SELECT id FROM drain_audit WHERE group_id = ? AND at < ? AND id > ? ORDER BY id LIMIT ?",
                );
                self.find_numbered(step, statement.bind(group).bind(before.as_str()), after).await?
            }
        };
        Ok(page)
    }

    async fn find_orders(&self, step: PurgeStep, before: &str, after: i64) -> Result<PurgePage, DbError> {
        const KINDS: &[ColumnKind] = &[ColumnKind::Int, ColumnKind::Int, ColumnKind::Int];
        let statement = Statement::new(
            "SELECT sequence, CASE WHEN decided_at < ? THEN 1 ELSE 0 END, CASE WHEN user_id = '' THEN 1 ELSE 0 END \
             FROM orders WHERE sequence > ? ORDER BY sequence LIMIT ?",
        )
        .bind(before)
        .bind(after)
        .bind(PAGE_ROWS);
        let found = self.look_up("find orders to purge", statement, KINDS).await?;
        let (mut rows, mut old) = (Vec::new(), 0);
        for row in &found {
            let (sequence, is_old, is_bare) = (row.int(0)?, row.int(1)? == 1, row.int(2)? == 1);
            old += usize::from(is_old);
            if is_old && (step == PurgeStep::Orders || !is_bare) {
                rows.push(sequence);
            }
        }
        let is_last = found.len() < ROWS_MAX || old == 0;
        let next = if is_last { None } else { found.last().map(|row| row.int(0)).transpose()? };
        Ok(PurgePage { rows: PurgeRows::Numbered(step, rows), next })
    }

    async fn find_numbered(
        &self,
        step: PurgeStep,
        statement: Statement<'_>,
        after: i64,
    ) -> Result<PurgePage, DbError> {
        let statement = statement.bind(after).bind(PAGE_ROWS);
        let found = self.look_up("find rows to purge", statement, &[ColumnKind::Int]).await?;
        let rows = found.iter().map(|row| row.int(0)).collect::<Result<Vec<_>, _>>()?;
        let next = rows.last().copied().filter(|_| rows.len() == ROWS_MAX);
        Ok(PurgePage { rows: PurgeRows::Numbered(step, rows), next })
    }

    async fn find_purchases(&self, before: &str) -> Result<PurgePage, DbError> {
        const KINDS: &[ColumnKind] = &[ColumnKind::Text, ColumnKind::Text, ColumnKind::Text];
        let statement = Statement::new(
            "SELECT p.sale_id, p.user_id, p.sku FROM sale_skus s \
             JOIN user_purchases p ON p.sale_id = s.sale_id AND p.sku = s.sku WHERE s.closes_at < ? LIMIT ?",
        )
        .bind(before)
        .bind(PAGE_ROWS);
        let found = self.look_up("find purchases to purge", statement, KINDS).await?;
        let key =
            |row: &SqlRow| Ok([row.text(0)?.to_owned(), row.text(1)?.to_owned(), row.text(2)?.to_owned()]);
        let rows = found.iter().map(key).collect::<Result<Vec<_>, DbError>>()?;
        // The next page begins at the front again: the rows of this one are deleted.
        let next = (rows.len() == ROWS_MAX).then_some(0);
        Ok(PurgePage { rows: PurgeRows::Purchases(rows), next })
    }

    /// Purges `rows`, all or none. Purging them again changes nothing.
    ///
    /// # Errors
    /// As [`super::OrderStore::commit`].
    pub async fn purge(&self, fence: Fence, rows: &PurgeRows) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let run = || async {
            let mut transaction = self.begin(PoolKind::Writers).await?;
            let result = purge(&mut transaction, fence, rows).await;
            transaction.end(result).await
        };
        Ok(self.retrying("purge", self.config.transaction_timeout, run).await?)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "500")]
const PAGE_ROWS: u32 = ROWS_MAX as u32;

async fn purge(transaction: &mut Transaction, fence: Fence, rows: &PurgeRows) -> Result<(), DbError> {
    const OPERATION: &str = "purge";
    lock_for_commit(transaction, fence).await?;
    match rows {
        PurgeRows::Purchases(rows) => {
            for chunk in chunks(rows) {
                let mut statement =
                    Statement::new("DELETE FROM user_purchases WHERE (sale_id, user_id, sku) IN (")
                        .rows(chunk.len(), &["(?, ?, ?)"])
                        .text(")")
                        .rare();
                for part in chunk.iter().flatten() {
                    statement = statement.bind(part.as_str());
                }
                transaction.execute(OPERATION, statement).await?;
            }
        }
        PurgeRows::Numbered(step, numbers) => {
            for chunk in numbers.chunks(ROWS_MAX) {
                for &(head, tail) in statements(*step) {
                    let statement = Statement::new(head).list(chunk.iter().copied()).text(tail).rare();
                    transaction.execute(OPERATION, statement).await?;
                }
            }
        }
    }
    Ok(())
}

/// The statements of a step: what precedes and what follows the list of numbers.
const fn statements(step: PurgeStep) -> &'static [(&'static str, &'static str)] {
    match step {
        PurgeStep::OrderData => &[(
            "UPDATE orders SET user_id = '', shipping_address = NULL, client_reference = NULL, traceparent = NULL \
             WHERE sequence IN ",
            "",
        )],
        PurgeStep::LetterData => &[(
            "UPDATE dead_letters SET user_id = NULL, payload = UNHEX(''), restorable_until_us = NULL \
             WHERE discarded_at IS NOT NULL AND id IN ",
            "",
        )],
        PurgeStep::Orders => &[
            (
                "DELETE FROM order_conflicts WHERE order_id IN (SELECT order_id FROM orders WHERE sequence IN ",
                ")",
            ),
            ("DELETE FROM orders WHERE sequence IN ", ""),
        ],
        PurgeStep::Letters => &[("DELETE FROM dead_letters WHERE discarded_at IS NOT NULL AND id IN ", "")],
        PurgeStep::Audit => &[("DELETE FROM drain_audit WHERE id IN ", "")],
        // By their own keys.
        PurgeStep::Purchases => &[],
    }
}
