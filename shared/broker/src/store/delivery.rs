//! Delivers messages and settles them.

use std::time::Duration;

use tokio::time::Instant;

use super::clock::system_time;
use super::filter::TagFilter;
use super::ops::{Acked, Batch, DeliveredMessage};
use super::receipt::Receipt;
use super::record::{ChangeKind, Delivered, Settled, Started, put_change, record_bytes};
use super::state::State;
use super::subscription::{Out, ReceiptState};
use super::topic::DEAD_LETTER_PREFIX;
use crate::config::TopicConfig;
use crate::error::Refusal;
use spillway_rocketmq::protocol::Code;

/// Maximum unsettled messages of a group on a topic; beyond it the group gets no new ones. Bounds the checkpoints.
const OUT_MAX: usize = 1_000_000;

/// Maximum messages of one receive that do not pass its filter; the rest follows in the next round.
const FILTERED_MAX: usize = 10_000;

/// A message chosen for delivery.
#[derive(Clone, Copy, Debug)]
struct Pick {
    queue: usize,
    offset: u64,
    /// Deliveries before this one.
    attempts: u16,
}

/// The messages that a receive visited.
#[derive(Debug, Default)]
struct Picked {
    /// To deliver, in order.
    picks: Vec<Pick>,
    /// Delivered as often as allowed.
    exhausted: Vec<Pick>,
    /// Not passing the filter.
    filtered: Vec<Pick>,
}

impl Picked {
    fn has_room(&self, max: usize) -> bool {
        self.picks.len() < max && self.filtered.len() < FILTERED_MAX
    }
}

impl State {
    /// Delivers up to `max` messages to a group and hides them. Visits the queues round robin until it has enough; the
    /// first visit to a queue starts the group there.
    pub(crate) fn take(
        &mut self,
        key: (u32, u32),
        filter: &TagFilter,
        max: usize,
        invisible: Duration,
        now: Instant,
        batch: &mut Batch,
    ) -> Vec<DeliveredMessage> {
        let Picked { picks, exhausted, filtered } = self.pick(key, filter, max, now, batch);
        for pick in exhausted {
            self.move_to_dlq(key, pick, batch);
        }
        let taken = self.hide(key, picks, invisible, now, batch);
        // After the deliveries: in a log that ends between the two, everything below the group's cursor is accounted for.
        self.skip(key, &filtered, batch);
        taken
    }

    /// Delivers chosen messages and hides them.
    fn hide(
        &mut self,
        key: (u32, u32),
        picks: Vec<Pick>,
        invisible: Duration,
        now: Instant,
        batch: &mut Batch,
    ) -> Vec<DeliveredMessage> {
        if picks.is_empty() {
            return Vec::new();
        }
        let until = now + invisible;
        let until_ms = self.clock.to_ms(until);
        let (topic_id, group_id) = key;
        let mut record = Delivered {
            topic: topic_id,
            group: group_id,
            lease_first: self.lease_next,
            until_ms,
            ..Delivered::default()
        };
        let mut taken = Vec::with_capacity(picks.len());
        let Some(subscription) = self.subscriptions.get_mut(&key) else { return Vec::new() };
        for pick in picks {
            let Some(stored) = self.topics[topic_id as usize].queues[pick.queue].messages.get(&pick.offset)
            else {
                continue;
            };
            let queue = u32::try_from(pick.queue).unwrap_or(u32::MAX);
            let attempt = pick.attempts.saturating_add(1);
            let lease = self.lease_next;
            self.lease_next += 1;
            subscription.hide(queue, pick.offset, attempt, lease, until);
            record.queues.push(queue);
            record.offsets.push(pick.offset);
            record.attempts.push(attempt.into());
            taken.push(DeliveredMessage {
                raw: stored.raw.clone(),
                receipt: Receipt {
                    topic: topic_id,
                    group: group_id,
                    queue,
                    offset: pick.offset,
                    lease,
                    until_ms,
                },
                attempt,
                stored_at: system_time(stored.stored_ms),
                invisible,
            });
        }
        if !taken.is_empty() {
            put_change(&mut batch.bytes, ChangeKind::Delivered(record));
        }
        taken
    }

    /// Chooses messages. A group gets the messages of a queue of type FIFO in order: none while one is hidden.
    fn pick(
        &mut self,
        key: (u32, u32),
        filter: &TagFilter,
        max: usize,
        now: Instant,
        batch: &mut Batch,
    ) -> Picked {
        let (topic_id, group_id) = key;
        let mut picked = Picked::default();
        let topic = &mut self.topics[topic_id as usize];
        let from_oldest = topic.is_dead_letters();
        let is_ordered = topic.is_ordered();
        let subscription = self.subscriptions.entry(key).or_default();
        subscription.lapse(now);
        let mut new_max = OUT_MAX.saturating_sub(subscription.out());
        for index in subscription.round(topic.queues.len()) {
            let queue = &mut topic.queues[index];
            if subscription.cursor(index).is_none() {
                let next = if from_oldest { queue.oldest() } else { queue.next_offset };
                subscription.start(index, next);
                for stored in queue.messages.range_mut(next..).map(|(_, stored)| stored) {
                    stored.pending += 1;
                }
                let queue = u32::try_from(index).unwrap_or(u32::MAX);
                let started = Started { topic: topic_id, group: group_id, queue, next };
                put_change(&mut batch.bytes, ChangeKind::Started(started));
            }
            let Some(cursor) = subscription.cursor(index) else { continue };
            if is_ordered && cursor.has_hidden() {
                continue;
            }
            while picked.has_room(max)
                && let Some(offset) = cursor.again.pop_first()
            {
                let attempts = cursor.out.get(&offset).map_or(0, |out| out.attempts);
                let pick = Pick { queue: index, offset, attempts };
                let passes = queue.messages.get(&offset).is_none_or(|stored| filter.passes(&stored.raw));
                match passes {
                    false => picked.filtered.push(pick),
                    true if attempts >= self.limits.attempts_max => picked.exhausted.push(pick),
                    true => picked.picks.push(pick),
                }
            }
            while picked.has_room(max) && new_max > 0 && cursor.next < queue.next_offset {
                let offset = cursor.next;
                // Only a damaged log can lack it.
                let Some(stored) = queue.messages.get(&offset) else {
                    cursor.next += 1;
                    continue;
                };
                let pick = Pick { queue: index, offset, attempts: 0 };
                cursor.next += 1;
                if filter.passes(&stored.raw) {
                    new_max -= 1;
                    picked.picks.push(pick);
                } else {
                    // As if delivered, to be settled.
                    cursor.out.insert(offset, Out { attempts: 0, lease: 0, until: None });
                    picked.filtered.push(pick);
                }
            }
            if !picked.has_room(max) {
                break;
            }
        }
        // There may be more behind the messages that did not pass.
        subscription.stirred |= picked.picks.len() < max && picked.filtered.len() >= FILTERED_MAX;
        picked
    }

    /// Settles messages that do not pass the group's filter, as Apache's broker does: another filter does not bring them back.
    fn skip(&mut self, key: (u32, u32), filtered: &[Pick], batch: &mut Batch) {
        if filtered.is_empty() {
            return;
        }
        let mut settled = Settled { topic: key.0, group: key.1, ..Settled::default() };
        for pick in filtered {
            let queue = u32::try_from(pick.queue).unwrap_or(u32::MAX);
            self.settle(key, queue, pick.offset);
            settled.queues.push(queue);
            settled.offsets.push(pick.offset);
        }
        put_change(&mut batch.bytes, ChangeKind::Settled(settled));
    }

    /// Moves a message that reached the maximum of deliveries to the group's dead-letter topic.
    fn move_to_dlq(&mut self, key: (u32, u32), pick: Pick, batch: &mut Batch) {
        let (topic_id, group_id) = key;
        let message = self.topics[topic_id as usize].queues[pick.queue].messages.get(&pick.offset);
        if let Some(raw) = message.map(|stored| stored.raw.clone()) {
            let group = &self.groups[group_id as usize];
            let name = format!("{DEAD_LETTER_PREFIX}{group}");
            tracing::warn!(
                group,
                queue = pick.queue,
                offset = pick.offset,
                attempts = pick.attempts,
                "message moved to the dead-letter topic"
            );
            // The limit on topics leaves room for one per group.
            let Ok(dead_letters) = self.create_topic(&TopicConfig::new(name, 1), &mut batch.bytes) else {
                return;
            };
            // Copy before settling: a crash between the two duplicates the message instead of losing it.
            self.store(dead_letters, 0, raw, &mut batch.bytes);
        }
        let queue = u32::try_from(pick.queue).unwrap_or(u32::MAX);
        self.settle(key, queue, pick.offset);
        let settled =
            Settled { topic: topic_id, group: group_id, queues: vec![queue], offsets: vec![pick.offset] };
        put_change(&mut batch.bytes, ChangeKind::Settled(settled));
    }

    /// Settles messages. Each receipt has its own result; acking a settled message succeeds.
    pub(crate) fn ack(
        &mut self,
        topic: &str,
        group: &str,
        receipts: &[Option<Receipt>],
        now: Instant,
        batch: &mut Batch,
    ) -> Result<Vec<Acked>, Refusal> {
        let key = (self.topic_id(topic)?, self.group_id(group)?);
        let mut settled = Settled { topic: key.0, group: key.1, ..Settled::default() };
        let mut outcomes = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let outcome = match receipt {
                Some(receipt) => match self.holding(key, receipt, now) {
                    ReceiptState::Held { .. } => {
                        self.settle(key, receipt.queue, receipt.offset);
                        settled.queues.push(receipt.queue);
                        settled.offsets.push(receipt.offset);
                        Acked::Settled
                    }
                    // The client retries because a response was lost.
                    ReceiptState::Settled if receipt.until_ms > self.clock.to_ms(now) => Acked::Settled,
                    ReceiptState::Settled | ReceiptState::Lost | ReceiptState::Never => Acked::Invalid,
                },
                None => Acked::Invalid,
            };
            outcomes.push(outcome);
        }
        if !settled.offsets.is_empty() {
            put_change(&mut batch.bytes, ChangeKind::Settled(settled));
            // The next message in order may be due.
            if let Some(subscription) = self.subscriptions.get_mut(&key) {
                subscription.stirred |= self.topics[key.0 as usize].is_ordered();
            }
        }
        Ok(outcomes)
    }

    /// Hides a message for `invisible` from now. Returns the new receipt; the old one is invalid.
    pub(crate) fn change(
        &mut self,
        topic: &str,
        group: &str,
        receipt: Receipt,
        invisible: Duration,
        now: Instant,
        batch: &mut Batch,
    ) -> Result<Receipt, Refusal> {
        let key = (self.topic_id(topic)?, self.group_id(group)?);
        let ReceiptState::Held { attempts } = self.holding(key, &receipt, now) else {
            return Err(Refusal::new(Code::INVALID_RECEIPT_HANDLE, "receipt handle is expired"));
        };
        let until = now + invisible;
        let until_ms = self.clock.to_ms(until);
        let lease = self.lease_next;
        self.lease_next += 1;
        let Receipt { queue, offset, .. } = receipt;
        if let Some(subscription) = self.subscriptions.get_mut(&key) {
            subscription.hide(queue, offset, attempts, lease, until);
        }
        let record = Delivered {
            topic: key.0,
            group: key.1,
            lease_first: lease,
            until_ms,
            queues: vec![queue],
            offsets: vec![offset],
            attempts: vec![attempts.into()],
        };
        put_change(&mut batch.bytes, ChangeKind::Delivered(record));
        Ok(Receipt { lease, until_ms, ..receipt })
    }

    fn holding(&self, key: (u32, u32), receipt: &Receipt, now: Instant) -> ReceiptState {
        if (receipt.topic, receipt.group) != key {
            return ReceiptState::Never;
        }
        self.subscriptions.get(&key).map_or(ReceiptState::Never, |subscription| {
            subscription.holds(receipt.queue, receipt.offset, receipt.lease, now)
        })
    }

    /// Settles a message for one group; drops it if no other group needs it.
    fn settle(&mut self, key: (u32, u32), queue: u32, offset: u64) {
        let settled =
            self.subscriptions.get_mut(&key).is_some_and(|subscription| subscription.settle(queue, offset));
        if settled && let Some(stored) = self.topics[key.0 as usize].queues[queue as usize].release(offset) {
            self.segments.dead(stored.segment, record_bytes(stored.raw.len()));
        }
    }

    /// Reverts the delivery to a receive whose caller is gone.
    pub(crate) fn undeliver(&mut self, untaken: &[DeliveredMessage]) {
        for DeliveredMessage { receipt, .. } in untaken {
            if let Some(subscription) = self.subscriptions.get_mut(&(receipt.topic, receipt.group)) {
                subscription.undeliver(receipt.queue, receipt.offset, receipt.lease);
            }
        }
    }
}

#[cfg(test)]
#[path = "ordered_tests.rs"]
mod ordered_tests;
#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
