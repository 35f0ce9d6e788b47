//! Single statements on the coordinator's connection.

use crate::store::Store;
use crate::store::dialect::PoolKind;
use crate::store::error::DbError;
use crate::store::execute::within;
use crate::store::sql::{ColumnKind, SqlRow, Statement};

impl Store {
    /// Runs one statement by itself, or several as one transaction. Repeating them must be harmless: a pooled connection
    /// may have died since its last use.
    pub(super) async fn coordinate(
        &self,
        operation: &'static str,
        mut statements: Vec<Statement<'_>>,
    ) -> Result<(), DbError> {
        if statements.len() > 1 {
            let run = || async {
                let mut transaction = self.begin(PoolKind::Coordinator).await?;
                let result = async {
                    for statement in &statements {
                        transaction.execute(operation, statement.clone()).await?;
                    }
                    Ok(())
                }
                .await;
                transaction.end(result).await
            };
            return self.coordinating(operation, run).await;
        }
        let Some(statement) = statements.pop() else { return Ok(()) };
        self.on_coordinator(operation, statement, None).await.map(drop)
    }

    /// Runs one query by itself.
    pub(super) async fn coordinate_fetch(
        &self,
        operation: &'static str,
        statement: Statement<'_>,
        columns: &'static [ColumnKind],
    ) -> Result<Vec<SqlRow>, DbError> {
        self.on_coordinator(operation, statement, Some(columns)).await
    }

    /// The bound is that of the statement: opening a connection over a slow path takes longer. `columns`: of a query.
    async fn on_coordinator(
        &self,
        operation: &'static str,
        statement: Statement<'_>,
        columns: Option<&'static [ColumnKind]>,
    ) -> Result<Vec<SqlRow>, DbError> {
        let mut dead_connections_left = 1;
        loop {
            let mut connection = self.driver.acquire(PoolKind::Coordinator).await?;
            let running = async {
                Ok(match columns {
                    Some(columns) => connection.fetch(statement.clone(), columns).await,
                    None => connection.execute(statement.clone()).await.map(|_found| Vec::new()),
                })
            };
            match within(operation, self.config.coordination_timeout, running).await {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(error)) => {
                    connection.discard();
                    if !matches!(error, sqlx::Error::Io(_)) || dead_connections_left == 0 {
                        return Err(self.dialect().classify(operation, &error));
                    }
                    dead_connections_left -= 1;
                }
                Err(elapsed) => {
                    connection.discard();
                    return Err(elapsed);
                }
            }
        }
    }
}
