//! Messages that wait for their delivery time before they enter a queue.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tokio::time::Instant;

use super::ops::Batch;
use super::record::{ChangeKind, Due, MessageRecord, WAITING_QUEUE, put_change, put_message, record_bytes};
use super::state::State;

/// Maximum messages that enter queues in one round.
const ROUND_MESSAGES_MAX: usize = 10_000;

#[derive(Debug)]
struct WaitingMessage {
    topic: u32,
    raw: Bytes,
    segment: u64,
}

/// The waiting messages of all topics.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// By delivery time, milliseconds since 1970, and number.
    messages: BTreeMap<(u64, u64), WaitingMessage>,
    pub(crate) next_number: u64,
    /// The numbers of `messages`, which the log's records name.
    pub(crate) numbers: BTreeSet<u64>,
}

impl Waiting {
    /// Returns the number of messages of each topic. Costs a scan.
    pub(crate) fn counts(&self) -> BTreeMap<u32, u64> {
        let mut counts = BTreeMap::new();
        for waiting in self.messages.values() {
            *counts.entry(waiting.topic).or_default() += 1;
        }
        counts
    }

    /// Accounts for a message in the log.
    pub(crate) fn seen(&mut self, number: u64) {
        self.numbers.insert(number);
        self.next_number = self.next_number.max(number + 1);
    }

    /// Applies a record of the log.
    pub(crate) fn left(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.numbers.remove(number);
        }
    }

    /// Moves the messages of segment `from` to segment `to`; returns the bytes that moved.
    pub(crate) fn copy(&mut self, from: u64, to: u64, log: &mut Vec<u8>) -> Vec<usize> {
        let mut moved_bytes = Vec::new();
        for ((deliver_ms, number), waiting) in
            self.messages.iter_mut().filter(|(_, waiting)| waiting.segment == from)
        {
            waiting.segment = to;
            moved_bytes.push(put(log, *deliver_ms, *number, waiting));
        }
        moved_bytes
    }
}

/// Appends a waiting message to the log; returns its bytes there.
fn put(log: &mut Vec<u8>, deliver_ms: u64, number: u64, waiting: &WaitingMessage) -> usize {
    let record = MessageRecord {
        topic: waiting.topic,
        queue: WAITING_QUEUE,
        offset: number,
        stored_ms: deliver_ms,
        raw: &waiting.raw,
    };
    put_message(log, &record);
    record.encoded_bytes()
}

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
#[path = "waiting_tests.rs"]
mod tests;
