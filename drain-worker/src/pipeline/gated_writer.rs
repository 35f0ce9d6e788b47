//! The only way to write orders and dead letters: under a grant of the rate gate, fenced by the worker's lease,
//! retried until the database answers.
//!
//! A grant that is dropped while its transaction is in flight retains its credits until the lease ends. So a write
//! ends only when the database has answered, or when it is cancelled between two attempts.

use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use shared::retry::Backoff;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::breaker::{CircuitBreaker, ProbeTurn};
use super::stats::WriterStats;
use crate::rate::{Grant, RateGate};
use crate::store::{Fence, StoreError};

const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Writes under grants of `gate`. Clones share everything.
#[derive(Clone, Debug)]
pub struct GatedWriter {
    pub(crate) gate: RateGate,
    pub(crate) stats: WriterStats,
    pub(crate) breaker: CircuitBreaker,
    /// True for the pipeline's writers: they open and close the breaker, and take turns at probing an open one.
    drives_breaker: bool,
    cancel: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteEnd<T> {
    /// The database has committed. The caller completes the grant.
    Committed(T),
    /// The lease of the grant is gone and nothing was written: acquire another grant.
    LeaseLost,
    /// Cancelled between two attempts; earlier attempts may have committed.
    Cancelled,
}

impl GatedWriter {
    /// A writer for operators' calls: it reads the breaker but does not drive it, and retries until the database answers.
    #[must_use]
    pub fn new(gate: RateGate, stats: WriterStats, breaker: CircuitBreaker) -> Self {
        Self { gate, stats, breaker, drives_breaker: false, cancel: CancellationToken::new() }
    }

    /// A writer of the pipeline: it drives the breaker. `cancel` ends retries; the grant then keeps its credits.
    pub(crate) const fn for_pipeline(
        gate: RateGate,
        stats: WriterStats,
        breaker: CircuitBreaker,
        cancel: CancellationToken,
    ) -> Self {
        Self { gate, stats, breaker, drives_breaker: true, cancel }
    }

    /// Waits for a grant to write some of `rows`, at least one: [`Grant::orders`] says how many. `None`: cancelled.
    /// Cancel safe: a dropped future acquires nothing.
    pub async fn acquire(&self, rows: usize) -> Option<Grant> {
        let rows = u32::try_from(rows).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        self.cancel.run_until_cancelled(self.gate.acquire(rows)).await
    }

    /// Runs `attempt` under `grant` until the database answers, with growing pauses between attempts.
    ///
    /// Not cancel safe: a dropped future leaves open whether its last attempt commits. The grant, dropped incomplete, then
    /// keeps its credits until the lease ends.
    ///
    /// # Errors
    /// [`StoreError`] that waiting does not resolve.
    pub async fn write<T, F>(
        &self,
        grant: &Grant,
        attempt: impl Fn(Fence) -> F,
    ) -> Result<WriteEnd<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut failures = 0_u32;
        // Held while this writer is the one that probes an open breaker.
        let mut probe = None;
        loop {
            let began = Instant::now();
            match attempt(grant.fence()).await {
                Ok(done) => {
                    self.stats.record_commit(began.elapsed());
                    self.record_answer();
                    return Ok(WriteEnd::Committed(done));
                }
                Err(StoreError::Fenced(detail)) => {
                    tracing::warn!(event = "lease_lost", fault = %detail, "this worker's lease is gone; writing again under the next one");
                    // A lost lease is still an answer: the database is up.
                    self.record_answer();
                    self.gate.revoke(grant.fence());
                    return Ok(WriteEnd::LeaseLost);
                }
                Err(error) if error.is_transient() => {
                    failures += 1;
                    self.stats.record_failure();
                    if self.drives_breaker {
                        self.breaker.record_failure(&error.to_string());
                    }
                    let pause = self.pause(failures, &mut probe);
                    if self.cancel.run_until_cancelled(pause).await.is_none() {
                        return Ok(WriteEnd::Cancelled);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn record_answer(&self) {
        if self.drives_breaker {
            self.breaker.record_success();
        }
    }

    /// The pause before the next attempt: the backoff, or the breaker's closing if another writer probes.
    async fn pause<'a>(&'a self, failures: u32, probe: &mut Option<ProbeTurn<'a>>) {
        if self.drives_breaker {
            if probe.is_none() {
                *probe = self.breaker.until_closed_or_probe().await;
            }
            if probe.is_none() {
                return;
            }
        }
        sleep(RETRY.delay(failures)).await;
    }
}

/// The number of rows that `grant` allows.
#[must_use]
pub(crate) fn rows(grant: &Grant) -> usize {
    usize::try_from(grant.orders().get()).unwrap_or(usize::MAX)
}
