//! The fence, which prevents commits of a worker whose lease is gone.

use std::fmt;
use std::str::FromStr;

use super::error::{DbError, DbErrorDetail, ErrorClass};
use super::sql::{ColumnKind, Statement};
use super::transaction::Transaction;

/// Identifies one lease: a worker gets a new one whenever it joins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u128);

impl Fence {
    /// The fence of a lease whose share never changes.
    #[must_use]
    pub const fn of(id: LeaseId) -> Self {
        Self::Lease { id, changes: 0 }
    }

    /// True if both are of one lease.
    #[must_use]
    pub fn is_same_lease(self, other: Self) -> bool {
        match (self, other) {
            (Self::Lease { id, .. }, Self::Lease { id: other, .. }) => id == other,
            (Self::Open, Self::Open) => true,
            _ => false,
        }
    }
}

impl LeaseId {
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

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

/// The permission under which a transaction writes orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// A worker's lease: the transaction fails with [`super::StoreError::Fenced`] once the lease is gone or has
    /// expired, or if a failover has lost its last changes, and with them perhaps the share that the orders are
    /// committed under.
    Lease {
        id: LeaseId,
        /// [`super::Lease::changes`] when the worker last read its share.
        changes: i64,
    },
    /// None: for exclusive users of the database, such as tests and measurements.
    Open,
}

/// Acquires the shared lock on the fence, checks the lease, and returns the number that changes with dead letters (see
/// [`super::lettered_orders`]).
///
/// One statement for three answers, because each statement is a round trip. It locks the fence's row alone: a locking
/// read does not lock the rows of its subqueries. It does not touch `dead_letters`: every commit would queue behind a
/// change of that table's definition, which itself waits for each open reader.
pub(super) async fn lock_for_commit(
    transaction: &mut Transaction,
    fence: Fence,
) -> Result<Option<i64>, DbError> {
    const KINDS: &[ColumnKind] = &[ColumnKind::Int, ColumnKind::Int];
    const CHANGES: &str = "SELECT (SELECT changes FROM dead_letter_changes), ";
    let rows = match fence {
        Fence::Open => {
            transaction.fetch("look for letters", Statement::new(CHANGES).text("1"), KINDS).await?
        }
        Fence::Lease { id, changes } => {
            let lease = id.to_string();
            let statement = Statement::new(CHANGES)
                .text("(SELECT COUNT(*) FROM drain_leases WHERE lease_id = ? AND changes >= ? AND expires_us > ")
                .bind(lease.as_str())
                .bind(changes)
                .text(transaction.dialect.now_us)
                .text(") FROM drain_fences WHERE lease_id = ?")
                .bind(lease.as_str())
                .text(transaction.dialect.for_share);
            transaction.fetch("check the fence", statement, KINDS).await?
        }
    };
    let row = rows.first().ok_or_else(|| fenced("the lease is gone"))?;
    if row.int(1)? == 0 {
        return Err(fenced("the lease has expired, or its last changes are lost"));
    }
    row.optional_int(0)
}

/// The error of a transaction whose lease does not allow the commit.
pub(in crate::store) fn fenced(what: &str) -> DbError {
    DbError { class: ErrorClass::Fenced, detail: DbErrorDetail::new("commit orders", what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_id_round_trips() {
        for lease in [LeaseId::from_u128(0), LeaseId::from_u128(u128::MAX), LeaseId::random()] {
            assert_eq!(lease.to_string().len(), 32);
            assert_eq!(lease.to_string().parse(), Ok(lease));
        }
    }
}
