//! Delays messages: into the log until their delivery time, then into a queue.

use bytes::Bytes;
use tokio::time::Instant;

use super::ops::Batch;
use super::record::{ChangeKind, Due, MessageRecord, put_change, record_bytes};
use super::state::State;
use super::waiting::{WaitingMessage, put};

/// Maximum messages that enter queues in one round.
const ROUND_MESSAGES_MAX: usize = 10_000;

impl State {
    /// Stores a message until its delivery time. Returns its number.
    pub(crate) fn delay(&mut self, topic: u32, deliver_ms: u64, raw: Bytes, log: &mut Vec<u8>) -> u64 {
        let number = self.waiting.next_number;
        self.waiting.seen(number);
        let waiting = WaitingMessage { topic, raw, segment: self.segments.newest() };
        let bytes = put(log, deliver_ms, number, &waiting);
        self.segments.live(waiting.segment, bytes);
        self.waiting.messages.insert((deliver_ms, number), waiting);
        number
    }

    /// Puts the messages whose delivery time has come into queues, in the order of their times.
    pub(crate) fn release_due(&mut self, now: Instant, batch: &mut Batch) {
        let now_ms = self.clock.to_ms(now);
        let mut due = Due::default();
        while due.numbers.len() < ROUND_MESSAGES_MAX
            && let Some(first) = self.waiting.messages.first_entry()
            && first.key().0 <= now_ms
        {
            let ((_, number), WaitingMessage { topic, raw, segment }) = first.remove_entry();
            self.waiting.numbers.remove(&number);
            due.numbers.push(number);
            let bytes = record_bytes(raw.len());
            let queue = self.topics[topic as usize].next_queue();
            // Stored in the queue before the record says that it left: a crash between the two duplicates it.
            self.store(topic, queue, raw, &mut batch.bytes);
            self.segments.dead(segment, bytes);
        }
        if !due.numbers.is_empty() {
            put_change(&mut batch.bytes, ChangeKind::Due(due));
        }
    }

    /// Returns the next delivery time.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.waiting.messages.first_key_value().map(|((deliver_ms, _), _)| self.clock.to_instant(*deliver_ms))
    }

    /// Loads a message of the log that still waits.
    pub(crate) fn load_waiting(&mut self, record: &MessageRecord<'_>, segment: u64) {
        let is_known = (record.topic as usize) < self.topics.len();
        if !is_known || !self.waiting.numbers.contains(&record.offset) {
            return;
        }
        let raw = Bytes::copy_from_slice(record.raw);
        let waiting = WaitingMessage { topic: record.topic, raw, segment };
        self.segments.live(segment, record.encoded_bytes());
        // The message was moved from an older segment, and the process ended before that one was deleted.
        if let Some(older) = self.waiting.messages.insert((record.stored_ms, record.offset), waiting) {
            self.segments.dead(older.segment, record.encoded_bytes());
        }
    }
}

#[cfg(test)]
#[path = "delay_tests.rs"]
mod tests;
