//! The orders that have a dead letter, so that a batch without any pays no statement for letters.
//!
//! Every transaction that stores an order's letter also changes a number, in a table of one row that the fence reads. A
//! worker keeps the ids of the orders with letters as of some number; while that stays, it knows without a statement
//! whether a batch has one of them. Deleted letters change nothing: an id too many costs a look at the letters.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shared::order::{AcceptedOrder, OrderId};
use tokio::time::Instant;

use super::error::DbError;
use super::sql::{ColumnKind, Statement};
use super::transaction::Transaction;

/// Maximum ids that a worker keeps, about 3 MB; with more letters every batch looks for its own.
const ORDERS_MAX: usize = 100_000;

/// While letters are being stored, the ids are read at most this often; other batches look for their own letters.
const READ_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct LetteredOrders(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The number as of which `orders` are; 0: no letter was ever stored.
    changes: i64,
    orders: HashSet<OrderId>,
    /// True if there are more than [`ORDERS_MAX`].
    is_cut: bool,
    read_at: Option<Instant>,
}

impl LetteredOrders {
    /// Returns whether one of `orders` may have a dead letter. `changes` is the number that the transaction has read.
    pub(super) async fn may_concern(
        &self,
        transaction: &mut Transaction,
        changes: Option<i64>,
        orders: &[AcceptedOrder],
    ) -> Result<bool, DbError> {
        // Without its row, which the migration inserts, nothing is known.
        let Some(changes) = changes else { return Ok(true) };
        if let Some(answer) = self.answer(changes, orders) {
            return Ok(answer);
        }
        if !self.begin_to_read() {
            return Ok(true);
        }
        let limit = i64::try_from(ORDERS_MAX).unwrap_or(i64::MAX).saturating_add(1);
        let statement =
            Statement::new("SELECT DISTINCT order_id FROM dead_letters WHERE order_id IS NOT NULL LIMIT ?")
                .bind(limit)
                .rare();
        let rows = transaction.fetch("read orders with letters", statement, &[ColumnKind::Bytes]).await?;
        let ids = rows.iter().map(|row| row.array(0).map(OrderId::from_bytes)).collect::<Result<_, _>>()?;
        self.set(changes, ids);
        Ok(self.answer(changes, orders).unwrap_or(true))
    }

    /// `None`: the ids are of another number.
    fn answer(&self, changes: i64, orders: &[AcceptedOrder]) -> Option<bool> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let concerns = || orders.iter().any(|order| known.orders.contains(&order.order_id));
        (known.changes == changes).then(|| known.is_cut || (!known.orders.is_empty() && concerns()))
    }

    /// Returns true if the caller reads the ids now.
    fn begin_to_read(&self) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = known.read_at.is_none_or(|at| at.elapsed() >= READ_EVERY);
        if is_due {
            known.read_at = Some(Instant::now());
        }
        is_due
    }

    fn set(&self, changes: i64, orders: HashSet<OrderId>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.changes = changes;
        known.is_cut = orders.len() > ORDERS_MAX;
        known.orders = if known.is_cut { HashSet::new() } else { orders };
    }
}

/// Changes the number. It comes last in a transaction: its lock is the one that all of them share. The number contains
/// the time, so that a failover that loses some changes does not let the same number stand for others.
pub(super) async fn note_change(transaction: &mut Transaction) -> Result<(), DbError> {
    let now_us = transaction.dialect.now_us;
    let statement = Statement::new("UPDATE dead_letter_changes SET changes = CASE WHEN changes >= ")
        .text(now_us)
        .text(" THEN changes + 1 ELSE ")
        .text(now_us)
        .text(" END")
        .rare();
    transaction.execute("note a change of letters", statement).await
}

#[cfg(test)]
mod tests {
    use shared::testkit::accepted_order;

    use super::*;

    #[test]
    fn a_batch_is_known_to_be_without_letters_only_as_of_the_same_number() {
        let lettered = LetteredOrders::default();
        let (with, without) = ([accepted_order(1).build()], [accepted_order(2).build()]);
        assert_eq!(lettered.answer(0, &with), Some(false));
        assert_eq!(lettered.answer(1, &with), None);
        lettered.set(1, HashSet::from([with[0].order_id]));
        assert_eq!((lettered.answer(1, &with), lettered.answer(1, &without)), (Some(true), Some(false)));
        let many = (0..=ORDERS_MAX as u64).map(|number| accepted_order(number).build().order_id);
        lettered.set(2, many.collect());
        assert_eq!(lettered.answer(2, &without), Some(true), "too many to know");
    }

    #[tokio::test(start_paused = true)]
    async fn ids_are_read_at_most_once_a_second() {
        let lettered = LetteredOrders::default();
        assert!(lettered.begin_to_read() && !lettered.begin_to_read());
        tokio::time::advance(READ_EVERY).await;
        assert!(lettered.begin_to_read());
    }
}
