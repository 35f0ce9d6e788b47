//! Commits batches, then acks their messages.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::join_all;
use shared::order::AcceptedOrder;
use shared::rocketmq::Message;
use tokio::sync::{Mutex, mpsc};

use super::batch::Batch;
use super::gated_writer::{GatedWriter, WriteEnd, rows};
use super::order_log;
use super::receive_budget::ReceiveBudget;
use super::{DecodedMessage, PipelineError};
use crate::message::MessageFault;
use crate::metrics;
use crate::rate::Grant;
use crate::store::{DeadLetter, Fence, OrderStore, StoreError};

pub(super) struct Writer<S> {
    pub(super) store: Arc<S>,
    pub(super) budget: Arc<ReceiveBudget>,
    pub(super) writer: GatedWriter,
}

/// A message whose orders are not all committed.
struct PendingMessage {
    message: Message,
    orders_left: usize,
}

impl<S: OrderStore> Writer<S> {
    pub(super) async fn run(self, batches: Arc<Mutex<mpsc::Receiver<Batch>>>) -> Result<(), PipelineError> {
        loop {
            let Some(batch) = batches.lock().await.recv().await else { return Ok(()) };
            let orders: usize = batch.iter().map(DecodedMessage::orders).sum();
            let result = self.write(batch).await;
            self.budget.release(orders);
            result?;
        }
    }

    /// Commits a batch. If cancelled, unacked messages are nacked on drop; orders already committed are redelivered as
    /// duplicates.
    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut pending = VecDeque::with_capacity(batch.len());
        let mut orders: Vec<AcceptedOrder> = Vec::new();
        let (mut unreadable, mut letters) = (Vec::new(), Vec::new());
        for DecodedMessage { message, content } in batch {
            match content {
                Ok(content) => {
                    pending.push_back(PendingMessage { message, orders_left: content.len() });
                    orders.extend(content);
                }
                Err(fault) if fault.may_be_transient() => {
                    tracing::warn!(
                        event = "message_damaged",
                        message_id = message.message_id(),
                        attempt = message.delivery_attempt(),
                        error = %fault,
                        "received a damaged message; the broker redelivers it"
                    );
                }
                Err(error) => {
                    letters.push(dead_letter(&message, &error));
                    unreadable.push(message);
                }
            }
        }
        if !self.write_dead_letters(&letters).await? {
            return Ok(());
        }
        ack(unreadable).await;
        let mut rest = orders.as_slice();
        while !rest.is_empty() {
            let commit = |fence, orders| self.store.commit(fence, orders);
            let Some((grant, results)) = self.under_grant(rest, commit).await? else { return Ok(()) };
            // Before the credits' second begins.
            let answered_us = order_log::now_us();
            grant.complete();
            let (done, later) = rest.split_at(results.len());
            for (order, result) in done.iter().zip(&results) {
                self.writer.stats.record_outcome(result.outcome);
                order_log::log_settled(order, result.outcome, answered_us);
            }
            rest = later;
            ack(complete(&mut pending, done.len())).await;
        }
        // Messages without orders.
        ack(pending.into_iter().map(|pending| pending.message).collect()).await;
        Ok(())
    }

    /// Stores dead letters; `false`: cancelled. Each counts against the cap like an order, because it is a row too.
    async fn write_dead_letters(&self, letters: &[DeadLetter]) -> Result<bool, StoreError> {
        let mut rest = letters;
        while !rest.is_empty() {
            let upsert = |fence, letters| self.store.upsert_dead_letters(fence, letters);
            let Some((grant, ())) = self.under_grant(rest, upsert).await? else { return Ok(false) };
            let (now, later) = rest.split_at(rows(&grant));
            grant.complete();
            metrics::unreadable_messages(now.len());
            rest = later;
        }
        Ok(true)
    }

    /// Writes as many of `items`, from the first, as the next grant allows. `None`: cancelled; the items may be committed,
    /// and the grant keeps its credits.
    async fn under_grant<'items, R, T, F>(
        &self,
        items: &'items [R],
        write: impl Fn(Fence, &'items [R]) -> F,
    ) -> Result<Option<(Grant, T)>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            let Some(grant) = self.writer.acquire(items.len()).await else { return Ok(None) };
            let part = &items[..rows(&grant)];
            match self.writer.write(&grant, |fence| write(fence, part)).await? {
                WriteEnd::Committed(done) => return Ok(Some((grant, done))),
                // The member joins the pool again and binds the gate to the new lease.
                WriteEnd::LeaseLost => {}
                WriteEnd::Cancelled => return Ok(None),
            }
        }
    }
}

/// Removes and returns the messages that are complete once `orders` more are committed.
fn complete(pending: &mut VecDeque<PendingMessage>, mut orders: usize) -> Vec<Message> {
    let mut complete = Vec::new();
    while let Some(first) = pending.front_mut() {
        let now = orders.min(first.orders_left);
        first.orders_left -= now;
        orders -= now;
        if first.orders_left > 0 {
            break;
        }
        complete.extend(pending.pop_front().map(|pending| pending.message));
    }
    complete
}

/// The dead letter of a message that is not a batch of orders: the whole body, and the reason.
fn dead_letter(message: &Message, fault: &MessageFault) -> DeadLetter {
    DeadLetter::of_message(
        message.message_id(),
        message.payload().clone(),
        fault.reason(),
        &fault.to_string(),
    )
}

/// Acks messages. A failed ack costs one redelivery, which changes nothing.
async fn ack(messages: Vec<Message>) {
    if messages.is_empty() {
        return;
    }
    let acks = join_all(messages.into_iter().map(Message::ack)).await;
    let failed = acks.iter().filter(|ack| ack.is_err()).count();
    if failed > 0 {
        metrics::ack_failed(failed);
        if let Some(error) = acks.into_iter().find_map(Result::err) {
            tracing::warn!(event = "acks_failed", failed, %error, "acks failed; the broker redelivers these messages");
        }
    }
}
