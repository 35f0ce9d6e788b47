//! From the broker to the database: receive → batch → grant → commit → ack.
//!
//! Data flows one way. Receivers receive no more than the share will soon take; the batcher puts whole messages into
//! batches; writers wait for the rate gate's grant, commit what is granted in one transaction, and ack a message once all
//! of it is committed. While messages wait they are kept hidden by the client: pacing never gives a message back, since each delivery burns one of
//! the broker's attempts.

mod batch;
mod breaker;
mod order_log;
mod receive;
mod receive_budget;
mod stats;
mod write;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use shared::envelope::EnvelopeError;
use shared::order::AcceptedOrder;
use shared::rocketmq::{Message, StreamConsumer};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gated_writer::GatedWriter;
use crate::rate::RateGate;
use crate::store::{OrderStore, StoreError};
use receive_budget::ReceiveBudget;

pub(crate) use breaker::ProbeTurn;
pub use breaker::{BreakerState, CircuitBreaker};
pub use receive_budget::InFlightOrders;
pub use stats::{LatencyHistogram, OutcomeTotals, StatsDelta, WriterStats};

/// Bounds of the pipeline.
#[derive(Clone, Copy, Debug)]
pub struct PipelineConfig {
    /// Receives under way at once.
    pub receives_max: NonZeroUsize,
    /// Orders of one transaction; a message that alone has more goes alone.
    pub batch_orders_max: NonZeroU32,
    /// Longest that an order waits for a batch to fill.
    pub batch_linger: Duration,
    /// Transactions under way at once: the connections that write.
    pub writers: NonZeroUsize,
    /// How much is held: as many orders as the cap takes in this time.
    pub prefetch: Duration,
    /// How long a stop may take.
    pub grace: Duration,
}

/// Why the drain stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The store fails for a reason that no waiting mends: a missing schema, a refused account.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the pipeline panicked.
    #[error("a part of the pipeline ended unexpectedly, which is a bug: {0}")]
    Panicked(String),
}

/// A received message, read.
#[derive(Debug)]
struct DecodedMessage {
    message: Message,
    content: Result<Vec<AcceptedOrder>, EnvelopeError>,
}

impl DecodedMessage {
    /// Orders it counts as. A message that cannot be read counts as one: its dead letter is a row as well.
    fn orders(&self) -> usize {
        self.content.as_ref().map_or(1, Vec::len)
    }
}

/// The drain.
#[derive(Debug)]
pub struct Pipeline<S> {
    /// Where messages come from.
    pub consumer: StreamConsumer,
    /// Where orders go.
    pub store: Arc<S>,
    /// How fast.
    pub gate: RateGate,
    /// Bounds.
    pub config: PipelineConfig,
    /// Whether the database answers, for all to see.
    pub breaker: CircuitBreaker,
    /// What the writers did, for all to see.
    pub stats: WriterStats,
    /// Orders held: received and not settled.
    pub in_flight: InFlightOrders,
}

impl<S: OrderStore> Pipeline<S> {
    /// Drains until `shutdown` is cancelled, then finishes what it holds within half the grace period and gives the
    /// rest back.
    ///
    /// # Errors
    /// [`PipelineError`]: a detail of the store that no waiting mends, or a bug. What was held is delivered again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), PipelineError> {
        let budget = Arc::new(ReceiveBudget::new(self.gate.clone(), self.config, self.in_flight.clone()));
        // Room for what may be held as messages of one order each; the budget keeps it from filling.
        let (received, work) = mpsc::channel(1_024);
        let (batched, batches) = mpsc::channel(1);
        let batches = Arc::new(tokio::sync::Mutex::new(batches));
        // Cancelled when held work is no longer to be finished.
        let force_shutdown = CancellationToken::new();

        let mut receivers = JoinSet::new();
        for _ in 0..self.config.receives_max.get() {
            receivers.spawn(receive::receive_loop(
                self.consumer.clone(),
                budget.clone(),
                self.breaker.clone(),
                received.clone(),
                shutdown.clone(),
            ));
        }
        drop(received);
        let mut workers = JoinSet::new();
        workers.spawn(batch::batch(work, batched, self.config, force_shutdown.clone()));
        for _ in 0..self.config.writers.get() {
            let writer = write::Writer {
                store: self.store.clone(),
                budget: budget.clone(),
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
        // Whatever the reason to stop: nothing more is received.
        shutdown.cancel();
        let finish = async {
            while receivers.join_next().await.is_some() {}
            collect(&mut workers).await
        };
        match tokio::time::timeout(self.config.grace / 2, finish).await {
            Ok(finished) => result.and(finished),
            Err(_elapsed) => {
                tracing::warn!("the grace period is half over; what is held is given back");
                force_shutdown.cancel();
                let released = tokio::time::timeout(self.config.grace / 4, collect(&mut workers)).await;
                result.and(released.unwrap_or(Ok(())))
            }
        }
    }
}

/// Runs until somebody asks for a stop or a worker fails.
async fn supervise(
    workers: &mut JoinSet<Result<(), PipelineError>>,
    shutdown: &CancellationToken,
) -> Result<(), PipelineError> {
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = workers.join_next() => match ended {
            Some(Ok(result)) => result,
            // A panic in a worker is a bug; the process ends and what it held is delivered again.
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
