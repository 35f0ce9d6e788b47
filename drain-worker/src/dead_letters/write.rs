//! Writes at the worker's share of the cap, and never loses a credit: what the database may still do is waited for, also
//! by nobody.
//!
//! A grant that is dropped while its transaction is under way keeps its credits until the lease ends. So a write goes on
//! in a task of its own until the database has answered, whether or not the caller still waits.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::pipeline::{DatabaseHealth, Health, Meter};
use crate::rate::{Grant, RateGate};
use crate::store::{Fence, StoreError};

/// Longest pause between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Says why nothing may be written now, such as a pause of the pool; `None`: nothing is known that stands against it.
pub type Obstacle = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// A way to write.
#[derive(Clone)]
pub(super) struct Writing {
    pub(super) gate: RateGate,
    pub(super) meter: Meter,
    pub(super) health: Health,
    pub(super) obstacle: Obstacle,
    /// Longest wait for permission, and longest wait for the database's answer.
    pub(super) wait_max: Duration,
}

/// Why it was not written. For people, without personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stopped(pub(super) String);

impl Writing {
    /// Waits for leave to write some of `rows`: [`Grant::orders`] says how many.
    pub(super) async fn granted(&self, rows: usize) -> Result<Grant, Stopped> {
        self.passable()?;
        let rows = u32::try_from(rows).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        match timeout(self.wait_max, self.gate.acquire(rows)).await {
            Ok(grant) => Ok(grant),
            Err(_elapsed) => {
                self.passable()?;
                Err(Stopped(format!(
                    "this worker got no share of the cap within {} s",
                    self.wait_max.as_secs_f64()
                )))
            }
        }
    }

    fn passable(&self) -> Result<(), Stopped> {
        if let Some(obstacle) = (self.obstacle)() {
            return Err(Stopped(obstacle));
        }
        match self.health.database() {
            DatabaseHealth::Up => Ok(()),
            DatabaseHealth::Down { reason } => Err(Stopped(format!("the database is down: {reason}"))),
        }
    }

    /// Runs `attempt` under `grant` until the database has answered. `Ok(None)`: the lease is gone and nothing was
    /// written; ask for another grant. `kept` lives as long as the attempt does.
    pub(super) async fn write<T, F>(
        &self,
        grant: Grant,
        kept: impl Send + 'static,
        attempt: impl Fn(Fence) -> F + Send + 'static,
    ) -> Result<Option<T>, Stopped>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let writing = self.clone();
        let task = tokio::spawn(async move {
            let answer = writing.persist(grant, attempt).await;
            drop(kept);
            answer
        });
        match timeout(self.wait_max, task).await {
            Ok(Ok(answer)) => answer.map_err(|error| Stopped(error.to_string())),
            Ok(Err(error)) => Err(Stopped(format!("writing ended unexpectedly, which is a bug: {error}"))),
            Err(_elapsed) => Err(Stopped(
                "the database has not answered in time; what is under way is tried until it does".to_owned(),
            )),
        }
    }

    async fn persist<T, F>(&self, grant: Grant, attempt: impl Fn(Fence) -> F) -> Result<Option<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut failures = 0_u32;
        loop {
            let began = Instant::now();
            match attempt(grant.fence()).await {
                Ok(done) => {
                    self.meter.committed(began.elapsed());
                    grant.answered();
                    return Ok(Some(done));
                }
                Err(StoreError::Fenced(fault)) => {
                    tracing::warn!(%fault, "this worker's lease is gone");
                    self.gate.revoke(grant.fence());
                    return Ok(None);
                }
                Err(error) if error.is_transient() => {
                    failures += 1;
                    self.meter.failed();
                    let wait = Duration::from_millis(50 << failures.min(7)).min(RETRY_MAX);
                    sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
                }
                Err(error) => {
                    grant.answered();
                    return Err(error);
                }
            }
        }
    }
}

/// How many rows may be written under `grant`.
pub(super) fn count(grant: &Grant) -> usize {
    usize::try_from(grant.orders().get()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::store::Fault;

    const WAIT_MAX: Duration = Duration::from_secs(10);

    fn writing(gate: RateGate, obstacle: Option<&'static str>) -> Writing {
        Writing {
            gate,
            meter: Meter::default(),
            health: Health::default(),
            obstacle: Arc::new(move || obstacle.map(str::to_owned)),
            wait_max: WAIT_MAX,
        }
    }

    fn gate() -> RateGate {
        RateGate::alone(NonZeroU32::new(1_000).expect("not 0"))
    }

    fn fault() -> Fault {
        Fault { operation: "commit", code: None, what: "planted".to_owned(), subject: None }
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_against_writing_is_told() {
        let began = Instant::now();
        let paused = writing(gate(), Some("the pool is paused")).granted(5).await;
        assert_eq!(paused.map(|_| ()), Err(Stopped("the pool is paused".to_owned())));
        assert_eq!(began.elapsed(), Duration::ZERO);
        let none = writing(RateGate::closed(), None).granted(5).await;
        assert_eq!(
            none.map(|_| ()),
            Err(Stopped("this worker got no share of the cap within 10 s".to_owned()))
        );
        assert_eq!(began.elapsed(), WAIT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_passing_failure_is_tried_again_under_the_same_grant() {
        let writing = writing(gate(), None);
        let grant = writing.granted(5).await.expect("granted");
        let attempts = Arc::new(AtomicU32::new(0));
        let seen = attempts.clone();
        let answer = writing.write(grant, (), move |_| {
            let attempt = seen.fetch_add(1, Ordering::SeqCst);
            async move { if attempt < 3 { Err(StoreError::Transient(fault())) } else { Ok("done") } }
        });
        assert_eq!(answer.await, Ok(Some("done")));
        assert_eq!(attempts.load(Ordering::SeqCst), 4);
        assert!(writing.gate.outstanding() > 0, "the credits run out their second");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(writing.gate.outstanding(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_stops_waiting_loses_no_credit() {
        let writing = writing(gate(), None);
        let answers = Arc::new(Semaphore::new(0));
        let place = Arc::new(());
        for caller_waits in [true, false] {
            let grant = writing.granted(5).await.expect("granted");
            let late = answers.clone();
            let answer = writing.write(grant, place.clone(), move |_| {
                let late = late.clone();
                async move {
                    late.acquire().await.expect("open").forget();
                    Ok(())
                }
            });
            if caller_waits {
                let Err(Stopped(reason)) = answer.await else { panic!("nobody answers") };
                assert!(reason.contains("has not answered in time"), "{reason}");
            } else {
                // Long enough to have begun.
                assert!(timeout(Duration::from_secs(1), answer).await.is_err());
            }
            sleep(Duration::from_secs(60)).await;
            assert!(writing.gate.outstanding() > 0, "it may still be committed");
            assert_eq!(Arc::strong_count(&place), 2, "the place is taken as long");
            answers.add_permits(1);
            sleep(Duration::from_secs(2)).await;
            assert_eq!(writing.gate.outstanding(), 0);
            assert_eq!(Arc::strong_count(&place), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_and_a_refusal_end_the_attempt() {
        let writing = writing(gate(), None);
        let grant = writing.granted(1).await.expect("granted");
        let refused =
            writing.write(grant, (), |_| async { Err::<(), _>(StoreError::Permanent(fault())) }).await;
        assert!(matches!(refused, Err(Stopped(reason)) if reason.contains("refuses")));
        sleep(Duration::from_secs(2)).await;
        assert_eq!(writing.gate.outstanding(), 0, "the database has answered");
        let grant = writing.granted(1).await.expect("granted");
        let fenced = writing.write(grant, (), |_| async { Err::<(), _>(StoreError::Fenced(fault())) }).await;
        assert_eq!(fenced, Ok(None));
        let none = writing.granted(1).await;
        assert!(none.is_err(), "nothing is granted under a lease that is gone");
    }
}
