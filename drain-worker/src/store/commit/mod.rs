//! Decides and writes a batch: one transaction if all goes well, more if a row has to be singled out.
//!
//! # The transaction
//! 0. Pass the fence: a shared lock on the row of the worker's lease, held to the end. Whoever takes the worker's share
//!    away removes that row, and so waits for every transaction under the lease; none begins after.
//! 1. Lock the stock rows of every SKU in the batch, in one sorted order. No snapshot exists
//!    before it, so what follows reads everything that earlier holders of these locks wrote, under READ COMMITTED
//!    and REPEATABLE READ alike. A buyer's purchases of a SKU change only under the SKU's lock, so it guards them too.
//! 2. Read which orders are decided, and what the buyers have.
//! 3. Decide, in memory.
//! 4. Write: orders, lines, purchases, stock, conflicts, dead letters. Commit.
//!
//! Two transactions may still hold different SKUs and carry the same order id (a client that used its key with
//! another body). The primary key lets one insert it; the other runs again and then reads it.

mod read;
mod write;

pub(super) use read::outcome;
pub(super) use write::insert_conflicts;

use shared::order::AcceptedOrder;

use super::dead_letter::{DeadLetter, DeadLetterReason};
use super::decide::decide;
use super::dialect::Dialect;
use super::error::{Class, Failure, StoreError};
use super::fence::{self, Fence};
use super::sql_store::SqlStore;
use super::transaction::Transaction;
use super::verdict::{Verdict, VerdictKind};

impl<D: Dialect> SqlStore<D> {
    /// See [`super::OrderStore::commit`].
    pub(super) async fn commit_batch(
        &self,
        fence: Fence,
        orders: &[AcceptedOrder],
    ) -> Result<Vec<Verdict>, StoreError> {
        let mut verdicts = Vec::with_capacity(orders.len());
        // The half that comes first is on top: orders are decided in the order of the batch.
        let mut parts = vec![orders];
        while let Some(part) = parts.pop() {
            match self
                .retrying("commit orders", self.config.transaction_timeout, || self.transact(fence, part))
                .await
            {
                Ok(more) => verdicts.extend(more),
                Err(failure) if !matches!(failure.class, Class::Row | Class::DuplicateKey) => {
                    return Err(failure.into());
                }
                Err(failure) => match part {
                    [] => return Err(failure.into()),
                    [order] => verdicts.push(self.refuse(order, &failure).await?),
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
            }
        }
        Ok(verdicts)
    }

    async fn transact(&self, fence: Fence, orders: &[AcceptedOrder]) -> Result<Vec<Verdict>, Failure> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = Transaction::<D>::begin(&self.pools.writers).await?;
        let result = decide_and_write(&mut transaction, fence, orders).await;
        transaction.end(result).await
    }

    /// Keeps an order that the database refuses on its own.
    async fn refuse(&self, order: &AcceptedOrder, failure: &Failure) -> Result<Verdict, StoreError> {
        let reason = DeadLetterReason::RefusedByDatabase;
        let letter = DeadLetter::of_order(order, reason, &failure.fault.to_string());
        self.keep_letters(&[letter]).await?;
        Ok(Verdict { order_id: order.order_id, kind: VerdictKind::DeadLettered { reason } })
    }
}

async fn decide_and_write<D: Dialect>(
    transaction: &mut Transaction<D>,
    fence: Fence,
    orders: &[AcceptedOrder],
) -> Result<Vec<Verdict>, Failure> {
    fence::pass(transaction, fence).await?;
    let facts = read::facts(transaction, fence, orders).await?;
    let plan = decide(orders, &facts);
    write::plan(transaction, &plan, &facts).await?;
    Ok(plan.verdicts)
}
