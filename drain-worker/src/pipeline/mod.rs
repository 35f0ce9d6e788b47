//! From the broker to the database: receive → batch → grant → commit → ack.
//!
//! Data flows one way. Receivers request no more than the share will soon commit. The batcher puts whole messages
//! into batches. Writers wait for a grant of the rate gate, commit the granted orders in one transaction, and ack a
//! message once all its orders are committed. While messages wait, the client extends their invisible duration:
//! pacing never nacks a message, because each delivery spends one of the broker's attempts. Orders whose stock another
//! transaction has locked wait apart (`stuck`), and the others of their batch and message are committed.

mod batch;
mod breaker;
mod broker_health;
mod cordon;
mod gated_writer;
mod order_log;
mod receive;
mod receive_budget;
mod receive_pacer;
mod stats;
mod stuck;
mod write;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use shared::order::AcceptedOrder;
use shared::rocketmq::{Message, StreamConsumer};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::message::MessageFault;
use crate::rate::RateGate;
use crate::store::{OrderStore, StoreError};
use receive_budget::ReceiveBudget;
use receive_pacer::ReceivePacer;
use stuck::StuckOrders;

pub use breaker::{BreakerState, CircuitBreaker};
pub use broker_health::BrokerHealth;
pub use cordon::Cordon;
pub use gated_writer::GatedWriter;
pub(crate) use gated_writer::{WriteEnd, rows};
pub use receive_budget::InFlightOrders;
pub use stats::{LatencyHistogram, OutcomeTotals, StatsDelta, WriterStats};

#[derive(Clone, Copy, Debug)]
pub struct PipelineConfig {
    pub receives_max: NonZeroUsize,
    /// Time between receives in which messages gather, while there is no backlog.
    pub receive_pause: Duration,
    /// Maximum orders of one transaction; a larger message is committed alone.
    pub batch_orders_max: NonZeroU32,
    /// Maximum time that an order waits for its batch to fill.
    pub batch_linger: Duration,
    /// Transactions in flight: the connections that write.
    pub writers: NonZeroUsize,
    /// Orders to prefetch, as the time in which the share commits them.
    pub prefetch: Duration,
    pub grace: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A failure of the store that waiting does not resolve, such as a missing schema or a rejected account.
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a task of the pipeline panicked, which is a bug: {0}")]
    Panicked(String),
}

#[derive(Debug)]
struct DecodedMessage {
    message: Message,
    content: Result<Vec<AcceptedOrder>, MessageFault>,
}

impl DecodedMessage {
    /// Rows of this message. An unreadable message counts as one: its dead letter is a row too.
    fn orders(&self) -> usize {
        self.content.as_ref().map_or(1, Vec::len)
    }
}

#[derive(Debug)]
pub struct Pipeline<S> {
    pub consumer: StreamConsumer,
    pub store: Arc<S>,
    pub gate: RateGate,
    pub config: PipelineConfig,
    pub breaker: CircuitBreaker,
    pub broker: BrokerHealth,
    pub cordon: Cordon,
    pub stats: WriterStats,
    pub in_flight: InFlightOrders,
}

impl<S: OrderStore> Pipeline<S> {
    /// Runs until `shutdown` is cancelled. Then it commits what it has received within half the grace period, and
    /// nacks the rest.
    ///
    /// # Errors
    /// [`PipelineError`]: a failure of the store that waiting does not resolve, or a panic. Unacked messages are
    /// redelivered.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), PipelineError> {
        self.stats.set_writers(self.config.writers.get());
        let budget = Arc::new(ReceiveBudget::new(
            self.gate.clone(),
            self.config,
            self.in_flight.clone(),
            self.cordon.clone(),
        ));
        // More than the budget allows to be received, also as messages of one order each.
        let (received, work) = mpsc::channel(1_024);
        let (batched, batches) = mpsc::channel(1);
        let batches = Arc::new(tokio::sync::Mutex::new(batches));
        // Cancelled when received messages are no longer to be committed.
        let force_shutdown = CancellationToken::new();

        let stuck = Arc::new(StuckOrders::default());
        let mut receivers = JoinSet::new();
        receivers.spawn(stuck::retry_loop(
            stuck.clone(),
            self.store.clone(),
            self.breaker.clone(),
            received.clone(),
            shutdown.clone(),
        ));
        // A broker without a receive in flight would keep its messages until another one's long poll ends.
        let receives_max = self.config.receives_max.get().max(self.consumer.brokers());
        let pacer = Arc::new(ReceivePacer::new(receives_max, self.config.receive_pause));
        for _ in 0..receives_max {
            receivers.spawn(receive::receive_loop(
                self.consumer.clone(),
                budget.clone(),
                pacer.clone(),
                self.breaker.clone(),
                self.broker.clone(),
                received.clone(),
                shutdown.clone(),
            ));
        }
        receivers.spawn(self.broker.clone().check_loop(self.consumer.clone(), shutdown.clone()));
        drop(received);
        let mut workers = JoinSet::new();
        workers.spawn(batch::batch(work, batched, self.config, force_shutdown.clone()));
        for _ in 0..self.config.writers.get() {
            let writer = write::Writer {
                store: self.store.clone(),
                budget: budget.clone(),
                stuck: stuck.clone(),
                writer: GatedWriter::for_pipeline(
                    self.gate.clone(),
                    self.stats.clone(),
                    self.breaker.clone(),
                    force_shutdown.clone(),
                ),
            };
            workers.spawn(writer.run(batches.clone()));
        }
        let result = supervise(&mut workers, &shutdown).await;
        // For every reason to stop: nothing more is received.
        shutdown.cancel();
        let finish = async {
            while receivers.join_next().await.is_some() {}
            collect(&mut workers).await
        };
        match tokio::time::timeout(self.config.grace / 2, finish).await {
            Ok(finished) => result.and(finished),
            Err(_elapsed) => {
                tracing::warn!(
                    event = "force_shutdown",
                    "the stop takes too long; nacking uncommitted messages, which the broker redelivers"
                );
                force_shutdown.cancel();
                let released = tokio::time::timeout(self.config.grace / 4, collect(&mut workers)).await;
                result.and(released.unwrap_or(Ok(())))
            }
        }
    }
}

/// Runs until `shutdown` is cancelled or a task fails.
async fn supervise(
    workers: &mut JoinSet<Result<(), PipelineError>>,
    shutdown: &CancellationToken,
) -> Result<(), PipelineError> {
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = workers.join_next() => match ended {
            Some(Ok(result)) => result,
            // A panic is a bug; the process ends and its messages are redelivered.
            Some(Err(error)) => Err(PipelineError::Panicked(error.to_string())),
            None => Ok(()),
        },
    }
}

async fn collect(workers: &mut JoinSet<Result<(), PipelineError>>) -> Result<(), PipelineError> {
    let mut result = Ok(());
    while let Some(ended) = workers.join_next().await {
        let ended = ended.unwrap_or_else(|error| Err(PipelineError::Panicked(error.to_string())));
        result = result.and(ended);
    }
    result
}
