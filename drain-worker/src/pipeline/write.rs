//! Commits batches, then acks.

use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use shared::envelope::EnvelopeError;
use shared::order::AcceptedOrder;
use shared::rocketmq::Message;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::demand::Demand;
use super::follow;
use super::{DrainError, Health, Meter, Work};
use crate::metrics;
use crate::rate::{Grant, RateGate};
use crate::store::{DeadLetter, DeadLetterReason, Fence, OrderStore, StoreError};

const RETRY_MAX: Duration = Duration::from_secs(5);

/// Writes batches, one at a time.
pub(super) struct Writer<S> {
    pub(super) store: Arc<S>,
    pub(super) health: Health,
    pub(super) demand: Arc<Demand>,
    pub(super) gate: RateGate,
    pub(super) meter: Meter,
    pub(super) give_up: CancellationToken,
}

/// A message whose orders are not all committed.
struct Open {
    message: Message,
    /// Its orders not yet committed.
    orders_left: usize,
}

impl<S: OrderStore> Writer<S> {
    pub(super) async fn run(self, batches: Arc<Mutex<mpsc::Receiver<Batch>>>) -> Result<(), DrainError> {
        loop {
            let Some(batch) = batches.lock().await.recv().await else { return Ok(()) };
            let held: usize = batch.iter().map(Work::orders).sum();
            let result = self.write(batch).await;
            self.demand.settled(held);
            result?;
        }
    }

    /// Writes a batch; one that is given up is dropped, which gives its messages back. What was committed by then comes
    /// again as duplicates.
    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut open = VecDeque::with_capacity(batch.len());
        let mut orders: Vec<AcceptedOrder> = Vec::new();
        let (mut unreadable, mut letters) = (Vec::new(), Vec::new());
        for Work { message, content } in batch {
            match content {
                Ok(content) => {
                    open.push_back(Open { message, orders_left: content.len() });
                    orders.extend(content);
                }
                Err(error) => {
                    letters.push(letter(&message, &error));
                    unreadable.push(message);
                }
            }
        }
        if !self.keep(&letters).await? {
            return Ok(());
        }
        ack(unreadable).await;
        let mut rest = orders.as_slice();
        while !rest.is_empty() {
            let commit = |fence, orders| self.store.commit(fence, orders);
            let Some((grant, verdicts)) = self.under_grant(rest, commit).await? else { return Ok(()) };
            // Before the credits' second begins.
            let answered_us = follow::now_us();
            grant.answered();
            let (done, later) = rest.split_at(verdicts.len());
            for (order, verdict) in done.iter().zip(&verdicts) {
                self.meter.verdict(verdict.kind);
                follow::settled(order, verdict.kind, answered_us);
            }
            rest = later;
            ack(complete(&mut open, done.len())).await;
        }
        // Messages without orders.
        ack(open.into_iter().map(|open| open.message).collect()).await;
        Ok(())
    }

    /// Keeps dead letters; `false`: given up. They count against the cap like orders: they are rows as well.
    async fn keep(&self, letters: &[DeadLetter]) -> Result<bool, StoreError> {
        let mut rest = letters;
        while !rest.is_empty() {
            let keep = |fence, letters| self.store.dead_letter(fence, letters);
            let Some((grant, ())) = self.under_grant(rest, keep).await? else { return Ok(false) };
            let (now, later) = rest.split_at(count(&grant));
            grant.answered();
            metrics::dead_lettered(now.len());
            rest = later;
        }
        Ok(true)
    }

    /// Writes as many of `rows`, from the first, as are granted at once, until the database has answered. `None`: given
    /// up; nobody knows what became of them, and the grant keeps its credits.
    async fn under_grant<'rows, R, T, F>(
        &self,
        rows: &'rows [R],
        write: impl Fn(Fence, &'rows [R]) -> F,
    ) -> Result<Option<(Grant, T)>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            let Some(grant) = self.granted(rows.len()).await else { return Ok(None) };
            let part = &rows[..count(&grant)];
            match self.persist(|| write(grant.fence(), part)).await {
                // The pool will give another lease, and credits with it.
                Err(StoreError::Fenced(fault)) => {
                    tracing::warn!(%fault, "this worker's lease is gone");
                    // It answers, whatever it says.
                    self.health.up();
                    self.gate.revoke(grant.fence());
                }
                result => return Ok(result?.map(|done| (grant, done))),
            }
        }
    }

    async fn granted(&self, orders: usize) -> Option<Grant> {
        let orders = u32::try_from(orders).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        self.give_up.run_until_cancelled(self.gate.acquire(orders)).await
    }

    /// Tries until the store has answered; `None` once it is given up. A database that is down is waited for.
    async fn persist<T, F>(&self, attempt: impl Fn() -> F) -> Result<Option<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut failures = 0_u32;
        // Held while this writer is the one that finds out whether the database is back.
        let mut _probe = None;
        loop {
            let began = Instant::now();
            match attempt().await {
                Ok(done) => {
                    self.meter.committed(began.elapsed());
                    self.health.up();
                    return Ok(Some(done));
                }
                Err(error) if error.is_transient() => {
                    failures += 1;
                    self.meter.failed();
                    self.health.down(&error.to_string());
                    let wait = async {
                        if _probe.is_none() {
                            _probe = self.health.until_up_or_probe().await;
                        }
                        if _probe.is_some() {
                            let wait = Duration::from_millis(50 << failures.min(7)).min(RETRY_MAX);
                            sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
                        }
                    };
                    if self.give_up.run_until_cancelled(wait).await.is_none() {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn count(grant: &Grant) -> usize {
    usize::try_from(grant.orders().get()).unwrap_or(usize::MAX)
}

/// The messages that are complete once `orders` more are committed.
fn complete(open: &mut VecDeque<Open>, mut orders: usize) -> Vec<Message> {
    let mut complete = Vec::new();
    while let Some(first) = open.front_mut() {
        let now = orders.min(first.orders_left);
        first.orders_left -= now;
        orders -= now;
        if first.orders_left > 0 {
            break;
        }
        complete.extend(open.pop_front().map(|open| open.message));
    }
    complete
}

/// A message that is not a batch of orders is kept whole, with the reason.
fn letter(message: &Message, error: &EnvelopeError) -> DeadLetter {
    let reason = match error {
        EnvelopeError::UnknownVersion { .. } => DeadLetterReason::UnknownVersion,
        EnvelopeError::TooLarge { .. }
        | EnvelopeError::Malformed { .. }
        | EnvelopeError::InvalidField { .. } => DeadLetterReason::MalformedMessage,
    };
    DeadLetter::of_message(message.message_id(), message.payload().clone(), reason, &error.to_string())
}

/// An ack that fails means one more delivery, which changes nothing.
async fn ack(messages: Vec<Message>) {
    if messages.is_empty() {
        return;
    }
    let acks = join_all(messages.into_iter().map(Message::ack)).await;
    let failed = acks.iter().filter(|ack| ack.is_err()).count();
    if failed > 0 {
        metrics::ack_failed(failed);
        if let Some(error) = acks.into_iter().find_map(Result::err) {
            tracing::warn!(failed, %error, "acks failed; these messages will come again");
        }
    }
}
