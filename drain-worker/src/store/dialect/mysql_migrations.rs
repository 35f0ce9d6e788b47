//! Applies migrations to MySQL while orders are committed.
//!
//! DDL needs a table's metadata lock, which waits for every transaction that has used the table, and every later statement
//! on the table waits behind it. A dump's transaction lasts for hours, and the server's default bound is a year. So each
//! statement waits for a second at most, then leaves the way to the commits, and tries again.
//!
//! One connection does all of it and holds the migrators' lock: the server never ends a session that is in use.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, Connection};
use tokio::time::Instant;

use super::super::error::{DbError, SchemaError, StoreError};
use super::{CONNECT, Dialect, SQL_MODE};

/// Waits up to a minute for other processes that migrate the same database. The lock belongs to the connection.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('spillway-migrate-', MD5(DATABASE())), 60)";

/// Returns the connection of the process that migrates the database, or NULL.
pub(super) const LOCK_HOLDER: &str =
    "SELECT CAST(IS_USED_LOCK(CONCAT('spillway-migrate-', MD5(DATABASE()))) AS SIGNED)";

/// `lock_wait_timeout` is the wait for a metadata lock, in whole seconds. `wait_timeout` outlasts [`PAUSE`] and ends the
/// session of a migrator whose machine has gone.
const SESSION: &str =
    "SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1, wait_timeout = 60, sql_mode = ";

/// Time between two attempts at a statement: commits have four fifths of the time.
const PAUSE: Duration = Duration::from_secs(4);

/// Attempts at a statement: five minutes in all.
const ATTEMPTS_MAX: u32 = 60;

/// The driver's table of applied migrations.
const TABLE: &str = "_sqlx_migrations";

/// The server's number for a lock that was not granted in time.
const LOCK_WAIT_TIMEOUT: u16 = 1205;

pub(super) async fn apply(
    options: &MySqlConnectOptions,
    connect_timeout: Duration,
    migrations: &Migrator,
    dialect: &Dialect,
) -> Result<(), StoreError> {
    let opening = tokio::time::timeout(connect_timeout, MySqlConnection::connect_with(options));
    let opened = opening.await.map_err(|_| StoreError::from(DbError::timeout(CONNECT)))?;
    let mut connection = opened.map_err(|error| StoreError::from(dialect.classify(CONNECT, &error)))?;
    let applied = apply_locked(&mut connection, migrations).await;
    // The end of its connection releases the lock for certain.
    let _closed = connection.close().await;
    applied.map_err(|failure| match failure {
        MigrationFailure::Schema(fault) => fault.into(),
        MigrationFailure::Driver(error) => dialect.classify_migration(error),
    })
}

enum MigrationFailure {
    Schema(SchemaError),
    Driver(MigrateError),
}

impl From<SchemaError> for MigrationFailure {
    fn from(fault: SchemaError) -> Self {
        Self::Schema(fault)
    }
}

impl From<MigrateError> for MigrationFailure {
    fn from(error: MigrateError) -> Self {
        Self::Driver(error)
    }
}

impl From<sqlx::Error> for MigrationFailure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(MigrateError::Execute(error))
    }
}

async fn apply_locked(
    connection: &mut MySqlConnection,
    migrations: &Migrator,
) -> Result<(), MigrationFailure> {
    // Texts of this crate.
    let session = AssertSqlSafe(format!("{SESSION}'{SQL_MODE}'"));
    sqlx::raw_sql(session).execute(&mut *connection).await?;
    let locked: Option<i64> = sqlx::query_scalar(LOCK).fetch_one(&mut *connection).await?;
    if locked != Some(1) {
        return Err(SchemaError::Migrating.into());
    }
    for migration in missing(connection, migrations).await? {
        apply_one(connection, migration).await?;
    }
    Ok(())
}

/// The migrations that the database lacks, in order.
async fn missing<'a>(
    connection: &mut MySqlConnection,
    migrations: &'a Migrator,
) -> Result<Vec<&'a Migration>, MigrateError> {
    connection.ensure_migrations_table(TABLE).await?;
    if let Some(version) = connection.dirty_version(TABLE).await? {
        return Err(MigrateError::Dirty(version));
    }
    let applied = connection.list_applied_migrations(TABLE).await?;
    if let Some(newer) = applied.iter().find(|applied| !migrations.version_exists(applied.version)) {
        return Err(MigrateError::VersionMissing(newer.version));
    }
    let mut missing = Vec::new();
    for migration in migrations.iter() {
        match applied.iter().find(|applied| applied.version == migration.version) {
            Some(applied) if applied.checksum != migration.checksum => {
                return Err(MigrateError::VersionMismatch(migration.version));
            }
            Some(_) => {}
            None => missing.push(migration),
        }
    }
    Ok(missing)
}

/// Applies one migration. DDL commits by itself, so the migration's row says whether it is complete.
async fn apply_one(connection: &mut MySqlConnection, migration: &Migration) -> Result<(), MigrationFailure> {
    let began = Instant::now();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (?, ?, FALSE, ?, -1)",
    )
    .bind(migration.version)
    .bind(&*migration.description)
    .bind(&*migration.checksum)
    .execute(&mut *connection)
    .await?;
    for (index, statement) in statements(migration.sql.as_str()).iter().enumerate() {
        let Err(failure) = execute(connection, migration.version, statement).await else { continue };
        // A DDL statement that the server rejects has changed nothing.
        if index == 0 && matches!(failure, sqlx::Error::Database(_)) {
            sqlx::query("DELETE FROM _sqlx_migrations WHERE version = ?")
                .bind(migration.version)
                .execute(&mut *connection)
                .await?;
        }
        return Err(match number(&failure) {
            Some(LOCK_WAIT_TIMEOUT) if index == 0 => {
                SchemaError::TableInUse { version: migration.version }.into()
            }
            _ => failure.into(),
        });
    }
    sqlx::query("UPDATE _sqlx_migrations SET success = TRUE, execution_time = ? WHERE version = ?")
        .bind(i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX))
        .bind(migration.version)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

async fn execute(connection: &mut MySqlConnection, version: i64, statement: &str) -> Result<(), sqlx::Error> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        // The text is a migration's.
        let result = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await;
        match result {
            Err(failure) if number(&failure) == Some(LOCK_WAIT_TIMEOUT) && attempts < ATTEMPTS_MAX => {
                tracing::warn!(
                    event = "migration_waits",
                    version,
                    attempts,
                    attempts_max = ATTEMPTS_MAX,
                    "an open transaction uses the table; trying again in {} s",
                    PAUSE.as_secs()
                );
                tokio::time::sleep(PAUSE).await;
            }
            result => return result.map(drop),
        }
    }
}

/// The statements of a migration: each ends with a semicolon at the end of a line. Lines of comments are left out.
fn statements(sql: &str) -> Vec<String> {
    let code: Vec<_> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    code.join("\n")
        .split(";\n")
        .map(|statement| statement.trim().trim_end_matches(';').to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

fn number(error: &sqlx::Error) -> Option<u16> {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>())
        .map(sqlx::mysql::MySqlDatabaseError::number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Vec<(i64, Vec<String>)> {
        sqlx::migrate!("migrations/mysql")
            .iter()
            .map(|migration| (migration.version, statements(migration.sql.as_str())))
            .collect()
    }

    #[test]
    fn a_migration_is_cut_into_its_statements() {
        let sql =
            "-- A; comment.\nCREATE TABLE a (\n    b INT COMMENT 'x; y'\n);\n\n-- Another;\nDROP TABLE c;";
        assert_eq!(statements(sql), ["CREATE TABLE a (\n    b INT COMMENT 'x; y'\n)", "DROP TABLE c"]);
        for (version, statements) in shipped() {
            for statement in statements {
                let word = statement.split_whitespace().next().unwrap_or_default();
                assert!(["CREATE", "ALTER", "DROP", "INSERT"].contains(&word), "{version}: {statement}");
            }
        }
    }

    /// Without them the server may copy the table, and block writes for as long (MySQL 8.0 manual, 17.12.1). A migration
    /// of one statement is never half-way.
    #[test]
    fn a_change_of_a_table_says_how_and_stands_alone() {
        for (version, statements) in shipped() {
            let changes = |text: &&String| text.starts_with("ALTER") || text.starts_with("CREATE INDEX");
            for change in statements.iter().filter(changes) {
                assert!(change.contains("ALGORITHM"), "{version}: {change}");
                assert!(change.contains("LOCK") || change.contains("INSTANT"), "{version}: {change}");
                assert_eq!(statements.len(), 1, "{version}: a change of a table is a migration of its own");
            }
        }
    }
}
