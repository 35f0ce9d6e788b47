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
use crate::store::{Fence, StoreError, measure_lock_wait};

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

    /// Runs `attempt` under `grant` until the database answers, with growing pauses between attempts. Only a database
    /// that does not answer opens the breaker: a lock is an answer about these rows, and an error to the caller.
    ///
    /// Not cancel safe: a dropped future leaves open whether its last attempt commits. The grant, dropped incomplete, then
    /// keeps its credits until the lease ends.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if the rows are locked: nothing was written, and the caller releases the grant. Otherwise a
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
        loop {
            // Given back after each attempt: the next writer may have a batch that can be committed.
            let _probe = match self.turn(failures).await {
                Some(turn) => turn,
                None => return Ok(WriteEnd::Cancelled),
            };
            let began = Instant::now();
            let (answer, lock_wait) = measure_lock_wait(attempt(grant.fence())).await;
            match answer {
                Ok(done) => {
                    self.stats.record_commit(began.elapsed(), lock_wait);
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
                Err(error @ StoreError::Transient(_)) => {
                    failures += 1;
                    self.stats.record_failure();
                    if self.drives_breaker {
                        self.breaker.record_failure(&error.to_string());
                    }
                }
                Err(error) => {
                    // The database has answered, so it is up.
                    self.record_answer();
                    return Err(error);
                }
            }
        }
    }

    fn record_answer(&self) {
        if self.drives_breaker {
            self.breaker.record_success();
        }
    }

    /// Waits until the next attempt may begin: after failures for the backoff, or until the breaker closes because another
    /// writer's attempt succeeded. Returns the turn at probing an open breaker; `None`: cancelled.
    async fn turn(&self, failures: u32) -> Option<Option<ProbeTurn<'_>>> {
        if failures == 0 {
            return Some(None);
        }
        let waiting = async {
            let probe = if self.drives_breaker { self.breaker.until_closed_or_probe().await } else { None };
            // After another writer's success a short pause suffices; without any, a batch that fails alone would spin.
            let is_up = self.drives_breaker && probe.is_none();
            sleep(RETRY.delay(if is_up { 1 } else { failures })).await;
            probe
        };
        self.cancel.run_until_cancelled(waiting).await
    }
}

/// The number of rows that `grant` allows.
#[must_use]
pub(crate) fn rows(grant: &Grant) -> usize {
    usize::try_from(grant.orders().get()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::pipeline::BreakerState;
    use crate::store::DbErrorDetail;

    fn fault() -> DbErrorDetail {
        DbErrorDetail { operation: "commit", code: None, what: "planted".to_owned(), subject: None }
    }

    fn writer() -> GatedWriter {
        let gate = RateGate::standalone(NonZeroU32::new(1_000).expect("not 0"));
        GatedWriter::for_pipeline(
            gate,
            WriterStats::default(),
            CircuitBreaker::default(),
            CancellationToken::new(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_keeps_failing_gives_the_probe_back() {
        let writer = writer();
        let (first, second) =
            (writer.acquire(1).await.expect("granted"), writer.acquire(1).await.expect("granted"));
        let failing = writer.write(&first, |_| async { Err::<(), _>(StoreError::Transient(fault())) });
        let attempts = AtomicU32::new(0);
        let healthy = writer.write(&second, |_| async {
            if attempts.fetch_add(1, Ordering::SeqCst) == 0 {
                Err(StoreError::Transient(fault()))
            } else {
                Ok(())
            }
        });
        let began = Instant::now();
        tokio::select! {
            biased;
            _ = failing => panic!("it never succeeds"),
            done = healthy => assert_eq!(done, Ok(WriteEnd::Committed(()))),
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!(writer.breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_neither_opens_the_breaker_nor_spends_credits() {
        let writer = writer();
        let grant = writer.acquire(5).await.expect("granted");
        let orders = grant.orders().get();
        let locked = StoreError::Locked { detail: fault(), skus: Vec::new() };
        let end = writer.write(&grant, |_| async { Err::<(), _>(locked.clone()) }).await;
        assert_eq!(end, Err(locked.clone()));
        assert_eq!(writer.breaker.state(), BreakerState::Closed);
        assert_eq!(writer.stats.take_delta().failures, 0, "the worker does not back off");
        assert_eq!(writer.gate.outstanding(), orders);
        grant.release();
        assert_eq!(writer.gate.outstanding(), 0);
        // They are granted again at once, not opened one by one.
        let again = writer.acquire(5).await.expect("granted");
        assert_eq!(again.orders().get(), orders);
        again.complete();
    }
}
