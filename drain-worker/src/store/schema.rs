//! Applies and checks the schema.

use sqlx::migrate::{MigrateError, Migrator};

use super::Store;
use super::dialect::Dialect;
use super::error::{DbError, DbErrorDetail, SchemaError, StoreError};
use super::sql::{ColumnKind, Statement};

struct Applied {
    version: i64,
    checksum: Vec<u8>,
    is_complete: bool,
}

impl Store {
    /// Applies the missing migrations. On MySQL it waits for other processes that migrate, by a lock that does not work
    /// through a pooling proxy, and it needs the driver's own transactions: connect directly.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the database's history is not this program's.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.driver.migrate().await.map_err(|error| migration_error(self.dialect(), error))
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
            return Err(SchemaError::HalfWay { version: half.version }.into());
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
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or_default()
}

fn migration_error(dialect: &Dialect, error: MigrateError) -> StoreError {
    let operation = "migrate";
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            dialect.classify(operation, &error).into()
        }
        MigrateError::VersionMismatch(version) => SchemaError::Changed { version }.into(),
        MigrateError::Dirty(version) => SchemaError::HalfWay { version }.into(),
        MigrateError::VersionMissing(version) => StoreError::Fatal(DbErrorDetail::new(
            operation,
            format!("the database has migration {version} of a newer version"),
        )),
        other => StoreError::Fatal(DbErrorDetail::new(operation, other.to_string())),
    }
}
