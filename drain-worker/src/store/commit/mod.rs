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
//! 4. Decide, in memory, on facts that are all locked: stock, and what the buyers had before step 2.
//! 5. Put right what was guessed wrong; reserve the stock; conflicts, dead letters. Commit.
//!
//! Every transaction takes its locks in this order, and within each table by the key, so none wait in a circle: order
//! ids, then buyers, then stock. What is read without a lock (the guess, ids and buyers after a key was found taken) is
//! either locked by the insert that found it, or only guides the guess, so it does not matter which snapshot it comes
//! from: READ COMMITTED and REPEATABLE READ alike are right. Two transactions may carry the same order id (a message that
//! came twice, a client that used its key with another body). The second waits at the key for the first, then reads it.

mod ahead;
mod correct;
mod read;
mod write;

pub(super) use read::outcome;
pub(super) use write::insert_conflicts;

use std::sync::atomic::{AtomicBool, Ordering};

use shared::order::AcceptedOrder;

use super::dead_letter::{DeadLetter, DeadLetterReason};
use super::decide::{Plan, decide};
use super::dialect::Dialect;
use super::error::{Class, Failure, Fault, StoreError};
use super::facts::{Facts, SkuSet, SkuState};
use super::fence::{Fence, enter};
use super::guesses::Guesses;
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
            let cover = AtomicBool::new(false);
            match self
                .retrying("commit orders", self.config.transaction_timeout, || {
                    self.transact(fence, part, &cover)
                })
                .await
            {
                Ok(more) => verdicts.extend(more),
                Err(failure) if !matches!(failure.class, Class::Row | Class::DuplicateKey) => {
                    return Err(failure.into());
                }
                Err(failure) => match part {
                    [] => return Err(failure.into()),
                    [order] => verdicts.push(self.refuse(fence, order, &failure).await?),
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
            }
        }
        Ok(verdicts)
    }

    /// `cover` is raised by a run that a bad guess brought down.
    async fn transact(
        &self,
        fence: Fence,
        orders: &[AcceptedOrder],
        cover: &AtomicBool,
    ) -> Result<Vec<Verdict>, Failure> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let binds_bytes = self.binds_bytes().await?;
        let mut transaction = Transaction::<D>::begin(&self.pools.writers).await?;
        transaction.bind_bytes(binds_bytes);
        let result = decide_and_write(&mut transaction, &self.guesses, fence, orders, cover).await;
        transaction.end(result).await
    }

    /// Keeps an order that the database refuses on its own.
    async fn refuse(
        &self,
        fence: Fence,
        order: &AcceptedOrder,
        failure: &Failure,
    ) -> Result<Verdict, StoreError> {
        let reason = DeadLetterReason::RefusedByDatabase;
        let letter = DeadLetter::of_order(order, reason, &failure.fault.to_string());
        self.keep_letters(fence, &[letter]).await?;
        Ok(Verdict { order_id: order.order_id, kind: VerdictKind::DeadLettered { reason } })
    }
}

async fn decide_and_write<D: Dialect>(
    transaction: &mut Transaction<D>,
    guesses: &Guesses,
    fence: Fence,
    orders: &[AcceptedOrder],
    cover: &AtomicBool,
) -> Result<Vec<Verdict>, Failure> {
    let has_letters = enter(transaction, fence).await?;
    let mut facts = Facts::new(SkuSet::of(orders));
    read::guess_stock(transaction, guesses, &mut facts).await?;
    if has_letters {
        read::read_letters(transaction, orders, &mut facts).await?;
    }
    let guessed = ahead::orders(transaction, guesses, orders, &mut facts).await?;
    if guessed.decided.is_empty() {
        // All were decided earlier or cannot be: nothing is sold, so there is nothing to lock.
        write::rest(transaction, &guessed, &facts).await?;
        return Ok(guessed.verdicts);
    }
    // Refused orders have nothing to add. But one that fits after all, for want of another, needs its buyers' locks:
    // a batch that ran into this takes the locks of all, and puts back what was not bought.
    let added = if cover.load(Ordering::Relaxed) {
        ahead::all_purchases(&guessed, &facts)
    } else {
        guessed.purchases.clone()
    };
    ahead::purchases(transaction, guesses, orders, &guessed, &added, &mut facts).await?;

    read::lock_stock(transaction, &mut facts).await?;
    let plan = decide(orders, &facts);
    guesses.learn(&facts.skus, &after(&plan, &facts));
    if !correct::covers(&guessed, &added, &plan) {
        cover.store(true, Ordering::Relaxed);
        let fault = Fault::new("decide orders", "what was guessed of the stock was too far off");
        return Err(Failure { class: Class::Contention, fault });
    }
    correct::outcomes(transaction, &guessed, &plan).await?;
    correct::purchases(transaction, &added, &plan, &facts).await?;
    write::rest(transaction, &plan, &facts).await?;
    Ok(plan.verdicts)
}

/// The stock as `plan` leaves it.
fn after(plan: &Plan<'_>, facts: &Facts<'_>) -> Vec<Option<SkuState>> {
    let mut states = facts.states.clone();
    for (&place, &quantity) in &plan.reserve {
        if let Some(state) = &mut states[place] {
            state.reserved += quantity;
        }
    }
    states
}
