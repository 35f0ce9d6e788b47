//! Bounds on operators' writes: a guard before the write, a maximum wait for the grant and for the database's answer.
//!
//! A write runs in its own task until the database has answered, also if the caller stops waiting: a grant that is dropped
//! while its transaction is in flight would keep its credits until the lease ends.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use crate::pipeline::BreakerState;
use crate::pipeline::{GatedWriter, WriteEnd};
use crate::rate::Grant;
use crate::store::{Fence, StoreError};

/// Returns why nothing may be written now, such as a pause of the pool; `None`: nothing prevents it.
pub type WriteGuard = Arc<dyn Fn() -> BoxFuture<'static, Option<String>> + Send + Sync>;

/// A [`GatedWriter`] that waits for a bounded time.
#[derive(Clone)]
pub(crate) struct BoundedWriter {
    pub(crate) writer: GatedWriter,
    pub(crate) guard: WriteGuard,
    /// Maximum wait for a grant, and maximum wait for the database's answer.
    pub(crate) wait_max: Duration,
}

/// The reason why nothing more was written. Without personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriteStopped(pub(crate) String);

impl BoundedWriter {
    /// Waits for a grant to write some of `rows`: [`Grant::orders`] says how many.
    pub(crate) async fn acquire(&self, rows: usize) -> Result<Grant, WriteStopped> {
        self.check_guard().await?;
        match timeout(self.wait_max, self.writer.acquire(rows)).await {
            Ok(Some(grant)) => Ok(grant),
            Ok(None) => Err(WriteStopped("the worker is stopping".to_owned())),
            Err(_elapsed) => {
                self.check_guard().await?;
                Err(WriteStopped(format!(
                    "this worker got no share of the cap within {} s",
                    self.wait_max.as_secs_f64()
                )))
            }
        }
    }

    async fn check_guard(&self) -> Result<(), WriteStopped> {
        if let Some(reason) = (self.guard)().await {
            return Err(WriteStopped(reason));
        }
        match self.writer.breaker.state() {
            BreakerState::Closed => Ok(()),
            BreakerState::Open { reason } => {
                Err(WriteStopped(format!("the database is unavailable: {reason}")))
            }
        }
    }

    /// Runs `attempt` under `grant` until the database has answered. `Ok(None)`: the lease is gone and nothing was
    /// written; acquire another grant. `permit` is dropped when the attempt ends.
    pub(crate) async fn write<T, F>(
        &self,
        grant: Grant,
        permit: impl Send + 'static,
        attempt: impl Fn(Fence) -> F + Send + 'static,
    ) -> Result<Option<T>, WriteStopped>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let writer = self.writer.clone();
        let task = tokio::spawn(async move {
            let _permit = permit;
            match writer.write(&grant, attempt).await {
                Ok(WriteEnd::Committed(done)) => {
                    grant.complete();
                    Ok(Some(done))
                }
                Ok(WriteEnd::LeaseLost | WriteEnd::Cancelled) => Ok(None),
                Err(error) => {
                    grant.complete();
                    Err(error)
                }
            }
        });
        match timeout(self.wait_max, task).await {
            Ok(Ok(answer)) => answer.map_err(|error| WriteStopped(error.to_string())),
            Ok(Err(error)) => Err(WriteStopped(format!("the write panicked, which is a bug: {error}"))),
            Err(_elapsed) => Err(WriteStopped(
                "the database has not answered in time; the write in flight is retried until it does"
                    .to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::num::NonZeroU32;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Semaphore;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::pipeline::{CircuitBreaker, WriterStats};
    use crate::rate::RateGate;
    use crate::store::DbErrorDetail;

    const WAIT_MAX: Duration = Duration::from_secs(10);

    fn writer(gate: RateGate, guard: Option<&'static str>) -> BoundedWriter {
        let writer = GatedWriter::new(gate, WriterStats::default(), CircuitBreaker::default());
        BoundedWriter {
            writer,
            guard: Arc::new(move || Box::pin(ready(guard.map(str::to_owned)))),
            wait_max: WAIT_MAX,
        }
    }

    fn gate() -> RateGate {
        RateGate::standalone(NonZeroU32::new(1_000).expect("not 0"))
    }

    fn fault() -> DbErrorDetail {
        DbErrorDetail { operation: "commit", code: None, what: "planted".to_owned(), subject: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_write_names_the_reason() {
        let began = Instant::now();
        let paused = writer(gate(), Some("the pool is paused")).acquire(5).await;
        assert_eq!(paused.map(|_| ()), Err(WriteStopped("the pool is paused".to_owned())));
        assert_eq!(began.elapsed(), Duration::ZERO);
        let none = writer(RateGate::closed(), None).acquire(5).await;
        assert_eq!(
            none.map(|_| ()),
            Err(WriteStopped("this worker got no share of the cap within 10 s".to_owned()))
        );
        assert_eq!(began.elapsed(), WAIT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_retried_under_the_same_grant() {
        let writer = writer(gate(), None);
        let grant = writer.acquire(5).await.expect("granted");
        let attempts = Arc::new(AtomicU32::new(0));
        let seen = attempts.clone();
        let answer = writer.write(grant, (), move |_| {
            let attempt = seen.fetch_add(1, Ordering::SeqCst);
            async move { if attempt < 3 { Err(StoreError::Transient(fault())) } else { Ok("done") } }
        });
        assert_eq!(answer.await, Ok(Some("done")));
        assert_eq!(attempts.load(Ordering::SeqCst), 4);
        assert!(writer.writer.gate.outstanding() > 0, "the credits run out their second");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(writer.writer.gate.outstanding(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_caller_loses_no_credit() {
        let writer = writer(gate(), None);
        let answers = Arc::new(Semaphore::new(0));
        let permit = Arc::new(());
        for caller_waits in [true, false] {
            let grant = writer.acquire(5).await.expect("granted");
            let late = answers.clone();
            let answer = writer.write(grant, permit.clone(), move |_| {
                let late = late.clone();
                async move {
                    late.acquire().await.expect("open").forget();
                    Ok(())
                }
            });
            if caller_waits {
                let Err(WriteStopped(reason)) = answer.await else { panic!("expected a timeout") };
                assert!(reason.contains("has not answered in time"), "{reason}");
            } else {
                // Long enough for the write to begin.
                assert!(timeout(Duration::from_secs(1), answer).await.is_err());
            }
            sleep(Duration::from_secs(60)).await;
            assert!(writer.writer.gate.outstanding() > 0, "it may still be committed");
            assert_eq!(Arc::strong_count(&permit), 2, "the permit is taken as long");
            answers.add_permits(1);
            sleep(Duration::from_secs(2)).await;
            assert_eq!(writer.writer.gate.outstanding(), 0);
            assert_eq!(Arc::strong_count(&permit), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_and_a_rejection_end_the_attempt() {
        let writer = writer(gate(), None);
        let grant = writer.acquire(1).await.expect("granted");
        let refused =
            writer.write(grant, (), |_| async { Err::<(), _>(StoreError::Permanent(fault())) }).await;
        assert!(matches!(refused, Err(WriteStopped(reason)) if reason.contains("rejects")));
        sleep(Duration::from_secs(2)).await;
        assert_eq!(writer.writer.gate.outstanding(), 0, "the database has answered");
        let grant = writer.acquire(1).await.expect("granted");
        let fenced = writer.write(grant, (), |_| async { Err::<(), _>(StoreError::Fenced(fault())) }).await;
        assert_eq!(fenced, Ok(None));
        let none = writer.acquire(1).await;
        assert!(none.is_err(), "nothing is granted under a lease that is gone");
    }
}
