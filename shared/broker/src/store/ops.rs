//! Requests to the store and their responses.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::filter::TagFilter;
use super::receipt::Receipt;
use crate::config::TopicConfig;
use crate::error::Refusal;
use crate::stats::BrokerStats;
use spillway_rocketmq::protocol::MessageType;

/// Receiver of a response, sent when everything it depends on is written.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

/// A request to the store.
#[derive(Debug)]
pub(crate) enum Op {
    Send {
        messages: NewMessages,
        answer: Answer<u64>,
    },
    Receive(Waiter),
    Ack {
        topic: String,
        group: String,
        receipts: Vec<Option<Receipt>>,
        answer: Answer<Vec<Acked>>,
    },
    Change {
        topic: String,
        group: String,
        receipt: Receipt,
        invisible: Duration,
        answer: Answer<Receipt>,
    },
    Topic {
        topic: String,
        answer: Answer<TopicInfo>,
    },
    /// Answers true if one of the topics is of type FIFO.
    AnyFifo {
        topics: Vec<String>,
        answer: Answer<bool>,
    },
    GroupExists {
        group: String,
        answer: Answer<()>,
    },
    CreateTopic {
        topic: TopicConfig,
        answer: Answer<()>,
    },
    CreateGroup {
        group: String,
        answer: Answer<()>,
    },
    Redeliver {
        answer: Answer<usize>,
    },
    Stats {
        answer: Answer<BrokerStats>,
    },
}

/// The messages of one call, all of one type.
#[derive(Debug)]
pub(crate) struct NewMessages {
    pub(crate) topic: String,
    /// Protobuf as sent.
    pub(crate) messages: Vec<Bytes>,
    pub(crate) placement: Placement,
}

/// The place of new messages, by their type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Any queue, now: type NORMAL.
    Anywhere,
    /// The queue of a message group, by the group's hash: type FIFO.
    Group(u32),
    /// Any queue at these times, one per message, milliseconds since 1970: type DELAY.
    At(Vec<u64>),
}

impl Placement {
    pub(crate) const fn message_type(&self) -> MessageType {
        match self {
            Self::Anywhere => MessageType::Normal,
            Self::Group(_) => MessageType::Fifo,
            Self::At(_) => MessageType::Delay,
        }
    }
}

/// The part of a topic that its route contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicInfo {
    pub(crate) queues: usize,
    pub(crate) message_type: MessageType,
}

/// A receive. Without messages it waits until there are some, or its caller is gone.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) topic: String,
    pub(crate) group: String,
    pub(crate) filter: TagFilter,
    /// Maximum messages to deliver.
    pub(crate) max: usize,
    pub(crate) invisible: Duration,
    pub(crate) answer: Answer<Vec<DeliveredMessage>>,
}

/// A delivered message.
#[derive(Clone, Debug)]
pub(crate) struct DeliveredMessage {
    /// The protobuf message as sent.
    pub(crate) raw: Bytes,
    pub(crate) receipt: Receipt,
    pub(crate) attempt: u16,
    pub(crate) stored_at: SystemTime,
    pub(crate) invisible: Duration,
}

/// Result of one receipt of an ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acked {
    Settled,
    /// The receipt is malformed, expired or replaced.
    Invalid,
}

/// A response that waits for its batch to be written.
#[derive(Debug)]
pub(crate) enum Reply {
    Sent(Answer<u64>, Result<u64, Refusal>),
    Received(Answer<Vec<DeliveredMessage>>, Result<Vec<DeliveredMessage>, Refusal>),
    Acked(Answer<Vec<Acked>>, Result<Vec<Acked>, Refusal>),
    Changed(Answer<Receipt>, Result<Receipt, Refusal>),
    Count(Answer<usize>, Result<usize, Refusal>),
    Topic(Answer<TopicInfo>, Result<TopicInfo, Refusal>),
    AnyFifo(Answer<bool>, bool),
    Done(Answer<()>, Result<(), Refusal>),
    Stats(Answer<BrokerStats>, BrokerStats),
}

impl Reply {
    /// Sends the response. Returns messages whose receiver is gone.
    pub(crate) fn send(self) -> Vec<DeliveredMessage> {
        // A caller that timed out needs no response, but its messages must not be lost.
        match self {
            Self::Received(answer, result) => {
                if let Err(Ok(untaken)) = answer.send(result) {
                    return untaken;
                }
            }
            Self::Sent(answer, result) => drop(answer.send(result)),
            Self::Acked(answer, result) => drop(answer.send(result)),
            Self::Changed(answer, result) => drop(answer.send(result)),
            Self::Count(answer, result) => drop(answer.send(result)),
            Self::Topic(answer, result) => drop(answer.send(result)),
            Self::AnyFifo(answer, is_any) => drop(answer.send(Ok(is_any))),
            Self::Done(answer, result) => drop(answer.send(result)),
            Self::Stats(answer, stats) => drop(answer.send(Ok(stats))),
        }
        Vec::new()
    }
}

/// The log records of one round, and the responses that wait for them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) replies: Vec<Reply>,
}
