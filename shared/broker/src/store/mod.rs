//! The broker's state, in memory and on disk.
//!
//! [`worker`] runs rounds over [`state`]; [`log`] writes them; [`recovery`] reads them. [`Store`] is the services'
//! handle.

mod checkpoint;
mod clock;
mod delay;
mod delivery;
mod filter;
mod inspect;
mod log;
mod ops;
mod receipt;
mod record;
mod recovery;
mod segments;
mod state;
mod subscription;
#[cfg(test)]
mod throughput;
mod topic;
mod waiting;
mod worker;

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

pub(crate) use self::filter::TagFilter;
pub(crate) use self::ops::{Acked, DeliveredMessage, NewMessages, Placement, TopicInfo};
use self::ops::{Answer, Op, Waiter};
pub(crate) use self::receipt::{NotAReceipt, Receipt};
pub(crate) use self::state::Limits;
pub(crate) use self::topic::DEAD_LETTER_PREFIX;
pub(crate) use self::worker::StopSignals;
use self::worker::Worker;
use super::config::{BrokerConfig, TopicConfig};
use super::error::{BrokerError, Refusal};
use super::stats::BrokerStats;
use spillway_rocketmq::protocol::Code;

/// Maximum requests that wait for the next round.
const OPS_MAX: usize = 4096;
/// Maximum wait for a response: after it the disk is considered stuck.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// Handle of the store. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    ops: mpsc::Sender<Op>,
}

/// Opens the directory, reads the log, and starts the worker.
pub(crate) async fn open(
    config: &BrokerConfig,
    stop_signals: StopSignals,
) -> Result<(Store, JoinHandle<()>), BrokerError> {
    let directory = log::Directory::lock(&config.dir).await?;
    let limits = Limits { bytes_max: config.bytes_max, attempts_max: config.attempts_max };
    let recovered = tokio::task::spawn_blocking(move || {
        recovery::recover(&directory, limits).map(|state| (directory, state))
    });
    let (directory, mut state) = recovered.await.map_err(|_| Refusal::stopped())??;
    state.raise_leases();
    let (sender, ops) = mpsc::channel(OPS_MAX);
    let worker = Worker {
        state,
        log: Some(log::Log::new(directory, config.flush)),
        ops,
        stop_signals,
        segment_bytes: config.segment_bytes(),
        buffer: Vec::new(),
    };
    Ok((Store { ops: sender }, tokio::spawn(worker.run())))
}

impl Store {
    pub(crate) fn is_stopped(&self) -> bool {
        self.ops.is_closed()
    }

    /// Stores the messages of one call, all or none: on one queue, or until their delivery times. Returns the offset of the
    /// first, or its number among the waiting ones.
    ///
    /// Does not wait for room: a store with thousands of waiting requests throttles.
    pub(crate) async fn send(&self, messages: NewMessages) -> Result<u64, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.ops.try_send(Op::Send { messages, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Refusal::new(Code::TOO_MANY_REQUESTS, "too many requests wait for the store")
            }
            mpsc::error::TrySendError::Closed(_) => Refusal::stopped(),
        })?;
        wait(answered).await
    }

    /// Receives up to `max` messages; waits until `deadline` for the first. An empty list: there were none.
    pub(crate) async fn receive(
        &self,
        topic: String,
        group: String,
        filter: TagFilter,
        max: usize,
        invisible: Duration,
        deadline: Instant,
    ) -> Result<Vec<DeliveredMessage>, Refusal> {
        let (answer, mut answered) = oneshot::channel();
        self.push(Op::Receive(Waiter { topic, group, filter, max, invisible, answer })).await?;
        match tokio::time::timeout_at(deadline, &mut answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_gone)) => Err(Refusal::stopped()),
            Err(_elapsed) => {
                // From here on the store keeps the messages; a response on its way is still used.
                answered.close();
                answered.try_recv().unwrap_or(Ok(Vec::new()))
            }
        }
    }

    pub(crate) async fn ack(
        &self,
        topic: String,
        group: String,
        receipts: Vec<Option<Receipt>>,
    ) -> Result<Vec<Acked>, Refusal> {
        self.ask(|answer| Op::Ack { topic, group, receipts, answer }).await
    }

    pub(crate) async fn change(
        &self,
        topic: String,
        group: String,
        receipt: Receipt,
        invisible: Duration,
    ) -> Result<Receipt, Refusal> {
        self.ask(|answer| Op::Change { topic, group, receipt, invisible, answer }).await
    }

    pub(crate) async fn topic(&self, topic: String) -> Result<TopicInfo, Refusal> {
        self.ask(|answer| Op::Topic { topic, answer }).await
    }

    /// Returns true if one of the topics is of type FIFO.
    pub(crate) async fn is_any_fifo(&self, topics: Vec<String>) -> Result<bool, Refusal> {
        self.ask(|answer| Op::AnyFifo { topics, answer }).await
    }

    pub(crate) async fn group_exists(&self, group: String) -> Result<(), Refusal> {
        self.ask(|answer| Op::GroupExists { group, answer }).await
    }

    pub(crate) async fn create_topic(&self, topic: TopicConfig) -> Result<(), Refusal> {
        self.ask(|answer| Op::CreateTopic { topic, answer }).await
    }

    pub(crate) async fn create_group(&self, group: String) -> Result<(), Refusal> {
        self.ask(|answer| Op::CreateGroup { group, answer }).await
    }

    /// Makes every hidden message visible; returns their number.
    pub(crate) async fn redeliver(&self) -> Result<usize, Refusal> {
        self.ask(|answer| Op::Redeliver { answer }).await
    }

    pub(crate) async fn stats(&self) -> Result<BrokerStats, Refusal> {
        self.ask(|answer| Op::Stats { answer }).await
    }

    async fn ask<T>(&self, op: impl FnOnce(Answer<T>) -> Op) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.push(op(answer)).await?;
        wait(answered).await
    }

    async fn push(&self, op: Op) -> Result<(), Refusal> {
        match timeout(ANSWER_WAIT, self.ops.send(op)).await {
            Ok(sent) => sent.map_err(|_| Refusal::stopped()),
            Err(_elapsed) => Err(stuck()),
        }
    }
}

async fn wait<T>(answered: oneshot::Receiver<Result<T, Refusal>>) -> Result<T, Refusal> {
    match timeout(ANSWER_WAIT, answered).await {
        Ok(Ok(result)) => result,
        Ok(Err(_gone)) => Err(Refusal::stopped()),
        Err(_elapsed) => Err(stuck()),
    }
}

fn stuck() -> Refusal {
    Refusal::new(Code::PROXY_TIMEOUT, "the store does not answer")
}
