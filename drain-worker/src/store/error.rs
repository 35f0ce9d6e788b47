//! What can go wrong, sorted by what the caller can do about it.
//!
//! Messages of a database may quote values, and values may be personal data. So an error here never holds the
//! message it came from, nor the error as its source: it holds a code, a fixed text for it, and at most the name of
//! the column, key or constraint concerned.

use std::fmt;

/// Why the store did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database is down, overloaded, failing over or busy: the same call may succeed later. Nothing is lost
    /// and nothing is known to be done; if the connection broke during COMMIT it may have been done, which the
    /// next call finds out by reading.
    #[error("the database is not available for now: {0}")]
    Transient(DbErrorDetail),
    /// The database refuses what was to be written, and would refuse it again.
    #[error("the database refuses the write: {0}")]
    Permanent(DbErrorDetail),
    /// The database cannot be used before somebody changes something: schema, account or configuration.
    #[error("the database cannot be used: {0}")]
    Fatal(DbErrorDetail),
    /// The worker's lease is gone or has lapsed: nothing was written under it, and nothing will be. Join the pool again.
    #[error("the worker may not write: {0}")]
    Fenced(DbErrorDetail),
    /// The database's schema is not the one that this program needs.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The catalogue cannot be applied; nothing of it was.
    #[error("the catalogue cannot be applied: {}", faults.join("; "))]
    Catalogue {
        /// Everything that stands against it.
        faults: Vec<String>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}

/// How the database's schema differs from the one that this program needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// There is no schema.
    #[error("the database has no schema yet; run `drain-worker migrate`")]
    Missing,
    /// Migrations are missing.
    #[error(
        "the database's schema is at version {found}, this program needs {needed}; run `drain-worker migrate`"
    )]
    Behind {
        /// The database's version.
        found: i64,
        /// The version needed.
        needed: i64,
    },
    /// A migration stopped half-way: DDL has no transactions on MySQL.
    #[error(
        "migration {version} stopped half-way; put the schema right by hand, delete the row of version {version} \
         in _sqlx_migrations and run `drain-worker migrate`"
    )]
    HalfWay {
        /// The migration.
        version: i64,
    },
    /// A migration that was applied is not the one this program has under that number.
    #[error("migration {version} was applied with another content than this program's")]
    Changed {
        /// The migration.
        version: i64,
    },
}

/// What happened, without any value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbErrorDetail {
    /// What was being done.
    pub operation: &'static str,
    /// The database's error number or result code; `None` if the detail is not the database's.
    pub code: Option<u32>,
    /// What happened.
    pub what: String,
    /// Name of the column, key, table or constraint concerned, where it is known.
    pub subject: Option<String>,
}

impl DbErrorDetail {
    pub(super) fn new(operation: &'static str, what: impl Into<String>) -> Self {
        Self { operation, code: None, what: what.into(), subject: None }
    }
}

impl fmt::Display for DbErrorDetail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.operation, self.what)?;
        if let Some(subject) = &self.subject {
            write!(formatter, " ({subject})")?;
        }
        if let Some(code) = self.code {
            write!(formatter, " [{code}]")?;
        }
        Ok(())
    }
}

/// What a failure calls for. Finer than [`StoreError`]: the store itself deals with the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// Another transaction was in the way: run the whole transaction again now.
    Contention,
    /// A row of that key is there: most likely written since it was looked for; run the transaction again, and
    /// if that does not help the row is at detail.
    DuplicateKey,
    /// Wait, then try again.
    Transient,
    /// The row is at detail.
    Row,
    /// The lease does not allow it.
    Fenced,
    /// Somebody must change something.
    Fatal,
}

/// A failure within the store.
#[derive(Clone, Debug)]
pub(super) struct DbError {
    pub(super) class: ErrorClass,
    pub(super) detail: DbErrorDetail,
}

impl DbError {
    pub(super) const fn fatal(detail: DbErrorDetail) -> Self {
        Self { class: ErrorClass::Fatal, detail }
    }

    /// It took longer than the configuration allows.
    pub(super) fn timeout(operation: &'static str) -> Self {
        Self { class: ErrorClass::Transient, detail: DbErrorDetail::new(operation, "took too long") }
    }
}

impl From<DbError> for StoreError {
    fn from(DbError { class, detail }: DbError) -> Self {
        match class {
            ErrorClass::Contention | ErrorClass::Transient => Self::Transient(detail),
            ErrorClass::DuplicateKey | ErrorClass::Row => Self::Permanent(detail),
            ErrorClass::Fenced => Self::Fenced(detail),
            ErrorClass::Fatal => Self::Fatal(detail),
        }
    }
}

/// What a dialect makes of a code of its database.
pub(super) type Classified = (ErrorClass, &'static str);

/// Sorts an error of the driver. `by_code` sorts what the database itself reported, and names what it concerns.
pub(super) fn classify(
    operation: &'static str,
    error: &sqlx::Error,
    by_code: impl FnOnce(&(dyn sqlx::error::DatabaseError + 'static)) -> (u32, Classified, Option<String>),
) -> DbError {
    let failure = |class, what: String| DbError { class, detail: DbErrorDetail::new(operation, what) };
    match error {
        sqlx::Error::Database(error) => {
            let (code, (class, what), subject) = by_code(error.as_ref());
            DbError {
                class,
                detail: DbErrorDetail { operation, code: Some(code), what: what.to_owned(), subject },
            }
        }
        // The texts of these name sockets, certificates and options, never values.
        sqlx::Error::Io(error) => failure(ErrorClass::Transient, format!("connection: {error}")),
        sqlx::Error::Tls(error) => failure(ErrorClass::Transient, format!("TLS: {error}")),
        sqlx::Error::Configuration(error) => failure(ErrorClass::Fatal, format!("address: {error}")),
        sqlx::Error::PoolTimedOut => failure(ErrorClass::Transient, "no connection in time".to_owned()),
        sqlx::Error::PoolClosed => failure(ErrorClass::Transient, "the store is closed".to_owned()),
        // A server or proxy that goes away in mid-sentence looks like this too.
        sqlx::Error::Protocol(_) => {
            failure(ErrorClass::Transient, "the server broke the protocol".to_owned())
        }
        sqlx::Error::WorkerCrashed => {
            failure(ErrorClass::Transient, "the connection's thread ended".to_owned())
        }
        _ => failure(ErrorClass::Fatal, "the driver and the schema do not fit together".to_owned()),
    }
}

/// The last token of `message` after `marker`, if it looks like an identifier and nothing else.
///
/// Databases put the name at the end, after any value, so the last `marker` is theirs and not a value's.
pub(super) fn identifier_after(message: &str, marker: &str) -> Option<String> {
    let (_, tail) = message.rsplit_once(marker)?;
    let tail = tail.split(" at row ").next()?;
    let name: String = tail.chars().filter(|character| !matches!(character, '\'' | '`' | '"')).collect();
    let name = name.trim().trim_end_matches('.');
    let is_identifier =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '$');
    (!name.is_empty() && name.len() <= 130 && name.chars().all(is_identifier)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identifiers_are_taken_from_messages() {
        for (message, marker, expected) in [
            ("Data too long for column 'client_reference' at row 7", "for column ", Some("client_reference")),
            ("Duplicate entry 'alice-1' for key 'orders.PRIMARY'", "for key ", Some("orders.PRIMARY")),
            ("Duplicate entry 'x for key 'bob'' for key 'PRIMARY'", "for key ", Some("PRIMARY")),
            (
                "Incorrect string value: '\\xF0' for column `db`.`orders`.`user_id` at row 1",
                "for column ",
                Some("db.orders.user_id"),
            ),
            ("Duplicate entry 'x' for key 'a value, not a name'", "for key ", None),
            ("No such marker", "for key ", None),
            ("for key ''", "for key ", None),
        ] {
            assert_eq!(identifier_after(message, marker).as_deref(), expected, "{message}");
        }
    }

    #[test]
    fn a_fault_reads_as_one_line() {
        let detail = DbErrorDetail {
            operation: "insert orders",
            code: Some(1406),
            what: "a value is too long".to_owned(),
            subject: Some("client_reference".to_owned()),
        };
        assert_eq!(detail.to_string(), "insert orders: a value is too long (client_reference) [1406]");
    }
}
