//! What the store is asked to do, and how it answers.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::receipt::Receipt;
use crate::error::Refusal;
use crate::stats::BrokerStats;

/// Where an answer goes. It is sent once everything the answer rests on is written.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

/// One request to the store.
#[derive(Debug)]
pub(crate) enum Op {
    Send { topic: String, messages: Vec<Bytes>, answer: Answer<u64> },
    Receive(Waiter),
    Ack { topic: String, group: String, receipts: Vec<Option<Receipt>>, answer: Answer<Vec<Acked>> },
    Change { topic: String, group: String, receipt: Receipt, invisible: Duration, answer: Answer<Receipt> },
    Queues { topic: String, answer: Answer<usize> },
    GroupExists { group: String, answer: Answer<()> },
    CreateTopic { topic: String, queues: usize, answer: Answer<()> },
    CreateGroup { group: String, answer: Answer<()> },
    Redeliver { answer: Answer<usize> },
    Stats { answer: Answer<BrokerStats> },
}

/// A receive; one that finds nothing is kept until there is something or nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) topic: String,
    pub(crate) group: String,
    /// Most messages to hand out.
    pub(crate) max: usize,
    pub(crate) invisible: Duration,
    pub(crate) answer: Answer<Vec<DeliveredMessage>>,
}

/// A message handed out.
#[derive(Clone, Debug)]
pub(crate) struct DeliveredMessage {
    /// The protobuf message as it was sent.
    pub(crate) raw: Bytes,
    pub(crate) receipt: Receipt,
    pub(crate) attempt: u16,
    pub(crate) stored_at: SystemTime,
    pub(crate) invisible: Duration,
}

/// The outcome for one receipt of an ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acked {
    Settled,
    /// The receipt is malformed, lapsed, or was replaced.
    Invalid,
}

/// An answer that waits for its batch to be written.
#[derive(Debug)]
pub(crate) enum Reply {
    Sent(Answer<u64>, Result<u64, Refusal>),
    Received(Answer<Vec<DeliveredMessage>>, Result<Vec<DeliveredMessage>, Refusal>),
    Acked(Answer<Vec<Acked>>, Result<Vec<Acked>, Refusal>),
    Changed(Answer<Receipt>, Result<Receipt, Refusal>),
    Count(Answer<usize>, Result<usize, Refusal>),
    Done(Answer<()>, Result<(), Refusal>),
    Stats(Answer<BrokerStats>, BrokerStats),
}

impl Reply {
    /// Sends the answer. Gives back messages that nobody takes any more.
    pub(crate) fn send(self) -> Vec<DeliveredMessage> {
        // Whoever gave up waiting needs no answer, but messages must not vanish with it.
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
            Self::Done(answer, result) => drop(answer.send(result)),
            Self::Stats(answer, stats) => drop(answer.send(Ok(stats))),
        }
        Vec::new()
    }
}

/// What one round of requests adds to the log, and the answers that wait for it.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) replies: Vec<Reply>,
}
