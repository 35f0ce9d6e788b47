//! One transaction on one connection.
//!
//! Not the driver's own transaction: that one reads the server's status flags to see if a transaction is open, which
//! pooling proxies do not always report, and then refuses to begin. Here BEGIN and COMMIT are plain texts. A connection
//! returns to the pool only after a confirmed COMMIT, or after a confirmed ROLLBACK of a transaction in which every
//! statement was answered. Every other one is closed: that is correct in any state that the server or a proxy assumes
//! for the connection.

use std::time::Duration;

use tokio::time::timeout;

use super::dialect::{Dialect, Driver, DriverConnection, PoolKind};
use super::error::DbError;
use super::sql::{ColumnKind, SqlRow, Statement};

/// Maximum time for a rollback, and for the orderly end of its connection.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(1);

/// An open transaction. Dropping it closes its connection, and the server rolls back.
pub(super) struct Transaction {
    pub(super) dialect: &'static Dialect,
    /// `None` only while it ends.
    connection: Option<Box<dyn DriverConnection>>,
    /// True if the connection transports bytes unchanged.
    binds_bytes: bool,
}

impl Transaction {
    /// Begins a transaction. A pooled connection that turns out to be dead is replaced: it has not run anything yet.
    pub(super) async fn begin(driver: &dyn Driver, pool: PoolKind) -> Result<Self, DbError> {
        let dialect = driver.dialect();
        let mut dead_connections_left = driver.connections_max(pool);
        loop {
            let connection = driver.acquire(pool).await?;
            let mut transaction = Self { dialect, connection: Some(connection), binds_bytes: false };
            match transaction.connection()?.plain(dialect.begin).await {
                Ok(()) => return Ok(transaction),
                Err(sqlx::Error::Io(_)) if dead_connections_left > 0 => dead_connections_left -= 1,
                Err(error) => return Err(dialect.classify("begin", &error)),
            }
        }
    }

    /// Binds bytes unchanged from now on; see [`super::Store::binds_bytes`].
    pub(super) const fn bind_bytes(&mut self, binds_bytes: bool) {
        self.binds_bytes = binds_bytes;
    }

    pub(super) async fn execute(
        &mut self,
        operation: &'static str,
        statement: Statement<'_>,
    ) -> Result<(), DbError> {
        self.update(operation, statement).await.map(drop)
    }

    /// As [`Self::execute`]; returns the number of rows found. It is reliable for an UPDATE that changes each of them:
    /// a server, driver or proxy that counts changes then counts the same.
    pub(super) async fn update(
        &mut self,
        operation: &'static str,
        statement: Statement<'_>,
    ) -> Result<u64, DbError> {
        let statement = self.adapted(statement);
        let dialect = self.dialect;
        self.connection()?.execute(statement).await.map_err(|error| dialect.classify(operation, &error))
    }

    fn adapted<'a>(&self, statement: Statement<'a>) -> Statement<'a> {
        if self.binds_bytes && !statement.is_inlined { statement.native() } else { statement }
    }

    pub(super) async fn fetch(
        &mut self,
        operation: &'static str,
        statement: Statement<'_>,
        columns: &'static [ColumnKind],
    ) -> Result<Vec<SqlRow>, DbError> {
        let statement = self.adapted(statement);
        let dialect = self.dialect;
        self.connection()?
            .fetch(statement, columns)
            .await
            .map_err(|error| dialect.classify(operation, &error))
    }

    /// Commits if `result` is `Ok`, else rolls back.
    pub(super) async fn end<T>(self, result: Result<T, DbError>) -> Result<T, DbError> {
        match result {
            Ok(done) => self.commit().await.map(|()| done),
            Err(failure) => {
                self.abandon(failure.is_answered()).await;
                Err(failure)
            }
        }
    }

    /// Commits. After an error the outcome is unknown: the server may have committed and the response was lost.
    async fn commit(mut self) -> Result<(), DbError> {
        let dialect = self.dialect;
        self.connection()?.plain("COMMIT").await.map_err(|error| dialect.classify("commit", &error))?;
        // Only a committed connection returns to the pool.
        drop(self.connection.take());
        Ok(())
    }

    /// Rolls back within [`ABANDON_TIMEOUT`]: the locks are free before the next attempt needs them. Closes the
    /// connection, unless all its statements were answered (`is_answered`) and the server confirms the rollback: a new
    /// one would have to prepare all statements again.
    pub(super) async fn abandon(mut self, is_answered: bool) {
        let Some(mut connection) = self.connection.take() else { return };
        match timeout(ABANDON_TIMEOUT, connection.plain("ROLLBACK")).await {
            // Dropped, it returns to the pool.
            Ok(Ok(())) if is_answered => {}
            // Proxies that mishandle a sudden end do not see one.
            Ok(_) => _ = timeout(ABANDON_TIMEOUT, connection.close()).await,
            Err(_elapsed) => connection.discard(),
        }
    }

    fn connection(&mut self) -> Result<&mut dyn DriverConnection, DbError> {
        match self.connection.as_deref_mut() {
            Some(connection) => Ok(connection),
            None => Err(self.dialect.classify("use a transaction", &sqlx::Error::PoolClosed)),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.discard();
        }
    }
}
