//! Decides and writes a batch: one transaction if all goes well, more if a row has to be singled out.
//!
//! # The transaction
//! A hot SKU's row is locked by one transaction at a time, so what happens under that lock bounds what all workers
//! together can commit of the SKU. Hence nearly everything is written *before*: the batch is decided on a guess of the
//! stock, its rows are inserted with the outcomes that this gives, and only then is the stock locked and the batch decided
//! again, on what is there. As a rule both say the same, and reserving the stock is all that is left to do.
//!
//! 0. Pass the fence: a shared lock on the row of the worker's lease, held to the end. Whoever takes the worker's share
//!    away removes that row, and so waits for every transaction under the lease; none begins after.
//! 1. Decide on the guess and insert orders and lines. An order that was decided earlier shows by its primary key, which
//!    is there anyway: only then are the batch's ids read, and for a while in every batch.
//! 2. Insert the purchases of SKUs with a limit. A row that is inserted or added to is locked, so from here on nobody else
//!    changes what this buyer has of this SKU. A buyer without any shows by the key being free; else the rows are read back.
//! 3. Lock the stock rows of every SKU in the batch, in one sorted order, and read them.
//! 4. Decide, in memory, on snapshot that are all locked: stock, and what the buyers had before step 2.
//! 5. Put right what was guessed wrong; reserve the stock; conflicts, dead letters. Commit.
//!
//! Every transaction takes its locks in this order, and within each table by the key, so none wait in a circle: order
//! ids, then buyers, then stock. What is read without a lock (the guess, ids and buyers after a key was found taken) is
//! either locked by the insert that found it, or only guides the guess, so it does not matter which snapshot it comes
//! from: READ COMMITTED and REPEATABLE READ alike are right. Two transactions may carry the same order id (a message that
//! came twice, a client that used its key with another body). The second waits at the key for the first, then reads it.

mod optimistic;
mod read;
mod reconcile;
mod write;

pub(super) use read::outcome;
pub(super) use write::insert_conflicts;

use std::sync::atomic::{AtomicBool, Ordering};

use shared::order::AcceptedOrder;

use super::batch_snapshot::{BatchSnapshot, SkuSet, SkuState};
use super::commit_result::{CommitOutcome, CommitResult};
use super::dead_letter::{DeadLetter, DeadLetterReason};
use super::decide::{WritePlan, decide};
use super::dialect::PoolKind;
use super::error::{DbError, DbErrorDetail, ErrorClass, StoreError};
use super::fence::{Fence, lock_for_commit};
use super::stock_cache::StockCache;
use super::transaction::Transaction;
use super::{OrderStore, Store};

impl OrderStore for Store {
    async fn commit(&self, fence: Fence, orders: &[AcceptedOrder]) -> Result<Vec<CommitResult>, StoreError> {
        let mut results = Vec::with_capacity(orders.len());
        // The half that comes first is on top: orders are decided in the order of the batch.
        let mut parts = vec![orders];
        while let Some(part) = parts.pop() {
            let lock_all_buyers = AtomicBool::new(false);
            match self
                .retrying("commit orders", self.config.transaction_timeout, || {
                    self.transact(fence, part, &lock_all_buyers)
                })
                .await
            {
                Ok(more) => results.extend(more),
                Err(failure) if !matches!(failure.class, ErrorClass::Row | ErrorClass::DuplicateKey) => {
                    return Err(failure.into());
                }
                Err(failure) => match part {
                    [] => return Err(failure.into()),
                    [order] => results.push(self.refuse(fence, order, &failure).await?),
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
            }
        }
        Ok(results)
    }

    async fn upsert_dead_letters(&self, fence: Fence, letters: &[DeadLetter]) -> Result<(), StoreError> {
        self.insert_dead_letters(fence, letters).await.map_err(StoreError::from)
    }
}

impl Store {
    /// `lock_all_buyers` is raised by a run that a bad guess brought down.
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
        let result = decide_and_write(&mut transaction, &self.cache, fence, orders, lock_all_buyers).await;
        transaction.end(result).await
    }

    /// Keeps an order that the database refuses on its own.
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
        // All were decided earlier or cannot be: nothing is sold, so there is nothing to lock.
        write::write_remaining(transaction, &guessed, &snapshot).await?;
        return Ok(guessed.results);
    }
    // Refused orders have nothing to add. But one that fits after all, for want of another, needs its buyers' locks:
    // a batch that ran into this takes the locks of all, and puts back what was not bought.
    let added = if lock_all_buyers.load(Ordering::Relaxed) {
        optimistic::all_purchases(&guessed, &snapshot)
    } else {
        guessed.purchases.clone()
    };
    optimistic::purchases(transaction, cache, orders, &guessed, &added, &mut snapshot).await?;

    read::lock_stock(transaction, &mut snapshot).await?;
    let plan = decide(orders, &snapshot);
    cache.update(&snapshot.skus, &after(&plan, &snapshot));
    if !reconcile::covers(&guessed, &added, &plan) {
        lock_all_buyers.store(true, Ordering::Relaxed);
        let detail = DbErrorDetail::new("decide orders", "what was guessed of the stock was too far off");
        return Err(DbError { class: ErrorClass::Contention, detail });
    }
    reconcile::outcomes(transaction, &guessed, &plan).await?;
    reconcile::purchases(transaction, &added, &plan, &snapshot).await?;
    write::write_remaining(transaction, &plan, &snapshot).await?;
    Ok(plan.results)
}

/// The stock as `plan` leaves it.
fn after(plan: &WritePlan<'_>, snapshot: &BatchSnapshot<'_>) -> Vec<Option<SkuState>> {
    let mut states = snapshot.states.clone();
    for (&place, &quantity) in &plan.reserve {
        if let Some(state) = &mut states[place] {
            state.reserved += quantity;
        }
    }
    states
}
