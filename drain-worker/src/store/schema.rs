//! Applies and checks the schema.

use sqlx::migrate::Migrator;

use super::Store;
use super::dialect::PoolKind;
use super::error::{DbError, DbErrorDetail, ErrorClass, SchemaError, StoreError};
use super::sql::{ColumnKind, Statement};

struct Applied {
    version: i64,
    checksum: Vec<u8>,
    is_complete: bool,
}

impl Store {
    /// Applies the missing migrations, while others commit: on MySQL a statement waits for a table for a second at most,
    /// sixty times with pauses of four seconds. It waits a minute for other processes that migrate, by a lock that does not
    /// work through a proxy that pools by transaction: connect directly.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the database's history is not this program's, another process migrates, or a transaction
    /// keeps a table.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.migrate_with((self.dialect().migrator)()).await
    }

    /// As [`Self::migrate`], with migrations of the caller: for the rehearsal of a migration. On MySQL each statement ends
    /// with a semicolon at the end of a line.
    ///
    /// # Errors
    /// As [`Self::migrate`].
    pub async fn migrate_with(&self, migrations: &Migrator) -> Result<(), StoreError> {
        self.driver.migrate(migrations).await
    }

    /// Checks that the database has the schema this program needs and does not clip values. Returns the schema's version;
    /// a newer one than this program's is accepted, as during an upgrade.
    ///
    /// # Errors
    /// [`StoreError::Schema`] names the command that repairs it; [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn check_schema(&self) -> Result<i64, StoreError> {
        let applied = match self.applied_migrations().await {
            Err(failure) if self.dialect().is_missing_table(&failure) => {
                return Err(SchemaError::Missing.into());
            }
            result => result?,
        };
        if let Some(half) = applied.iter().find(|applied| !applied.is_complete) {
            let fault = if self.is_migrating().await? {
                SchemaError::Migrating
            } else {
                SchemaError::HalfWay { version: half.version }
            };
            return Err(fault.into());
        }
        let found = applied.iter().map(|applied| applied.version).max().ok_or(SchemaError::Missing)?;
        for needed in (self.dialect().migrator)().iter() {
            match applied.iter().find(|applied| applied.version == needed.version) {
                None => {
                    return Err(
                        SchemaError::Behind { found, needed: newest((self.dialect().migrator)()) }.into()
                    );
                }
                Some(applied) if *applied.checksum != *needed.checksum => {
                    return Err(SchemaError::Changed { version: needed.version }.into());
                }
                Some(_) => {}
            }
        }
        self.verify_strictness().await?;
        self.verify_constraints().await?;
        Ok(found)
    }

    async fn applied_migrations(&self) -> Result<Vec<Applied>, DbError> {
        const KINDS: &[ColumnKind] = &[ColumnKind::Int, ColumnKind::Bytes, ColumnKind::Int];
        // CAST, because a driver may return a BOOLEAN as something that is not a number.
        let statement = Statement::new(
            "SELECT version, checksum, CAST(success AS SIGNED) FROM _sqlx_migrations ORDER BY version",
        );
        let rows = self.look_up("read the schema's version", statement, KINDS).await?;
        rows.iter()
            .map(|row| {
                let (version, is_complete) = (row.int(0)?, row.int(2)? != 0);
                Ok(Applied { version, checksum: row.bytes(1)?.to_vec(), is_complete })
            })
            .collect()
    }

    async fn is_migrating(&self) -> Result<bool, DbError> {
        let Some(query) = self.dialect().migrator_query else { return Ok(false) };
        let rows = self.look_up("look for a migrator", Statement::new(query), &[ColumnKind::Int]).await?;
        rows.first().map_or(Ok(false), |row| Ok(row.optional_int(0)?.is_some()))
    }

    async fn verify_strictness(&self) -> Result<(), DbError> {
        let Some(query) = self.dialect().strict_mode_query else { return Ok(()) };
        let operation = "read the session's mode";
        for row in self.look_up(operation, Statement::new(query), &[ColumnKind::Text]).await? {
            if !row.text(0)?.contains("STRICT_") {
                let what =
                    "sql_mode is not strict, so values could be clipped silently: a proxy discards SET";
                return Err(DbError::fatal(DbErrorDetail::new(operation, what)));
            }
        }
        Ok(())
    }

    /// Checks that the server enforces CHECK constraints, the last guard against overselling: MySQL before 8.0.16, and
    /// PolarDB 8.0.1 with it, parse and ignore them. The row that must be rejected is rolled back in any case.
    async fn verify_constraints(&self) -> Result<(), DbError> {
        const OPERATION: &str = "probe the constraints";
        const OVERSOLD: &str =
            "INSERT INTO sale_skus (sale_id, sku, stock_total, stock_reserved) VALUES ('', 'oversold', 0, 1)";
        let mut transaction = self.begin(PoolKind::Writers).await?;
        let inserted = transaction.execute(OPERATION, Statement::new(OVERSOLD)).await;
        let what = "the server ignores CHECK constraints; PolarDB needs version 8.0.2, MySQL 8.0.16";
        let verdict = match inserted {
            Err(failure) if failure.class == ErrorClass::Row => Ok(()),
            Err(failure) => Err(failure),
            Ok(()) => Err(DbError::fatal(DbErrorDetail::new(OPERATION, what))),
        };
        transaction.abandon(true).await;
        verdict
    }
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or_default()
}
