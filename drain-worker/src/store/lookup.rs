//! Reads single orders, totals and stock, on the readers' connections.

use shared::order::{OrderId, Outcome, PayloadDigest, UserId};

use super::Store;
use super::commit_result::{SkuStock, StoreTotals, StoredOrder, StoredStatus};
use super::error::{DbError, StoreError};
use super::order_columns::{outcome, trace};
use super::sql::{ColumnKind, SqlRow, Statement, from_database, optional_from_database, unexpected};

impl Store {
    /// Returns an order's outcome, or its dead letter if it has no outcome. `None`: nothing is recorded, which for an
    /// accepted order means that it is still queued.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn find(&self, order_id: OrderId) -> Result<Option<StoredOrder>, StoreError> {
        // A decision is final, a dead letter is not: look for the decision first.
        match self.find_decided(order_id).await? {
            Some(order) => Ok(Some(order)),
            None => Ok(self.find_dead_letter(order_id).await?),
        }
    }

    async fn find_decided(&self, order_id: OrderId) -> Result<Option<StoredOrder>, DbError> {
        const KINDS: &[ColumnKind] = &[
            ColumnKind::Bytes,
            ColumnKind::Int,
            ColumnKind::Int,
            ColumnKind::Text,
            ColumnKind::Text,
            ColumnKind::Int,
            ColumnKind::Bytes,
            ColumnKind::Text,
        ];
        let statement = Statement::new(
            "SELECT payload_digest, state, reason, CAST(accepted_at AS CHAR), CAST(decided_at AS CHAR), \
             (SELECT COUNT(*) FROM order_conflicts WHERE order_conflicts.order_id = orders.order_id), \
             traceparent, user_id \
             FROM orders WHERE order_id = UNHEX(?)",
        )
        .bind(order_id.as_bytes().as_slice());
        let rows = self.look_up_for_buyer("find an order", statement, KINDS).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(StoredOrder {
            order_id,
            user_id: row.optional_text(7)?.and_then(|user| UserId::parse(user).ok()),
            digest: Some(PayloadDigest::from_bytes(row.array(0)?)),
            status: StoredStatus::Decided(outcome(row, 1)?),
            accepted_at: Some(from_database(row, 3)?),
            updated_at: from_database(row, 4)?,
            traceparent: trace(row, 6)?,
            conflicts: count(row, 5)?,
        }))
    }

    async fn find_dead_letter(&self, order_id: OrderId) -> Result<Option<StoredOrder>, DbError> {
        const KINDS: &[ColumnKind] =
            &[ColumnKind::Bytes, ColumnKind::Text, ColumnKind::Text, ColumnKind::Text, ColumnKind::Text];
        // An open dead letter says more than a discarded one.
        let statement = Statement::new(
            "SELECT payload_digest, reason, CAST(last_failed_at AS CHAR), CAST(discarded_at AS CHAR), \
             user_id \
             FROM dead_letters WHERE order_id = UNHEX(?) \
             ORDER BY CASE WHEN discarded_at IS NULL THEN 0 ELSE 1 END, id LIMIT 1",
        )
        .bind(order_id.as_bytes().as_slice());
        let rows = self.look_up_for_buyer("find a dead letter", statement, KINDS).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let discarded_at = optional_from_database(row, 3)?;
        Ok(Some(StoredOrder {
            order_id,
            user_id: row.optional_text(4)?.and_then(|user| UserId::parse(user).ok()),
            digest: row.optional_array(0)?.map(PayloadDigest::from_bytes),
            status: StoredStatus::DeadLettered { reason: row.text(1)?.to_owned(), discarded_at },
            accepted_at: None,
            updated_at: discarded_at.map_or_else(|| from_database(row, 2), Ok)?,
            traceparent: None,
            conflicts: 0,
        }))
    }

    /// Totals over the whole database. Scans `orders`, within [`StoreConfig::totals_timeout`](super::StoreConfig); the
    /// parts are not one snapshot.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn counts(&self) -> Result<StoreTotals, StoreError> {
        let mut counts = StoreTotals::default();
        let by_outcome = "state, reason, COUNT(*) FROM orders GROUP BY state, reason";
        for row in self
            .scan("count orders", by_outcome, &[ColumnKind::Int, ColumnKind::Int, ColumnKind::Int])
            .await?
        {
            match outcome(&row, 0)? {
                Outcome::Confirmed => counts.confirmed = count(&row, 2)?,
                Outcome::Rejected(reason) => drop(counts.rejected.insert(reason, count(&row, 2)?)),
            }
        }
        let conflicts = "COUNT(*) FROM order_conflicts";
        for row in self.scan("count conflicts", conflicts, &[ColumnKind::Int]).await? {
            counts.conflicts = count(&row, 0)?;
        }
        let letters = "reason, COUNT(*) FROM dead_letters GROUP BY reason";
        for row in self.scan("count dead letters", letters, &[ColumnKind::Text, ColumnKind::Int]).await? {
            counts.dead_letters.insert(row.text(0)?.to_owned(), count(&row, 1)?);
        }
        Ok(counts)
    }

    /// Stock of every SKU, sorted by sale and SKU.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn stock(&self) -> Result<Vec<SkuStock>, StoreError> {
        const KINDS: &[ColumnKind] =
            &[ColumnKind::Text, ColumnKind::Text, ColumnKind::Int, ColumnKind::Int, ColumnKind::Int];
        let statement = Statement::new(
            "SELECT sale_id, sku, stock_total, stock_reserved, per_user_limit FROM sale_skus \
             ORDER BY sale_id, sku",
        );
        let stock = |row: &SqlRow| {
            Ok(SkuStock {
                sale_id: row.text(0)?.to_owned(),
                sku: row.text(1)?.to_owned(),
                total: row.int(2)?,
                reserved: row.int(3)?,
                per_user_limit: row.optional_int(4)?,
            })
        };
        let rows = self.look_up("list stock", statement, KINDS).await?;
        Ok(rows.iter().map(stock).collect::<Result<_, DbError>>()?)
    }
}

pub(super) fn count(row: &SqlRow, index: usize) -> Result<u64, DbError> {
    u64::try_from(row.int(index)?).map_err(|_| unexpected(index))
}
