//! Applies and checks the schema.

use sqlx::migrate::MigrateError;

use super::dialect::Dialect;
use super::error::{Failure, Fault, SchemaError, StoreError};
use super::sql::{Kind, Statement};
use super::sql_store::SqlStore;

/// A migration that was applied.
struct Applied {
    version: i64,
    checksum: Vec<u8>,
    is_complete: bool,
}

impl<D: Dialect> SqlStore<D> {
    /// See [`super::OrderStore::migrate`].
    pub(super) async fn apply_migrations(&self) -> Result<(), StoreError> {
        D::migrate(&self.pools.writers).await.map_err(migration_error::<D>)
    }

    /// See [`super::OrderStore::check_schema`].
    pub(super) async fn verify_schema(&self) -> Result<i64, StoreError> {
        let applied = match self.applied_migrations().await {
            Err(failure) if D::is_missing_table(&failure) => return Err(SchemaError::Missing.into()),
            result => result?,
        };
        if let Some(half) = applied.iter().find(|applied| !applied.is_complete) {
            return Err(SchemaError::HalfWay { version: half.version }.into());
        }
        let found = applied.iter().map(|applied| applied.version).max().ok_or(SchemaError::Missing)?;
        for needed in D::migrator().iter() {
            match applied.iter().find(|applied| applied.version == needed.version) {
                None => return Err(SchemaError::Behind { found, needed: newest::<D>() }.into()),
                Some(applied) if *applied.checksum != *needed.checksum => {
                    return Err(SchemaError::Changed { version: needed.version }.into());
                }
                Some(_) => {}
            }
        }
        self.verify_strictness().await?;
        Ok(found)
    }

    async fn applied_migrations(&self) -> Result<Vec<Applied>, Failure> {
        const KINDS: &[Kind] = &[Kind::Int, Kind::Bytes, Kind::Int];
        // CAST, because a driver may hand a BOOLEAN over as something that is no number.
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

    async fn verify_strictness(&self) -> Result<(), Failure> {
        let Some(query) = D::STRICT_MODE_QUERY else { return Ok(()) };
        let operation = "read the session's mode";
        for row in self.look_up(operation, Statement::new(query), &[Kind::Text]).await? {
            if !row.text(0)?.contains("STRICT_") {
                let what = "sql_mode is not strict, so values could be clipped silently; a proxy undoes SET";
                return Err(Failure::fatal(Fault::new(operation, what)));
            }
        }
        Ok(())
    }
}

fn newest<D: Dialect>() -> i64 {
    D::migrator().iter().map(|migration| migration.version).max().unwrap_or_default()
}

fn migration_error<D: Dialect>(error: MigrateError) -> StoreError {
    let operation = "migrate";
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            D::classify(operation, &error).into()
        }
        MigrateError::VersionMismatch(version) => SchemaError::Changed { version }.into(),
        MigrateError::Dirty(version) => SchemaError::HalfWay { version }.into(),
        MigrateError::VersionMissing(version) => StoreError::Fatal(Fault::new(
            operation,
            format!("the database has migration {version}, which this program does not know: it is newer"),
        )),
        other => StoreError::Fatal(Fault::new(operation, other.to_string())),
    }
}
