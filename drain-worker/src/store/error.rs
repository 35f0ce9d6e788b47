//! Errors of the store, by what the caller can do.
//!
//! A database's message may quote values, and values may be personal data. So an error here contains neither the
//! message nor the original error, but a code, a fixed text, and at most the name of the column, key or constraint.

use std::fmt;

use super::address::DatabaseUrlFault;
use super::sale_sku::SaleSku;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database is down, overloaded, failing over or busy: retry the same call. Nothing is lost. If the
    /// connection broke during COMMIT, the transaction may be committed; the next call finds out.
    #[error("the database is temporarily unavailable: {0}")]
    Transient(DbErrorDetail),
    /// Another transaction holds a lock that the write needs; the database works, and nothing was written.
    #[error("another transaction holds a lock: {detail}")]
    Locked {
        detail: DbErrorDetail,
        /// The SKUs of the write whose stock is locked. Empty: another row is.
        skus: Vec<SaleSku>,
    },
    /// The database rejects the write, and would reject it again.
    #[error("the database rejects the write: {0}")]
    Permanent(DbErrorDetail),
    /// The database is unusable until an operator changes the schema, the account or the configuration.
    #[error("the database cannot be used: {0}")]
    Fatal(DbErrorDetail),
    /// The worker's lease is gone or has expired: nothing was or will be written under it. Join the pool again.
    #[error("the lease has expired: {0}")]
    Fenced(DbErrorDetail),
    #[error("the database's URL {0}")]
    Url(#[from] DatabaseUrlFault),
    /// The database has another schema than this program needs.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The catalogue cannot be applied; nothing of it was.
    #[error("the catalogue cannot be applied: {}", faults.join("; "))]
    Catalogue { faults: Vec<String> },
}

impl StoreError {
    /// True if the same call may succeed later without an operator's action.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_) | Self::Locked { .. })
    }

    /// True if the call fails in the same way until an operator changes the configuration, the account or the schema.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Fatal(_) | Self::Url(_) => true,
            Self::Schema(fault) => !matches!(fault, SchemaError::Migrating | SchemaError::TableInUse { .. }),
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    #[error("the database has no schema yet; run `drain-worker migrate`")]
    Missing,
    #[error(
        "the database's schema is at version {found}, this program needs {needed}; run `drain-worker migrate`"
    )]
    Behind { found: i64, needed: i64 },
    /// A migration stopped half-way: DDL has no transactions on MySQL.
    #[error(
        "migration {version} stopped half-way; repair the schema by hand, delete the row of version {version} \
         in _sqlx_migrations and run `drain-worker migrate`"
    )]
    HalfWay { version: i64 },
    #[error("another process is migrating the database; wait until it ends, then try again")]
    Migrating,
    #[error(
        "an open transaction has used a table of migration {version} for five minutes, and nothing was changed; end it \
         (SHOW FULL PROCESSLIST; a dump, as a rule), then run `drain-worker migrate` again"
    )]
    TableInUse { version: i64 },
    /// The applied migration differs from this program's migration of that number.
    #[error("migration {version} was applied with different content")]
    Changed { version: i64 },
}

/// The detail of an error, without any value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbErrorDetail {
    pub operation: &'static str,
    /// The database's error number or result code; `None` if the error is not the database's.
    pub code: Option<u32>,
    pub what: String,
    /// Name of the column, key, table or constraint, where known.
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

/// The consequence of an error. Finer than [`StoreError`]: the store retries and halves by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// Another transaction interfered: retry the whole transaction now.
    Contention,
    /// Another transaction has a lock and keeps it for longer than the session waits.
    Locked,
    /// A row of that key exists, most likely inserted since the read: retry the transaction. If that does not help,
    /// the row is at fault.
    DuplicateKey,
    Transient,
    /// A code of unknown meaning: an outage, or a fault of one row. The other rows show which.
    Unknown,
    Row,
    Fenced,
    Fatal,
}

#[derive(Clone, Debug)]
pub(super) struct DbError {
    pub(super) class: ErrorClass,
    pub(super) detail: DbErrorDetail,
}

impl DbError {
    pub(super) const fn fatal(detail: DbErrorDetail) -> Self {
        Self { class: ErrorClass::Fatal, detail }
    }

    /// True if the server answered every statement up to this failure, so that its connection is in a known state.
    pub(super) const fn is_answered(&self) -> bool {
        match self.class {
            ErrorClass::Contention | ErrorClass::DuplicateKey | ErrorClass::Row | ErrorClass::Fenced => true,
            // Otherwise the wait for the lock was not answered.
            ErrorClass::Locked => self.detail.code.is_some(),
            ErrorClass::Transient | ErrorClass::Unknown | ErrorClass::Fatal => false,
        }
    }

    pub(super) fn timeout(operation: &'static str) -> Self {
        Self { class: ErrorClass::Transient, detail: DbErrorDetail::new(operation, "took too long") }
    }
}

impl From<DbError> for StoreError {
    fn from(DbError { class, detail }: DbError) -> Self {
        match class {
            ErrorClass::Contention | ErrorClass::Locked => Self::Locked { detail, skus: Vec::new() },
            ErrorClass::Transient | ErrorClass::Unknown => Self::Transient(detail),
            ErrorClass::DuplicateKey | ErrorClass::Row => Self::Permanent(detail),
            ErrorClass::Fenced => Self::Fenced(detail),
            ErrorClass::Fatal => Self::Fatal(detail),
        }
    }
}

/// The class of a database's code, and its text.
pub(super) type Classified = (ErrorClass, &'static str);

/// Classifies an error of the driver. `by_code` classifies what the database reported.
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
        // These texts name sockets, certificates and options, never values.
        sqlx::Error::Io(error) => failure(ErrorClass::Transient, format!("connection: {error}")),
        sqlx::Error::Tls(error) => failure(ErrorClass::Transient, format!("TLS: {error}")),
        sqlx::Error::Configuration(error) => failure(ErrorClass::Fatal, format!("configuration: {error}")),
        sqlx::Error::PoolTimedOut => {
            failure(ErrorClass::Transient, "timed out waiting for a connection".to_owned())
        }
        sqlx::Error::PoolClosed => failure(ErrorClass::Transient, "the store is closed".to_owned()),
        // A server or proxy that disappears in mid-message also causes this.
        sqlx::Error::Protocol(_) => {
            failure(ErrorClass::Transient, "the server violated the protocol".to_owned())
        }
        sqlx::Error::WorkerCrashed => {
            failure(ErrorClass::Transient, "the connection's thread ended".to_owned())
        }
        _ => failure(ErrorClass::Fatal, "the driver and the schema do not match".to_owned()),
    }
}

/// The last token of `message` after `marker`, if it looks like an identifier.
///
/// Databases put the name at the end, after any value, so the last `marker` belongs to the database and not to a
/// value.
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
    fn only_identifiers_are_copied_from_messages() {
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
    fn an_error_is_one_line() {
        let detail = DbErrorDetail {
            operation: "insert orders",
            code: Some(1406),
            what: "a value is too long".to_owned(),
            subject: Some("client_reference".to_owned()),
        };
        assert_eq!(detail.to_string(), "insert orders: a value is too long (client_reference) [1406]");
    }
}
