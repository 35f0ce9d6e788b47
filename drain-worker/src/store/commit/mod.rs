//! Decides and writes a batch: one transaction normally, more if a row must be isolated.
//!
//! # The transaction
//! One transaction at a time locks a hot SKU's row, so the work under that lock bounds what all workers together can
//! commit of the SKU. Therefore nearly everything is written *before*: the batch is decided on the cached stock, and its
//! rows are inserted with the resulting outcomes. [`guesses`] names what may be wrong about that.
//!
//! 0. Check the fence: a shared lock on the row of the worker's lease, held to the end. A worker that releases
//!    another's share removes that row, which requires that no transaction under the lease is in flight; none begins
//!    after.
//! 1. Decide on the cached stock and insert the orders. An order that was decided earlier shows by its key
//!    ([`Guess::NewOrders`]).
//! 2. Insert the purchases of SKUs with a limit. An inserted or updated row is locked, so from here on no other
//!    transaction changes this buyer's purchases of this SKU. A free key shows a buyer without purchases
//!    ([`Guess::NewBuyers`]); otherwise the rows are read back.
//! 3. If all orders are confirmed and the cached stock is ample, reserve it with one UPDATE that finds a SKU only where
//!    the stock suffices and the limit is the cached one ([`Guess::AmpleStock`]). Commit.
//! 4. Otherwise lock the stock rows of every SKU in the batch, in one sorted order, and read them; decide again, in
//!    memory, on that snapshot and the buyers' purchases before step 2; correct what differs; reserve the stock. Commit.
//!
//! Every transaction acquires its locks in this order, and within each table by the key, so there are no deadlocks: open
//! dead letters, order ids, then buyers, then stock, then the number of letters' changes. Unlocked reads (the cached stock; ids and
//! buyers) are either locked by the insert that found them, or only guide the first decision. So their snapshot does not
//! matter: READ COMMITTED and REPEATABLE READ are both correct. Two transactions may contain the same order id (a
//! redelivered message, a client that used its key with another body). The second waits at the key for the first, then
//! reads it.

mod correct;
mod guesses;
mod purchases;
mod read;
mod write;

pub(super) use guesses::RefutedGuesses;
pub(super) use read::locked;
pub(super) use write::insert_conflicts;

use std::time::Duration;

use shared::order::{AcceptedOrder, Outcome};
use tokio::time::{Instant, timeout};

use super::batch_snapshot::{BatchSnapshot, SkuSet, SkuState};
use super::commit_result::{CommitOutcome, CommitResult};
use super::dead_letter::{DeadLetter, DeadLetterReason};
use super::decide::{WritePlan, decide};
use super::dialect::PoolKind;
use super::error::{DbError, DbErrorDetail, ErrorClass, StoreError};
use super::fence::{Fence, lock_for_commit};
use super::sale_sku::SaleSku;
use super::transaction::Transaction;
use super::{OrderStore, Store, lock_wait};
use guesses::{AttemptError, Guess, Guesses};

/// Stock is ample while so many times the batch's units are left. Other workers reserve what the cache does not show, so
/// a SKU that is about to sell out is read before it is reserved.
const AMPLE_BATCHES: i64 = 8;

/// Maximum time for which the server's answer to a lock wait that ended is on its way.
const LOCK_ANSWER_MAX: Duration = Duration::from_secs(2);

impl OrderStore for Store {
    async fn commit(&self, fence: Fence, orders: &[AcceptedOrder]) -> Result<Vec<CommitResult>, StoreError> {
        let mut results = Vec::with_capacity(orders.len());
        // The first half is on top: orders are decided in the order of the batch.
        let mut parts = vec![orders];
        while let Some(part) = parts.pop() {
            let attempts = self.retrying_locked("commit orders", self.config.transaction_timeout, 1, || {
                self.transact(fence, part)
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
    /// Makes attempts until no guess of the last one is refuted.
    async fn transact(&self, fence: Fence, orders: &[AcceptedOrder]) -> Result<Vec<CommitResult>, DbError> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let binds_bytes = self.binds_bytes().await?;
        let mut guesses = Guesses::new(&self.refuted);
        loop {
            let mut transaction = self.begin(PoolKind::Writers).await?;
            transaction.bind_bytes(binds_bytes);
            match self.attempt(&mut transaction, fence, orders, &guesses).await {
                Ok(results) => return transaction.end(Ok(results)).await,
                Err(AttemptError::Failed(failure)) => return transaction.end(Err(failure)).await,
                Err(AttemptError::Refuted(guess)) => {
                    tracing::debug!(event = "guess_refuted", ?guess, "attempt rolled back");
                    transaction.abandon(true).await;
                    guesses.refute(guess);
                }
            }
        }
    }

    async fn attempt(
        &self,
        transaction: &mut Transaction,
        fence: Fence,
        orders: &[AcceptedOrder],
        guesses: &Guesses<'_>,
    ) -> Result<Vec<CommitResult>, AttemptError> {
        let began = Instant::now();
        let letter_changes = lock_for_commit(transaction, fence).await?;
        let round_trip = began.elapsed();
        let mut snapshot = BatchSnapshot::new(SkuSet::of(orders));
        read::guess_stock(transaction, &self.cache, &mut snapshot).await?;
        if self.lettered.may_concern(transaction, letter_changes, orders).await? {
            read::lock_dead_letters(transaction, orders, &mut snapshot).await?;
        }
        if !guesses.makes(Guess::NewOrders) {
            read::read_known(transaction, orders, &mut snapshot).await?;
            if !snapshot.known.is_empty() {
                guesses.avoid(Guess::NewOrders);
            }
        }
        let guessed = decide(orders, &snapshot);
        let inserted = write::insert_orders(transaction, &guessed.decided).await;
        inserted.map_err(|failure| guesses.of_insert(Guess::NewOrders, failure))?;
        if guessed.decided.is_empty() {
            // All orders were decided earlier or cannot be: nothing is sold, so no stock needs a lock.
            write::write_remaining(transaction, &guessed).await?;
            return Ok(guessed.results);
        }
        let added = if guesses.makes(Guess::FinalRejections) {
            guessed.purchases.clone()
        } else {
            purchases::of_all(&guessed, &snapshot)
        };
        let has_read = purchases::add(transaction, guesses, orders, &guessed, &added, &mut snapshot).await?;

        let stands = || !has_read || decide(orders, &snapshot) == guessed;
        if guesses.makes(Guess::AmpleStock) && is_ample(&guessed, &snapshot) && stands() {
            let reserving = write::reserve_stock(transaction, &guessed, &snapshot);
            if !self.within_lock_wait("reserve stock", round_trip, reserving).await? {
                return Err(AttemptError::Refuted(Guess::AmpleStock));
            }
            self.cache.reserve(&snapshot.skus, &guessed.reserve);
            write::write_remaining(transaction, &guessed).await?;
            return Ok(guessed.results);
        }

        let locking = read::lock_stock(transaction, &mut snapshot);
        self.within_lock_wait("read stock", round_trip, locking).await?;
        let plan = decide(orders, &snapshot);
        self.cache.update(&snapshot.skus, &after(&plan, &snapshot));
        if !correct::covers(&guessed, &added, &plan) {
            return Err(if guesses.makes(Guess::FinalRejections) {
                AttemptError::Refuted(Guess::FinalRejections)
            } else {
                contention("the cached stock was too far off").into()
            });
        }
        correct::outcomes(transaction, &guessed, &plan).await?;
        correct::purchases(transaction, &added, &plan, &snapshot).await?;
        if !write::reserve_stock(transaction, &plan, &snapshot).await? {
            return Err(contention("the stock changed under its locks").into());
        }
        write::write_remaining(transaction, &plan).await?;
        Ok(plan.results)
    }

    /// Bounds a wait for the stock's locks. The session's own bound is shorter, unless a proxy has discarded it. What the
    /// statement takes beyond `round_trip` counts as a wait.
    async fn within_lock_wait<T>(
        &self,
        operation: &'static str,
        round_trip: Duration,
        waiting: impl Future<Output = Result<T, DbError>>,
    ) -> Result<T, DbError> {
        let kept_locked = |_elapsed| DbError {
            class: ErrorClass::Locked,
            detail: DbErrorDetail::new(operation, "waited too long for a lock"),
        };
        let began = Instant::now();
        let answer = timeout(self.config.lock_timeout + LOCK_ANSWER_MAX, waiting).await;
        lock_wait::record(began.elapsed().saturating_sub(round_trip));
        answer.map_err(kept_locked)?
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

fn contention(what: &str) -> DbError {
    DbError { class: ErrorClass::Contention, detail: DbErrorDetail::new("decide orders", what) }
}

/// True if nothing is rejected and the stock is far from its end. A rejection always rests on stock that was read under
/// its lock.
fn is_ample(plan: &WritePlan<'_>, snapshot: &BatchSnapshot<'_>) -> bool {
    let is_left = |(&place, &quantity): (&usize, &i64)| {
        snapshot.states[place].is_some_and(|state| state.total - state.reserved >= AMPLE_BATCHES * quantity)
    };
    plan.decided.iter().all(|decision| decision.outcome == Outcome::Confirmed)
        && plan.reserve.iter().all(is_left)
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
