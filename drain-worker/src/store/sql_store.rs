//! The store itself, for any dialect: pools, bounds, and how often to try.

use std::future::Future;
use std::time::Duration;

use shared::config::DatabaseUrl;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::config::StoreConfig;
use super::dialect::{Dialect, Pools};
use super::error::{Class, Failure, StoreError};
use super::guesses::Guesses;
use super::sql::{Kind, Row, Statement};

/// Most runs of one transaction that others keep getting in the way of. Runs also end once they have taken as long
/// together as one is allowed to: a lock that is never given up is not waited for eight times.
const CONTENTION_RUNS_MAX: u32 = 8;

/// Most runs of one transaction that finds keys taken. One more run settles a race; the rest is for luck.
const DUPLICATE_KEY_RUNS_MAX: u32 = 3;

/// Longest pause between two runs.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// A store on one kind of database.
pub(super) struct SqlStore<D: Dialect> {
    pub(super) pools: Pools<D::Database>,
    pub(super) config: StoreConfig,
    pub(super) guesses: Guesses,
    /// See [`SqlStore::binds_bytes`].
    bytes: OnceCell<bool>,
}

impl<D: Dialect> SqlStore<D> {
    pub(super) fn open(url: &DatabaseUrl, config: StoreConfig) -> Result<Self, StoreError> {
        Ok(Self {
            pools: D::open(url, &config)?,
            config,
            guesses: Guesses::default(),
            bytes: OnceCell::new(),
        })
    }

    /// Closes all connections, waiting for those in use.
    pub(super) async fn close(&self) {
        self.pools.readers.close().await;
        self.pools.coordinator.close().await;
        self.pools.writers.close().await;
    }

    /// Whether bytes may be bound as they are: the database is asked once what arrived of all 256 of them. A proxy in
    /// between may spoil them or refuse them; then they travel as text.
    pub(super) async fn binds_bytes(&self) -> Result<bool, Failure> {
        self.bytes.get_or_try_init(|| self.try_bytes()).await.copied()
    }

    async fn try_bytes(&self) -> Result<bool, Failure> {
        const PROBE: &str = "probe the connection";
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let probe = Statement::new("SELECT HEX(?)").bind(all.as_slice()).native();
        let mut connection =
            self.pools.writers.acquire().await.map_err(|error| D::classify("connect", &error))?;
        match D::fetch(&mut connection, probe, &[Kind::Text]).await {
            Ok(rows) => Ok(rows
                .first()
                .is_some_and(|row| row.text(0).is_ok_and(|text| text == hex::encode_upper(&all)))),
            Err(error) => {
                drop(connection.detach());
                // A broken connection says nothing about bytes; any other refusal does.
                match D::classify(PROBE, &error) {
                    failure if matches!(error, sqlx::Error::Io(_)) => Err(failure),
                    failure => {
                        tracing::debug!(fault = %failure.fault, "bytes travel as text");
                        Ok(false)
                    }
                }
            }
        }
    }

    /// Runs a whole transaction, each run within `timeout`, and again if another was in its way.
    pub(super) async fn retrying<T, F>(
        &self,
        operation: &'static str,
        timeout: Duration,
        mut run: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut runs = 0;
        let began = Instant::now();
        loop {
            runs += 1;
            let failure = match within(operation, timeout, run()).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let runs_max = match failure.class {
                Class::Contention => CONTENTION_RUNS_MAX,
                Class::DuplicateKey => DUPLICATE_KEY_RUNS_MAX,
                Class::Transient | Class::Row | Class::Fenced | Class::Fatal => 1,
            };
            if runs >= runs_max || began.elapsed() >= timeout {
                return Err(failure);
            }
            tracing::debug!(runs, fault = %failure.fault, "transaction runs again");
            tokio::time::sleep(pause(runs)).await;
        }
    }

    /// Runs a transaction of the pool's: short ones, which must not outlast a lease.
    pub(super) async fn coordinating<T, F>(
        &self,
        operation: &'static str,
        run: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.retrying(operation, self.config.coordination_timeout, run).await
    }

    /// As [`Self::coordinating`], but a single time: whoever asks comes again by itself.
    pub(super) async fn once<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        within(operation, self.config.coordination_timeout, run).await
    }

    /// Runs a look-up beside the writers, within the configured time.
    pub(super) async fn look_up(
        &self,
        operation: &'static str,
        statement: Statement<'_>,
        kinds: &'static [Kind],
    ) -> Result<Vec<Row>, Failure> {
        let run = async {
            let mut dead_connections_left = self.config.readers_max.get();
            loop {
                let mut connection =
                    self.pools.readers.acquire().await.map_err(|error| D::classify("connect", &error))?;
                match D::fetch(&mut connection, statement.clone(), kinds).await {
                    Ok(rows) => return Ok(rows),
                    Err(error) => {
                        drop(connection.detach());
                        // A pooled connection may have died since it was used last; reading again is harmless.
                        if !matches!(error, sqlx::Error::Io(_)) || dead_connections_left == 0 {
                            return Err(D::classify(operation, &error));
                        }
                        dead_connections_left -= 1;
                    }
                }
            }
        };
        tokio::time::timeout(self.config.lookup_timeout, run)
            .await
            .unwrap_or_else(|_| Err(Failure::timeout(operation)))
    }
}

/// Runs a transaction once, within `timeout`. Boxed at once: the futures of whole transactions are large, and callers hold
/// them in theirs.
fn within<T>(
    operation: &'static str,
    timeout: Duration,
    run: impl Future<Output = Result<T, Failure>>,
) -> impl Future<Output = Result<T, Failure>> {
    let bounded = tokio::time::timeout(timeout, Box::pin(run));
    async move { bounded.await.unwrap_or_else(|_| Err(Failure::timeout(operation))) }
}

/// Doubles from 4 ms, with jitter, so that transactions that met do not meet again.
fn pause(runs: u32) -> Duration {
    let ceiling = Duration::from_millis(4).saturating_mul(1 << runs.min(10)).min(PAUSE_MAX);
    ceiling.mul_f64(rand::random_range(0.5..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        for runs in 1..100 {
            let pause = pause(runs);
            assert!(pause >= Duration::from_millis(4) && pause <= PAUSE_MAX, "{pause:?}");
        }
    }
}
