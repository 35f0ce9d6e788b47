//! Runs statements and transactions, with their bounds and retries.

use std::future::Future;
use std::time::Duration;

use shared::retry::Backoff;
use tokio::time::Instant;

use super::Store;
use super::dialect::{Dialect, PoolKind};
use super::error::{DbError, ErrorClass};
use super::sql::{ColumnKind, SqlRow, Statement};
use super::transaction::Transaction;

/// Maximum attempts of a transaction that loses to lock conflicts. Attempts also end once they have taken as long
/// together as one is allowed to, so that a stuck lock is not awaited eight times.
const CONTENTION_RUNS_MAX: u32 = 8;

/// Maximum attempts of a transaction that hits existing keys. One retry resolves a race; the rest is a reserve.
const DUPLICATE_KEY_RUNS_MAX: u32 = 3;

/// Maximum attempts of a transaction that fails with an unknown code.
const UNKNOWN_RUNS_MAX: u32 = 3;

/// Maximum time for which the answer to a scan that the server ended is on its way.
const SCAN_ANSWER_MAX: Duration = Duration::from_secs(5);

const RETRY: Backoff = Backoff::new(Duration::from_millis(8), Duration::from_millis(200));

const UNKNOWN_RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_millis(400));

impl Store {
    pub(super) fn dialect(&self) -> &'static Dialect {
        self.driver.dialect()
    }

    pub(super) async fn begin(&self, pool: PoolKind) -> Result<Transaction, DbError> {
        Transaction::begin(&*self.driver, pool).await
    }

    /// True if bytes may be bound unchanged: asks the database once what arrived of all 256 byte values. A proxy may
    /// corrupt or reject them; then they are sent as text.
    pub(super) async fn binds_bytes(&self) -> Result<bool, DbError> {
        self.bytes.get_or_try_init(|| self.try_bytes()).await.copied()
    }

    async fn try_bytes(&self) -> Result<bool, DbError> {
        const PROBE: &str = "probe the connection";
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let probe = Statement::new("SELECT HEX(?)").bind(all.as_slice()).native();
        let mut connection = self.driver.acquire(PoolKind::Writers).await?;
        match connection.fetch(probe, &[ColumnKind::Text]).await {
            Ok(rows) => Ok(rows
                .first()
                .is_some_and(|row| row.text(0).is_ok_and(|text| text == hex::encode_upper(&all)))),
            Err(error) => {
                connection.discard();
                // A broken connection says nothing about bytes; any other rejection does.
                match self.dialect().classify(PROBE, &error) {
                    failure if matches!(error, sqlx::Error::Io(_)) => Err(failure),
                    failure => {
                        tracing::debug!(event = "bytes_as_text", detail = %failure.detail, "the connection changes bytes; sending them as text");
                        Ok(false)
                    }
                }
            }
        }
    }

    /// Runs a whole transaction, each attempt within `timeout`, and retries it if another transaction interfered.
    pub(super) async fn retrying<T, F>(
        &self,
        operation: &'static str,
        timeout: Duration,
        run: impl FnMut() -> F,
    ) -> Result<T, DbError>
    where
        F: Future<Output = Result<T, DbError>>,
    {
        self.retrying_locked(operation, timeout, CONTENTION_RUNS_MAX, run).await
    }

    /// As [`Self::retrying`], with at most `locked_runs_max` attempts at a lock that another transaction keeps.
    pub(super) async fn retrying_locked<T, F>(
        &self,
        operation: &'static str,
        timeout: Duration,
        locked_runs_max: u32,
        mut run: impl FnMut() -> F,
    ) -> Result<T, DbError>
    where
        F: Future<Output = Result<T, DbError>>,
    {
        let mut runs = 0;
        let began = Instant::now();
        loop {
            runs += 1;
            let failure = match within(operation, timeout, run()).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let (runs_max, pause) = match failure.class {
                ErrorClass::Contention => (CONTENTION_RUNS_MAX, RETRY),
                ErrorClass::Locked => (locked_runs_max, RETRY),
                ErrorClass::DuplicateKey => (DUPLICATE_KEY_RUNS_MAX, RETRY),
                ErrorClass::Unknown => (UNKNOWN_RUNS_MAX, UNKNOWN_RETRY),
                ErrorClass::Transient | ErrorClass::Row | ErrorClass::Fenced | ErrorClass::Fatal => {
                    (1, RETRY)
                }
            };
            if runs >= runs_max || began.elapsed() >= timeout {
                return Err(failure);
            }
            tracing::debug!(event = "transaction_retried", runs, detail = %failure.detail, "transaction retried");
            tokio::time::sleep(pause.delay(runs)).await;
        }
    }

    /// Runs a transaction of the pool's coordination: short ones, which must not outlast a lease.
    pub(super) async fn coordinating<T, F>(
        &self,
        operation: &'static str,
        run: impl FnMut() -> F,
    ) -> Result<T, DbError>
    where
        F: Future<Output = Result<T, DbError>>,
    {
        self.retrying(operation, self.config.coordination_timeout, run).await
    }

    /// As [`Self::coordinating`], without retries: the caller retries by itself.
    pub(super) async fn once<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T, DbError>>,
    ) -> Result<T, DbError> {
        within(operation, self.config.coordination_timeout, run).await
    }

    /// Runs a buyer's lookup on the readers' connections, within the configured time.
    pub(super) async fn look_up_for_buyer(
        &self,
        operation: &'static str,
        statement: Statement<'_>,
        columns: &'static [ColumnKind],
    ) -> Result<Vec<SqlRow>, DbError> {
        within(operation, self.config.lookup_timeout, self.read(operation, statement, columns)).await
    }

    /// Runs an operator's query on the readers' connections, within the configured time. One connection is left to
    /// buyers, if there are several.
    pub(super) async fn look_up(
        &self,
        operation: &'static str,
        statement: Statement<'_>,
        columns: &'static [ColumnKind],
    ) -> Result<Vec<SqlRow>, DbError> {
        self.read_for_operator(operation, self.config.lookup_timeout, statement, columns).await
    }

    /// Runs an operator's query that scans tables. The server ends it within `totals_timeout`.
    pub(super) async fn scan(
        &self,
        operation: &'static str,
        select: &'static str,
        columns: &'static [ColumnKind],
    ) -> Result<Vec<SqlRow>, DbError> {
        let bound = self.config.totals_timeout;
        let statement = (self.dialect().select_within)(bound).text(select);
        self.read_for_operator(operation, bound + SCAN_ANSWER_MAX, statement, columns).await
    }

    async fn read_for_operator(
        &self,
        operation: &'static str,
        timeout: Duration,
        statement: Statement<'_>,
        columns: &'static [ColumnKind],
    ) -> Result<Vec<SqlRow>, DbError> {
        within(operation, timeout, async {
            // Never closed.
            let _permit = self.operators.acquire().await;
            self.read(operation, statement, columns).await
        })
        .await
    }

    async fn read(
        &self,
        operation: &'static str,
        statement: Statement<'_>,
        columns: &'static [ColumnKind],
    ) -> Result<Vec<SqlRow>, DbError> {
        let mut dead_connections_left = self.config.readers_max.get();
        loop {
            let mut connection = self.driver.acquire(PoolKind::Readers).await?;
            match connection.fetch(statement.clone(), columns).await {
                Ok(rows) => return Ok(rows),
                Err(error) => {
                    connection.discard();
                    // A pooled connection may have died since its last use; reading again is harmless.
                    if !matches!(error, sqlx::Error::Io(_)) || dead_connections_left == 0 {
                        return Err(self.dialect().classify(operation, &error));
                    }
                    dead_connections_left -= 1;
                }
            }
        }
    }
}

/// Runs an attempt within `timeout`. Boxed, because the futures of whole transactions are large and callers store
/// them in theirs.
pub(super) fn within<T>(
    operation: &'static str,
    timeout: Duration,
    run: impl Future<Output = Result<T, DbError>>,
) -> impl Future<Output = Result<T, DbError>> {
    let bounded = tokio::time::timeout(timeout, Box::pin(run));
    async move { bounded.await.unwrap_or_else(|_| Err(DbError::timeout(operation))) }
}
