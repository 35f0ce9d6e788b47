//! Messages that wait for their delivery time before they enter a queue.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::record::{MessageRecord, WAITING_QUEUE, put_message};

#[derive(Debug)]
pub(super) struct WaitingMessage {
    pub(super) topic: u32,
    pub(super) raw: Bytes,
    pub(super) segment: u64,
}

/// The waiting messages of all topics.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// By delivery time, milliseconds since 1970, and number.
    pub(super) messages: BTreeMap<(u64, u64), WaitingMessage>,
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
pub(super) fn put(log: &mut Vec<u8>, deliver_ms: u64, number: u64, waiting: &WaitingMessage) -> usize {
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
