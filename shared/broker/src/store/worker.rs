//! The task that owns the state: takes requests in rounds, writes what a round changed, then answers.
//!
//! While one round is being written the next gathers in the channel, so that under load one write serves many
//! requests, and at rest one request waits for nothing but its own write.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::log::{Log, LogWrite};
use super::ops::{Batch, Op};
use super::record::{MAGIC, put_change};
use super::state::State;
use crate::error::{BrokerError, Refusal};

/// Most requests of one round.
const ROUND_OPS_MAX: usize = 1024;
/// A buffer that grew beyond this is given back.
const BUFFER_BYTES_KEPT: usize = 8 << 20;
/// With nobody waiting, the next look at the clock; any request comes first.
const IDLE: Duration = Duration::from_secs(3600);

/// How the worker is told to end.
#[derive(Clone, Debug)]
pub(crate) struct StopSignals {
    /// Answer what is in the channel, flush, and end.
    pub(crate) drain: CancellationToken,
    /// End now.
    pub(crate) kill: CancellationToken,
}

pub(crate) struct Worker {
    pub(crate) state: State,
    /// `None` while a write is under way, and for good after one failed.
    pub(crate) log: Option<Log>,
    pub(crate) ops: mpsc::Receiver<Op>,
    pub(crate) stop_signals: StopSignals,
    /// A segment that is longer is sealed.
    pub(crate) segment_bytes: u64,
    /// Reused from round to round.
    pub(crate) buffer: Vec<u8>,
}

impl Worker {
    /// Runs until it is told to end, every handle is gone, or the disk fails.
    ///
    /// Requests that are left over are dropped, which their askers take for [`Refusal::stopped`].
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            // Nothing is known of what stands at the end of the log: only a restart can tell.
            tracing::error!(%error, "the store has stopped");
        }
    }

    async fn serve(&mut self) -> Result<(), BrokerError> {
        // Begins a segment, so that no write ever follows a mended end.
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

    /// Lets callers that are about to ask do so: the first one woke this task before the others had their turn, and
    /// a round for one request costs nearly what a round for fifty does.
    async fn gather(&mut self, ops: &mut Vec<Op>) {
        tokio::task::yield_now().await;
        while ops.len() < ROUND_OPS_MAX
            && let Ok(op) = self.ops.try_recv()
        {
            ops.push(op);
        }
    }

    /// One round: apply, write, answer.
    async fn round(&mut self, ops: &mut Vec<Op>, first: bool) -> Result<(), BrokerError> {
        let now = Instant::now();
        let mut batch =
            Batch { bytes: std::mem::take(&mut self.buffer), replies: Vec::with_capacity(ops.len()) };
        let begin = (first || self.state.segments.newest_filled() >= self.segment_bytes)
            .then(|| self.begin_segment(&mut batch));
        self.state.compact(&mut batch.bytes);
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

    /// The newest segment begins with everything that older ones would be needed for, but for messages.
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
        // The directory's lock goes along: whatever becomes of this task, nobody opens it during the write.
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
