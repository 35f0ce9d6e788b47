//! Topics, their queues, and the messages that some group still needs.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Begins the name of a dead-letter topic; the group's name follows.
pub(crate) const DEAD_LETTER_PREFIX: &str = "%DLQ%";

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) queues: Vec<Queue>,
    /// The queue of the next send.
    pub(crate) turn: usize,
    /// Messages taken since the broker was opened.
    pub(crate) sent: u64,
}

impl Topic {
    pub(crate) fn new(name: String, queues: usize) -> Self {
        let mut topic = Self { name, queues: Vec::new(), turn: 0, sent: 0 };
        topic.extend_to(queues);
        topic
    }

    /// Adds queues until there are `queues`; never takes any away.
    pub(crate) fn extend_to(&mut self, queues: usize) {
        let queues = queues.max(self.queues.len());
        self.queues.resize_with(queues, Queue::default);
    }

    /// Dead letters wait for whoever comes: a group that starts on such a topic starts at its oldest message.
    pub(crate) fn is_dead_letters(&self) -> bool {
        self.name.starts_with(DEAD_LETTER_PREFIX)
    }

    /// The queues in turn.
    pub(crate) fn next_queue(&mut self) -> usize {
        let queue = self.turn % self.queues.len().max(1);
        self.turn = queue + 1;
        queue
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The offset of the next message.
    pub(crate) next_offset: u64,
    /// Those that some group has not settled. Sparse: one that takes long does not keep its successors.
    pub(crate) messages: BTreeMap<u64, Stored>,
}

#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The protobuf message as it was sent, in an allocation of its own.
    pub(crate) raw: Bytes,
    /// Milliseconds since 1970.
    pub(crate) stored_ms: u64,
    /// The segment it stands in.
    pub(crate) segment: u64,
    /// Groups that have not settled it.
    pub(crate) pending: u32,
}

impl Queue {
    /// One group settled `offset`. The message, if nobody else needs it.
    pub(crate) fn release(&mut self, offset: u64) -> Option<Stored> {
        let stored = self.messages.get_mut(&offset)?;
        stored.pending = stored.pending.saturating_sub(1);
        if stored.pending == 0 { self.messages.remove(&offset) } else { None }
    }

    /// The oldest message, or else where the next will stand.
    pub(crate) fn oldest(&self) -> u64 {
        self.messages.first_key_value().map_or(self.next_offset, |(offset, _)| *offset)
    }
}
