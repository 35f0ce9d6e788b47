//! What keeps a worker whose lease is gone from committing.

use std::fmt;
use std::str::FromStr;

use super::error::{DbError, DbErrorDetail, ErrorClass};
use super::sql::{ColumnKind, Statement};
use super::transaction::Transaction;

/// Names one lease: a worker gets another one whenever it has to join again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u128);

impl LeaseId {
    /// One that nobody has had.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The lease with this number.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for LeaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Debug for LeaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for LeaseId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// Under which right a transaction writes orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// A worker's lease: the transaction fails with [`super::StoreError::Fenced`] once that is gone or lapsed.
    Lease(LeaseId),
    /// None: for who has the database to themselves, such as tests and measurements.
    Open,
}

/// Takes the shared lock on the lease's fence until the end of the transaction.
///
/// It comes first in a transaction, and locks no snapshot in: a locking read sees what is newest.
pub(super) async fn lock_shared(transaction: &mut Transaction, fence: Fence) -> Result<(), DbError> {
    let Fence::Lease(lease) = fence else { return Ok(()) };
    let lease = lease.to_string();
    let statement = Statement::new("SELECT 1 FROM drain_fences WHERE lease_id = ?")
        .bind(lease.as_str())
        .text(transaction.dialect.for_share);
    let rows = transaction.fetch("pass the fence", statement, &[ColumnKind::Int]).await?;
    if rows.is_empty() { Err(fenced("the lease is gone")) } else { Ok(()) }
}

/// Passes the fence, and says whether there are dead letters at all: hardly ever, and then nobody looks for the batch's.
///
/// One statement for three answers, for each is a trip to the database. It locks the fence's row alone: a locking read
/// does not lock what its subqueries read.
pub(super) async fn lock_for_commit(transaction: &mut Transaction, fence: Fence) -> Result<bool, DbError> {
    const KINDS: &[ColumnKind] = &[ColumnKind::Int, ColumnKind::Int];
    const NEWEST_LETTER: &str = "SELECT (SELECT MAX(id) FROM dead_letters), ";
    let rows = match fence {
        Fence::Open => {
            transaction.fetch("look for letters", Statement::new(NEWEST_LETTER).text("1"), KINDS).await?
        }
        Fence::Lease(lease) => {
            let lease = lease.to_string();
            let statement = Statement::new(NEWEST_LETTER)
                .text("(SELECT COUNT(*) FROM drain_leases WHERE lease_id = ? AND expires_us > ")
                .bind(lease.as_str())
                .text(transaction.dialect.now_us)
                .text(") FROM drain_fences WHERE lease_id = ?")
                .bind(lease.as_str())
                .text(transaction.dialect.for_share);
            transaction.fetch("pass the fence", statement, KINDS).await?
        }
    };
    let row = rows.first().ok_or_else(|| fenced("the lease is gone"))?;
    if row.int(1)? == 0 {
        return Err(fenced("the lease has lapsed"));
    }
    Ok(row.optional_int(0)?.is_some())
}

/// The transaction's lease does not let it commit.
pub(in crate::store) fn fenced(what: &str) -> DbError {
    DbError { class: ErrorClass::Fenced, detail: DbErrorDetail::new("commit orders", what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_reads_back_from_its_text() {
        for lease in [LeaseId::from_u128(0), LeaseId::from_u128(u128::MAX), LeaseId::random()] {
            assert_eq!(lease.to_string().len(), 32);
            assert_eq!(lease.to_string().parse(), Ok(lease));
        }
    }
}
