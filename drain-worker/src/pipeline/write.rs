//! Commits batches, then acks their messages.

use std::sync::Arc;

use futures_util::future::join_all;
use shared::order::AcceptedOrder;
use shared::rocketmq::Message;
use tokio::sync::{Mutex, mpsc};

use super::batch::Batch;
use super::gated_writer::{GatedWriter, WriteEnd, rows};
use super::order_log;
use super::receive_budget::ReceiveBudget;
use super::stuck::{self, StuckOrders};
use super::{DecodedMessage, PipelineError};
use crate::message::MessageFault;
use crate::metrics;
use crate::store::{DeadLetter, OrderStore, StoreError};

/// Maximum halvings of one batch that find a lock on another row than stock; each waits for the lock.
const UNNAMED_LOCKS_MAX: u32 = 12;

pub(super) struct Writer<S> {
    pub(super) store: Arc<S>,
    pub(super) budget: Arc<ReceiveBudget>,
    pub(super) stuck: Arc<StuckOrders>,
    pub(super) writer: GatedWriter,
}

/// A message of a batch, until all its orders are settled.
struct OpenMessage {
    message: Message,
    /// Orders that are neither settled nor waiting for a lock.
    orders_left: usize,
    waiting: Vec<AcceptedOrder>,
}

/// Orders to be committed together, and the place of each one's message in the batch.
#[derive(Default)]
struct Part {
    orders: Vec<AcceptedOrder>,
    places: Vec<usize>,
}

impl Part {
    fn len(&self) -> usize {
        self.orders.len()
    }

    fn push(&mut self, order: AcceptedOrder, place: usize) {
        self.orders.push(order);
        self.places.push(place);
    }

    fn split_off(&mut self, at: usize) -> Self {
        let at = at.min(self.len());
        Self { orders: self.orders.split_off(at), places: self.places.split_off(at) }
    }
}

/// The messages of a batch by place; a settled one is taken out.
#[derive(Default)]
struct OpenMessages(Vec<Option<OpenMessage>>);

impl OpenMessages {
    /// Adds a message, and its orders to `part`.
    fn push(&mut self, message: Message, orders: Vec<AcceptedOrder>, part: &mut Part) {
        let place = self.0.len();
        self.0.push(Some(OpenMessage { message, orders_left: orders.len(), waiting: Vec::new() }));
        orders.into_iter().for_each(|order| part.push(order, place));
    }

    fn settle(&mut self, places: &[usize]) {
        for &place in places {
            if let Some(open) = self.0.get_mut(place).and_then(Option::as_mut) {
                open.orders_left -= 1;
            }
        }
    }

    fn wait(&mut self, part: Part) {
        for (order, place) in part.orders.into_iter().zip(part.places) {
            if let Some(open) = self.0.get_mut(place).and_then(Option::as_mut) {
                open.orders_left -= 1;
                open.waiting.push(order);
            }
        }
    }

    /// Takes out the messages whose orders are all settled.
    fn take_settled(&mut self) -> Vec<Message> {
        let is_settled = |open: &mut OpenMessage| open.orders_left == 0 && open.waiting.is_empty();
        self.0.iter_mut().filter_map(|open| open.take_if(is_settled)).map(|open| open.message).collect()
    }
}

impl<S: OrderStore> Writer<S> {
    pub(super) async fn run(self, batches: Arc<Mutex<mpsc::Receiver<Batch>>>) -> Result<(), PipelineError> {
        loop {
            let Some(batch) = batches.lock().await.recv().await else { return Ok(()) };
            let orders: usize = batch.iter().map(DecodedMessage::orders).sum();
            let kept = self.write(batch).await;
            self.budget.release(orders - kept.as_ref().map_or(0, |&kept| kept));
            kept?;
        }
    }

    /// Commits a batch. Returns the number of its orders that are kept because they wait for a lock. If cancelled, unacked
    /// messages are nacked on drop; orders already committed are redelivered as duplicates.
    async fn write(&self, batch: Batch) -> Result<usize, StoreError> {
        let (mut open, mut part) = (OpenMessages::default(), Part::default());
        let (mut unreadable, mut letters) = (Vec::new(), Vec::new());
        for DecodedMessage { message, content } in batch {
            match content {
                Ok(orders) => open.push(message, orders, &mut part),
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
        let Some(written) = self.write_dead_letters(&letters).await? else { return Ok(0) };
        unreadable.split_off(written).into_iter().for_each(stuck::hand_back);
        ack(unreadable).await;
        if !self.commit(part, &mut open).await? {
            return Ok(0);
        }
        let kept = open.0.into_iter().flatten();
        Ok(kept.map(|open| self.stuck.keep(open.message, open.waiting, self.budget.stuck_max())).sum())
    }

    /// Commits the orders of `all` that no lock prevents, and acks their messages; `false`: cancelled.
    async fn commit(&self, all: Part, open: &mut OpenMessages) -> Result<bool, StoreError> {
        let mut locks_left = UNNAMED_LOCKS_MAX;
        let mut parts = vec![all];
        while let Some(part) = parts.pop() {
            // Messages without orders are complete as well.
            ack(open.take_settled()).await;
            let mut part = self.set_blocked_aside(part, open);
            if part.len() == 0 {
                continue;
            }
            let Some(grant) = self.writer.acquire(part.len()).await else { return Ok(false) };
            parts.push(part.split_off(rows(&grant)));
            match self.writer.write(&grant, |fence| self.store.commit(fence, &part.orders)).await {
                Ok(WriteEnd::Committed(results)) => {
                    // Before the credits' second begins.
                    let answered_us = order_log::now_us();
                    grant.complete();
                    parts.push(part.split_off(results.len()));
                    for (order, result) in part.orders.iter().zip(&results) {
                        self.writer.stats.record_outcome(result.outcome);
                        order_log::log_settled(order, result.outcome, answered_us);
                    }
                    open.settle(&part.places);
                }
                // The member joins the pool again and binds the gate to the new lease.
                Ok(WriteEnd::LeaseLost) => parts.push(part),
                Ok(WriteEnd::Cancelled) => return Ok(false),
                Err(StoreError::Locked { skus, .. }) => {
                    grant.release();
                    let orders = part.len();
                    self.stuck.record_locked(skus);
                    let mut free = self.set_blocked_aside(part, open);
                    if free.len() < orders {
                        parts.push(free);
                    } else if orders == 1 || locks_left == 0 {
                        open.wait(free);
                    } else {
                        // Another row is locked: halving finds its order.
                        locks_left -= 1;
                        parts.push(free.split_off(orders / 2));
                        parts.push(free);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Lets the orders of `part` wait whose stock is known to be locked, and returns the others.
    fn set_blocked_aside(&self, part: Part, open: &mut OpenMessages) -> Part {
        let blocked = self.stuck.blocked(&part.orders);
        if !blocked.contains(&true) {
            return part;
        }
        let (mut waiting, mut free) = (Part::default(), Part::default());
        for ((order, place), blocked) in part.orders.into_iter().zip(part.places).zip(blocked) {
            if blocked { &mut waiting } else { &mut free }.push(order, place);
        }
        open.wait(waiting);
        free
    }

    /// Stores dead letters and returns how many, from the first: fewer than all if another transaction has locked one.
    /// `None`: cancelled. Each counts against the cap like an order, because it is a row too.
    async fn write_dead_letters(&self, letters: &[DeadLetter]) -> Result<Option<usize>, StoreError> {
        let mut written = 0;
        while written < letters.len() {
            let rest = &letters[written..];
            let Some(grant) = self.writer.acquire(rest.len()).await else { return Ok(None) };
            let part = &rest[..rows(&grant).min(rest.len())];
            match self.writer.write(&grant, |fence| self.store.upsert_dead_letters(fence, part)).await {
                Ok(WriteEnd::Committed(())) => {
                    grant.complete();
                    metrics::unreadable_messages(part.len());
                    written += part.len();
                }
                Ok(WriteEnd::LeaseLost) => {}
                Ok(WriteEnd::Cancelled) => return Ok(None),
                Err(StoreError::Locked { .. }) => {
                    grant.release();
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(written))
    }
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
