//! Topics, their queues, and the messages that some group still needs.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::error::Refusal;
use spillway_rocketmq::protocol::{Code, MessageType};

/// Prefix of a dead-letter topic's name, before the group's.
pub(crate) const DEAD_LETTER_PREFIX: &str = "%DLQ%";

const MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: Code = Code(40_014);

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// Type of the messages that the topic takes. A group receives those of type FIFO in order.
    pub(crate) message_type: MessageType,
    pub(crate) queues: Vec<Queue>,
    /// Queue of the next send.
    pub(crate) turn: usize,
    /// Messages stored since the broker was opened.
    pub(crate) sent: u64,
}

impl Topic {
    pub(crate) fn new(name: String, message_type: MessageType, queues: usize) -> Self {
        let mut topic = Self { name, message_type, queues: Vec::new(), turn: 0, sent: 0 };
        topic.extend_to(queues);
        topic
    }

    /// Adds queues up to `queues`; never removes any.
    pub(crate) fn extend_to(&mut self, queues: usize) {
        let queues = queues.max(self.queues.len());
        self.queues.resize_with(queues, Queue::default);
    }

    /// True for a dead-letter topic, which retains its messages: a group starts at its oldest one.
    pub(crate) fn is_dead_letters(&self) -> bool {
        self.name.starts_with(DEAD_LETTER_PREFIX)
    }

    /// True if a group receives the messages of each queue in order.
    pub(crate) fn is_ordered(&self) -> bool {
        self.message_type == MessageType::Fifo
    }

    /// Returns an error for messages of another type. Dead letters may be of any.
    pub(crate) fn check_type(&self, message_type: MessageType) -> Result<(), Refusal> {
        if self.message_type == message_type || self.is_dead_letters() {
            return Ok(());
        }
        let (expected, actual) = (self.message_type.name(), message_type.name());
        let reason = format!(
            "TopicMessageType validate failed, the expected type is {expected}, but actual type is {actual}"
        );
        Err(Refusal::new(MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, reason))
    }

    /// Returns the queue of a message group, by the group's hash.
    pub(crate) fn queue_of(&self, hash: u32) -> usize {
        hash as usize % self.queues.len().max(1)
    }

    /// Returns the queues, round robin.
    pub(crate) fn next_queue(&mut self) -> usize {
        let queue = self.turn % self.queues.len().max(1);
        self.turn = queue + 1;
        queue
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Offset of the next message.
    pub(crate) next_offset: u64,
    /// Messages that some group has not settled. Sparse: a slow message does not retain its successors.
    pub(crate) messages: BTreeMap<u64, Stored>,
}

#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The protobuf message as sent, in its own allocation.
    pub(crate) raw: Bytes,
    /// Milliseconds since 1970.
    pub(crate) stored_ms: u64,
    /// Segment of the message.
    pub(crate) segment: u64,
    /// Groups that have not settled the message.
    pub(crate) pending: u32,
}

impl Queue {
    /// Records that one group settled `offset`; returns the message if no other group needs it.
    pub(crate) fn release(&mut self, offset: u64) -> Option<Stored> {
        let stored = self.messages.get_mut(&offset)?;
        stored.pending = stored.pending.saturating_sub(1);
        if stored.pending == 0 { self.messages.remove(&offset) } else { None }
    }

    /// Returns the oldest offset, or the next one if the queue is empty.
    pub(crate) fn oldest(&self) -> u64 {
        self.messages.first_key_value().map_or(self.next_offset, |(offset, _)| *offset)
    }
}
