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
