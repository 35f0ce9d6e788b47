//! One transaction on one connection.
//!
//! Not the driver's own: it asks the server's status flags whether a transaction is open, which pooling proxies do
//! not always report, and it refuses to begin behind them. BEGIN and COMMIT go out as plain texts here, and a
//! connection whose transaction did not end with an answered COMMIT is closed, never given back: that is right
//! whatever state the server, or a proxy, believes it to be in.

use std::time::Duration;

use sqlx::Pool;
use sqlx::pool::PoolConnection;

use super::dialect::{Connection, Dialect};
use super::error::Failure;
use super::sql::{Kind, Row, Statement};

/// Longest that rolling back may take before the connection is just closed.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(1);

/// An open transaction. Dropping it closes its connection, and the server rolls back.
pub(super) struct Transaction<D: Dialect> {
    /// `None` only while it ends.
    connection: Option<PoolConnection<D::Database>>,
    /// Whether bytes arrive as they are bound.
    binds_bytes: bool,
}

impl<D: Dialect> Transaction<D> {
    /// Begins. A pooled connection that turns out to be dead is replaced: nothing was asked of it yet.
    pub(super) async fn begin(pool: &Pool<D::Database>) -> Result<Self, Failure> {
        let mut dead_connections_left = pool.options().get_max_connections();
        loop {
            let connection = pool.acquire().await.map_err(|error| D::classify("connect", &error))?;
            let mut transaction = Self { connection: Some(connection), binds_bytes: false };
            match D::plain(transaction.connection()?, D::BEGIN).await {
                Ok(()) => return Ok(transaction),
                Err(sqlx::Error::Io(_)) if dead_connections_left > 0 => dead_connections_left -= 1,
                Err(error) => return Err(D::classify("begin", &error)),
            }
        }
    }

    /// Binds bytes as they are from now on; see [`super::sql_store::SqlStore::binds_bytes`].
    pub(super) const fn bind_bytes(&mut self, binds_bytes: bool) {
        self.binds_bytes = binds_bytes;
    }

    /// Runs a statement without a result.
    pub(super) async fn execute(
        &mut self,
        operation: &'static str,
        statement: Statement<'_>,
    ) -> Result<(), Failure> {
        let statement = if self.binds_bytes { statement.native() } else { statement };
        D::execute(self.connection()?, statement).await.map_err(|error| D::classify(operation, &error))
    }

    /// Runs a query.
    pub(super) async fn fetch(
        &mut self,
        operation: &'static str,
        statement: Statement<'_>,
        kinds: &'static [Kind],
    ) -> Result<Vec<Row>, Failure> {
        let statement = if self.binds_bytes { statement.native() } else { statement };
        D::fetch(self.connection()?, statement, kinds).await.map_err(|error| D::classify(operation, &error))
    }

    /// Ends it by what its statements came to: commits, or abandons it for a failure.
    pub(super) async fn end<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        match result {
            Ok(done) => self.commit().await.map(|()| done),
            Err(failure) => {
                self.abandon().await;
                Err(failure)
            }
        }
    }

    /// Commits. On an error nobody knows whether it is done: the answer may be what got lost.
    async fn commit(mut self) -> Result<(), Failure> {
        D::plain(self.connection()?, "COMMIT").await.map_err(|error| D::classify("commit", &error))?;
        // The one way back to the pool.
        drop(self.connection.take());
        Ok(())
    }

    /// Rolls back now and closes the connection, for a transaction that failed: locks are free before the next run
    /// asks for them, and proxies that mishandle a sudden end are spared one. Gives up after a moment.
    async fn abandon(mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let farewell = async move {
            // Whether it succeeds makes no difference: the connection is closed.
            let _answer = D::plain(&mut connection, "ROLLBACK").await;
            let _closed = connection.close().await;
        };
        let _in_time = tokio::time::timeout(ABANDON_TIMEOUT, farewell).await;
    }

    fn connection(&mut self) -> Result<&mut Connection<D>, Failure> {
        self.connection
            .as_deref_mut()
            .ok_or_else(|| D::classify("use a transaction", &sqlx::Error::PoolClosed))
    }
}

impl<D: Dialect> Drop for Transaction<D> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Out of the pool first, then closed without a farewell: that needs no runtime and cannot hang.
            drop(connection.detach());
        }
    }
}
