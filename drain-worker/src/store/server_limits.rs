//! Compares what this worker's connections may need with what the server allows.

use super::Store;
use super::error::{DbError, DbErrorDetail, StoreError};
use super::lookup::count;
use super::sql::{ColumnKind, Statement};

/// Maximum prepared statements of one connection; `--test store statements` counts them at the server.
const STATEMENTS_OF_CONNECTION_MAX: u32 = 40;

/// Prepared statements, which the server bounds over all its clients together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StatementLimit {
    /// The server's `max_prepared_stmt_count`.
    server_max: u64,
    /// Maximum that this worker's connections prepare.
    worker_max: u64,
}

impl StatementLimit {
    fn check(self) -> Result<(), DbError> {
        let Self { server_max, worker_max } = self;
        tracing::info!(
            event = "statement_limit",
            max_prepared_stmt_count = server_max,
            worker_max,
            "the server's limit of prepared statements, and this worker's share of it at most"
        );
        if worker_max <= server_max {
            return Ok(());
        }
        let what = format!(
            "max_prepared_stmt_count is {server_max}, and this worker alone may prepare {worker_max}: raise it to that \
             times the number of workers, or use fewer connections"
        );
        Err(DbError::fatal(DbErrorDetail::new("check the server's limits", what)))
    }
}

impl Store {
    /// Checks that the server allows the statements that this worker's connections may prepare, and logs both numbers.
    /// SQLite has no such limit.
    ///
    /// # Errors
    /// [`StoreError::Fatal`] if this worker alone may exceed the limit; [`StoreError::Transient`].
    pub async fn check_statement_limit(&self) -> Result<(), StoreError> {
        let Some(query) = self.dialect().statement_limit_query else { return Ok(()) };
        let worker_max = u64::from(self.config.connections_max() * STATEMENTS_OF_CONNECTION_MAX);
        let statement = Statement::new(query).rare();
        let rows = self.look_up("read the server's limits", statement, &[ColumnKind::Int]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        Ok(StatementLimit { server_max: count(row, 0)?, worker_max }.check()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_allows_too_few_statements_is_named_with_its_setting() {
        assert!(StatementLimit { server_max: 280, worker_max: 280 }.check().is_ok());
        let error = StatementLimit { server_max: 279, worker_max: 280 }.check().expect_err("too few");
        let text = StoreError::from(error).to_string();
        assert!(text.contains("max_prepared_stmt_count is 279") && text.contains("280"), "{text}");
    }
}
