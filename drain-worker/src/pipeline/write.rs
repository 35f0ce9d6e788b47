//! Commits batches, then acks.

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
use super::{DrainError, Health, Work};
use crate::metrics;
use crate::rate::RateGate;
use crate::store::{DeadLetter, DeadLetterReason, OrderStore, StoreError, Verdict};

const RETRY_MAX: Duration = Duration::from_secs(5);

/// Writes batches, one at a time.
pub(super) struct Writer<S> {
    pub(super) store: Arc<S>,
    pub(super) health: Health,
    pub(super) demand: Arc<Demand>,
    pub(super) gate: RateGate,
    pub(super) give_up: CancellationToken,
}

impl<S: OrderStore> Writer<S> {
    pub(super) async fn run(self, batches: Arc<Mutex<mpsc::Receiver<Batch>>>) -> Result<(), DrainError> {
        loop {
            let Some(batch) = batches.lock().await.recv().await else { return Ok(()) };
            let held: usize = batch.work.iter().map(Work::orders).sum();
            let result = self.write(batch).await;
            self.demand.settled(held);
            result?;
        }
    }

    async fn write(&self, batch: Batch) -> Result<(), DrainError> {
        let Batch { work, grant } = batch;
        let mut messages = Vec::with_capacity(work.len());
        let mut orders: Vec<AcceptedOrder> = Vec::new();
        let mut letters = Vec::new();
        for Work { message, content } in work {
            match content {
                Ok(content) => orders.extend(content),
                Err(error) => letters.push(unreadable(&message, &error)),
            }
            messages.push(message);
        }
        let began = Instant::now();
        if !letters.is_empty() && self.persist(|| self.store.dead_letter(&letters)).await?.is_none() {
            return Ok(());
        }
        // One transaction, unless a single message holds more than the cap takes in a second.
        let mut grant = Some(grant);
        let mut rest = orders.as_slice();
        while !rest.is_empty() {
            let permission = match grant.take() {
                Some(grant) => grant,
                None => self.gate.acquire(count(rest)).await,
            };
            let part = rest.len().min(usize::try_from(permission.orders()).unwrap_or(usize::MAX).max(1));
            let (now, later) = rest.split_at(part);
            // Given up: dropping the messages gives them back. What is committed already comes again as duplicates.
            let Some(verdicts) = self.persist(|| self.store.commit(crate::store::Fence::Open, now)).await?
            else {
                return Ok(());
            };
            // From here on the credits run out their second.
            drop(permission);
            record(now, &verdicts);
            rest = later;
        }
        metrics::committed(began.elapsed());
        metrics::dead_lettered(letters.len());
        ack(messages).await;
        Ok(())
    }

    /// Tries until the store has answered; `None` once it is given up. A database that is down is waited for.
    async fn persist<T, F>(&self, attempt: impl Fn() -> F) -> Result<Option<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut failures = 0_u32;
        loop {
            match attempt().await {
                Ok(done) => {
                    self.health.up();
                    return Ok(Some(done));
                }
                Err(error) if error.is_transient() => {
                    failures += 1;
                    metrics::commit_failed();
                    self.health.down(&error.to_string());
                    let wait = Duration::from_millis(50 << failures.min(7)).min(RETRY_MAX);
                    let wait = sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0));
                    if self.give_up.run_until_cancelled(wait).await.is_none() {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// A message that is not a batch of orders is kept whole, with the reason.
fn unreadable(message: &Message, error: &EnvelopeError) -> DeadLetter {
    let reason = match error {
        EnvelopeError::UnknownVersion { .. } => DeadLetterReason::UnknownVersion,
        EnvelopeError::TooLarge { .. }
        | EnvelopeError::Malformed { .. }
        | EnvelopeError::InvalidField { .. } => DeadLetterReason::MalformedMessage,
    };
    DeadLetter::of_message(message.message_id(), message.body().clone(), reason, &error.to_string())
}

fn count(orders: &[AcceptedOrder]) -> NonZeroU32 {
    u32::try_from(orders.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}

fn record(orders: &[AcceptedOrder], verdicts: &[Verdict]) {
    for (order, verdict) in orders.iter().zip(verdicts) {
        metrics::verdict(verdict.kind);
        follow::settled(order, verdict.kind);
    }
}

/// An ack that fails means one more delivery, which changes nothing.
async fn ack(messages: Vec<Message>) {
    let acks = join_all(messages.into_iter().map(Message::ack)).await;
    let failed = acks.iter().filter(|ack| ack.is_err()).count();
    if failed > 0 {
        metrics::ack_failed(failed);
        if let Some(error) = acks.into_iter().find_map(Result::err) {
            tracing::warn!(failed, %error, "acks failed; these messages will come again");
        }
    }
}
