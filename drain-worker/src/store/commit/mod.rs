//! Decides and writes a batch: one transaction normally, more if a row must be isolated.
//!
//! # The transaction
//! One transaction at a time locks a hot SKU's row, so the work under that lock bounds what all workers together can
//! commit of the SKU. Therefore nearly everything is written *before*: the batch is decided on the cached stock, its
//! rows are inserted with the resulting outcomes, and only then the stock is locked and the batch decided again on
//! the locked rows. Normally both decisions agree, and only the reservation of the stock remains.
//!
//! 0. Check the fence: a shared lock on the row of the worker's lease, held to the end. A worker that releases
//!    another's share removes that row, which requires that no transaction under the lease is in flight; none begins
//!    after.
//! 1. Decide on the cached stock and insert orders and lines. An order that was decided earlier shows by its primary
//!    key: only then the batch's ids are read, and for some time in every batch.
//! 2. Insert the purchases of SKUs with a limit. An inserted or updated row is locked, so from here on no other
//!    transaction changes this buyer's purchases of this SKU. A free key shows a buyer without purchases; otherwise
//!    the rows are read back.
//! 3. Lock the stock rows of every SKU in the batch, in one sorted order, and read them.
//! 4. Decide, in memory, on a locked snapshot: stock, and the buyers' purchases before step 2.
//! 5. Reconcile what differs; reserve the stock; write conflicts and dead letters. Commit.
//!
//! Every transaction acquires its locks in this order, and within each table by the key, so there are no deadlocks:
//! order ids, then buyers, then stock. Unlocked reads (the cached stock; ids and buyers after a duplicate key) are
//! either locked by the insert that found them, or only guide the first decision. So their snapshot does not matter:
//! READ COMMITTED and REPEATABLE READ are both correct. Two transactions may contain the same order id (a redelivered
//! message, a client that used its key with another body). The second waits at the key for the first, then reads it.

mod optimistic;
mod read;
mod reconcile;
mod write;

pub(super) use read::locked;
pub(super) use write::insert_conflicts;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::order::AcceptedOrder;
use tokio::time::timeout;

use super::batch_snapshot::{BatchSnapshot, SkuSet, SkuState};
use super::commit_result::{CommitOutcome, CommitResult};
use super::dead_letter::{DeadLetter, DeadLetterReason};
use super::decide::{WritePlan, decide};
use super::dialect::PoolKind;
use super::error::{DbError, DbErrorDetail, ErrorClass, StoreError};
use super::fence::{Fence, lock_for_commit};
use super::sale_sku::SaleSku;
use super::stock_cache::StockCache;
use super::transaction::Transaction;
use super::{OrderStore, Store};

/// Maximum time for which the server's answer to a lock wait that ended is on its way.
const LOCK_ANSWER_MAX: Duration = Duration::from_secs(2);

impl OrderStore for Store {
    async fn commit(&self, fence: Fence, orders: &[AcceptedOrder]) -> Result<Vec<CommitResult>, StoreError> {
        let mut results = Vec::with_capacity(orders.len());
        // The first half is on top: orders are decided in the order of the batch.
        let mut parts = vec![orders];
        while let Some(part) = parts.pop() {
            let lock_all_buyers = AtomicBool::new(false);
            let attempts = self.retrying_locked("commit orders", self.config.transaction_timeout, 1, || {
                self.transact(fence, part, &lock_all_buyers)
            });
            let failure = match attempts.await {
                Ok(more) => {
                    results.extend(more);
                    continue;
                }
                Err(failure) => failure,
            };
            let is_of_rows =
                matches!(failure.class, ErrorClass::Row | ErrorClass::DuplicateKey | ErrorClass::Unknown);
            let refused = match part {
                [order] if is_of_rows => self.refuse(fence, order, &failure).await,
                [_, _, ..] if is_of_rows => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                    continue;
                }
                _ => Err(self.name_locked_skus(failure, part).await),
            };
            match refused {
                Ok(result) => results.push(result),
                Err(_again_next_time) if !results.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(results)
    }

    async fn upsert_dead_letters(&self, fence: Fence, letters: &[DeadLetter]) -> Result<(), StoreError> {
        self.insert_dead_letters(fence, letters).await.map_err(StoreError::from)
    }

    async fn locked_skus(&self, skus: Vec<SaleSku>) -> Result<Vec<SaleSku>, StoreError> {
        self.find_locked(skus).await.map_err(StoreError::from)
    }
}

impl Store {
    /// Sets `lock_all_buyers` if the cached stock was too far off.
    async fn transact(
        &self,
        fence: Fence,
        orders: &[AcceptedOrder],
        lock_all_buyers: &AtomicBool,
    ) -> Result<Vec<CommitResult>, DbError> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let binds_bytes = self.binds_bytes().await?;
        let mut transaction = self.begin(PoolKind::Writers).await?;
        transaction.bind_bytes(binds_bytes);
        let lock_timeout = self.config.lock_timeout;
        let result =
            decide_and_write(&mut transaction, &self.cache, fence, orders, lock_timeout, lock_all_buyers)
                .await;
        transaction.end(result).await
    }

    /// Stores an order that the database rejects on its own as a dead letter.
    async fn refuse(
        &self,
        fence: Fence,
        order: &AcceptedOrder,
        failure: &DbError,
    ) -> Result<CommitResult, StoreError> {
        let reason = DeadLetterReason::RefusedByDatabase;
        let letter = DeadLetter::of_order(order, reason, &failure.detail.to_string());
        self.insert_dead_letters(fence, &[letter]).await?;
        Ok(CommitResult { order_id: order.order_id, outcome: CommitOutcome::DeadLettered { reason } })
    }
}

async fn decide_and_write(
    transaction: &mut Transaction,
    cache: &StockCache,
    fence: Fence,
    orders: &[AcceptedOrder],
    lock_timeout: Duration,
    lock_all_buyers: &AtomicBool,
) -> Result<Vec<CommitResult>, DbError> {
    let has_letters = lock_for_commit(transaction, fence).await?;
    let mut snapshot = BatchSnapshot::new(SkuSet::of(orders));
    read::guess_stock(transaction, cache, &mut snapshot).await?;
    if has_letters {
        read::lock_dead_letters(transaction, orders, &mut snapshot).await?;
    }
    let guessed = optimistic::orders(transaction, cache, orders, &mut snapshot).await?;
    if guessed.decided.is_empty() {
        // All orders were decided earlier or cannot be: nothing is sold, so no stock needs a lock.
        write::write_remaining(transaction, &guessed, &snapshot).await?;
        return Ok(guessed.results);
    }
    // Rejected orders add nothing. But an order that fits after all, in place of another, needs its buyers' locks:
    // after such a failure the retry locks all buyers, and removes what was not bought.
    let added = if lock_all_buyers.load(Ordering::Relaxed) {
        optimistic::all_purchases(&guessed, &snapshot)
    } else {
        guessed.purchases.clone()
    };
    optimistic::purchases(transaction, cache, orders, &guessed, &added, &mut snapshot).await?;

    let locking = read::lock_stock(transaction, &mut snapshot);
    // The session's own bound is shorter, unless a proxy has discarded it.
    timeout(lock_timeout + LOCK_ANSWER_MAX, locking).await.unwrap_or_else(|_| Err(kept_locked()))?;
    let plan = decide(orders, &snapshot);
    cache.update(&snapshot.skus, &after(&plan, &snapshot));
    if !reconcile::covers(&guessed, &added, &plan) {
        lock_all_buyers.store(true, Ordering::Relaxed);
        let detail = DbErrorDetail::new("decide orders", "the cached stock was too far off");
        return Err(DbError { class: ErrorClass::Contention, detail });
    }
    reconcile::outcomes(transaction, &guessed, &plan).await?;
    reconcile::purchases(transaction, &added, &plan, &snapshot).await?;
    write::write_remaining(transaction, &plan, &snapshot).await?;
    Ok(plan.results)
}

fn kept_locked() -> DbError {
    DbError {
        class: ErrorClass::Locked,
        detail: DbErrorDetail::new("read stock", "waited too long for a lock"),
    }
}

/// The stock after `plan`.
fn after(plan: &WritePlan<'_>, snapshot: &BatchSnapshot<'_>) -> Vec<Option<SkuState>> {
    let mut states = snapshot.states.clone();
    for (&place, &quantity) in &plan.reserve {
        if let Some(state) = &mut states[place] {
            state.reserved += quantity;
        }
    }
    states
}
