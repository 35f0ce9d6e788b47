//! The task that owns the state: executes requests in rounds, writes a round's changes, then responds.
//!
//! While one round is written, the next gathers in the channel: under load one write serves many requests; without
//! load a request waits for its own write only.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::log::{Log, LogWrite};
use super::ops::{Batch, Op};
use super::record::{MAGIC, put_change};
use super::state::State;
use crate::error::{BrokerError, Refusal};

/// Maximum requests of one round.
const ROUND_OPS_MAX: usize = 1024;
/// Maximum capacity of a buffer that is reused.
const BUFFER_BYTES_KEPT: usize = 8 << 20;
/// Interval of clock checks while no receive waits; a request comes first.
const IDLE: Duration = Duration::from_secs(3600);

/// Tokens that stop the worker.
#[derive(Clone, Debug)]
pub(crate) struct StopSignals {
    /// Executes the queued requests, flushes, and stops.
    pub(crate) drain: CancellationToken,
    /// Stops immediately.
    pub(crate) kill: CancellationToken,
}

pub(crate) struct Worker {
    pub(crate) state: State,
    /// `None` during a write, and for ever after a failed one.
    pub(crate) log: Option<Log>,
    pub(crate) ops: mpsc::Receiver<Op>,
    pub(crate) stop_signals: StopSignals,
    /// Maximum bytes of a segment before it is sealed.
    pub(crate) segment_bytes: u64,
    /// Reused in each round.
    pub(crate) buffer: Vec<u8>,
}

impl Worker {
    /// Runs until it is stopped, every handle is dropped, or the disk fails.
    ///
    /// Queued requests are dropped, which their callers see as [`Refusal::stopped`].
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            // The end of the log is unknown now: only a restart can read it.
            tracing::error!(%error, "the store stopped: the disk failed");
        }
    }

    async fn serve(&mut self) -> Result<(), BrokerError> {
        // Begins a segment, so that no write follows a truncated end.
        self.round(&mut Vec::new(), true).await?;
        let mut ops = Vec::with_capacity(ROUND_OPS_MAX);
        loop {
            let now = Instant::now();
            let wake = self.state.next_wake(now).unwrap_or(now + IDLE);
            let draining = self.ops.is_closed();
            let count = tokio::select! {
                biased;
                () = self.stop_signals.kill.cancelled() => return Ok(()),
                () = self.stop_signals.drain.cancelled(), if !draining => {
                    self.ops.close();
                    continue;
                }
                count = self.ops.recv_many(&mut ops, ROUND_OPS_MAX) => count,
                () = sleep_until(wake), if !draining => usize::MAX,
            };
            if count == 0 {
                return self.write(LogWrite { sync: true, ..LogWrite::default() }).await;
            }
            self.gather(&mut ops).await;
            self.round(&mut ops, false).await?;
        }
    }

    /// Yields to callers that are about to send a request: the first one woke this task before the others ran, and a
    /// round of one request costs nearly as much as a round of fifty.
    async fn gather(&mut self, ops: &mut Vec<Op>) {
        tokio::task::yield_now().await;
        while ops.len() < ROUND_OPS_MAX
            && let Ok(op) = self.ops.try_recv()
        {
            ops.push(op);
        }
    }

    /// One round: execute, write, respond.
    async fn round(&mut self, ops: &mut Vec<Op>, first: bool) -> Result<(), BrokerError> {
        let now = Instant::now();
        let mut batch =
            Batch { bytes: std::mem::take(&mut self.buffer), replies: Vec::with_capacity(ops.len()) };
        let begin = (first || self.state.segments.newest_filled() >= self.segment_bytes)
            .then(|| self.begin_segment(&mut batch));
        self.state.compact(&mut batch.bytes);
        self.state.release_due(now, &mut batch);
        for op in ops.drain(..) {
            self.state.apply(op, now, &mut batch);
        }
        self.state.serve_waiters(now, &mut batch);
        self.state.segments.grew(batch.bytes.len() as u64);
        let Batch { bytes, replies } = batch;
        let delete = self.state.segments.take_free();
        self.write(LogWrite { begin, bytes, delete, sync: false }).await?;
        for reply in replies {
            let untaken = reply.send();
            self.state.undeliver(&untaken);
        }
        Ok(())
    }

    /// The newest segment begins with everything needed from older ones except messages.
    fn begin_segment(&mut self, batch: &mut Batch) -> u64 {
        batch.bytes.extend_from_slice(MAGIC);
        put_change(&mut batch.bytes, self.state.checkpoint());
        let id = self.state.segments.newest() + 1;
        self.state.segments.begin(id, batch.bytes.len() as u64);
        id
    }

    async fn write(&mut self, job: LogWrite) -> Result<(), BrokerError> {
        if job.begin.is_none() && job.bytes.is_empty() && job.delete.is_empty() && !job.sync {
            self.keep(job.bytes);
            return Ok(());
        }
        let Some(mut log) = self.log.take() else { return Err(stopped()) };
        // The directory's lock moves along, so that no other broker opens it during the write.
        let written = tokio::task::spawn_blocking(move || {
            let result = log.write(&job);
            (log, job.bytes, result)
        });
        let (log, bytes, result) = written.await.map_err(|_| stopped())?;
        result?;
        self.log = Some(log);
        self.keep(bytes);
        Ok(())
    }

    fn keep(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= BUFFER_BYTES_KEPT {
            buffer.clear();
            self.buffer = buffer;
        }
    }
}

/// The runtime is shutting down.
fn stopped() -> BrokerError {
    Refusal::stopped().into()
}
