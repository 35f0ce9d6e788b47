//! The pool's tables: settings, leases, audit trail.
//!
//! Every transaction that changes shares or settings holds the lock of its group's row. `_us` is microseconds since
//! 1970 by the database's clock.

mod leases;
mod settings;

pub(super) use settings::insert_audit;

use std::future::Future;
use std::time::Duration;

use time::OffsetDateTime;

use super::{LeaseId, StoreError};
use crate::control::{GroupSettings, SettingsChangeError};

/// The group as one transaction saw it.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    /// The database's clock, µs.
    pub now_us: i64,
    pub revision: i64,
    pub settings: GroupSettings,
    /// Live and recently expired leases, by id.
    pub leases: Vec<Lease>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub id: LeaseId,
    pub worker: String,
    /// Orders a second: never less than the worker's outstanding credits.
    pub share: u32,
    /// Orders a second that the worker could commit; 0: it is leaving.
    pub wanted: u32,
    /// µs.
    pub joined_us: i64,
    /// The worker cannot commit from then on, µs.
    pub expires_us: i64,
    /// When its fence was removed, µs.
    pub fenced_us: Option<i64>,
    /// JSON: the worker's own report.
    pub report: String,
}

#[derive(Clone, Debug)]
pub struct JoinRequest<'a> {
    pub group: &'a str,
    pub lease: LeaseId,
    /// Host and process, for display; at most 128 characters.
    pub worker: &'a str,
    /// The settings of a group that is new to the database.
    pub seed: &'a GroupSettings,
    /// Time until the lease expires without a heartbeat.
    pub ttl: Duration,
}

#[derive(Clone, Debug)]
pub struct Heartbeat<'a> {
    pub group: &'a str,
    pub lease: LeaseId,
    /// Orders a second that the worker could commit.
    pub wanted: u32,
    /// Time until the lease expires from now on.
    pub ttl: Duration,
    /// JSON: the worker's own report.
    pub report: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(transparent)]
    Rejected(#[from] SettingsChangeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Ascending with time.
    pub id: i64,
    /// UTC, by the database's clock.
    pub at: OffsetDateTime,
    pub who: String,
    pub action: String,
    pub detail: String,
    pub reason: String,
}

/// The store as a pool member uses it. [`crate::store::Store`] implements it; so does the simulation in `tests/pool_sim`.
/// Retrying after [`StoreError::Transient`] is always safe.
pub trait PoolStore: Send + Sync + 'static {
    /// Adds a lease with a share of 0, and the group if it is new.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn join(&self, request: &JoinRequest<'_>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Renews a lease and sets its share to the result of `decide` for the group, in one transaction. Returns the
    /// previous group, and that share.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the lease is gone or has expired, join again. After [`StoreError::Transient`] or
    /// [`StoreError::Fatal`] the share may have been set.
    fn heartbeat(
        &self,
        heartbeat: &Heartbeat<'_>,
        decide: impl Fn(&GroupSnapshot) -> u32 + Send + Sync,
    ) -> impl Future<Output = Result<(GroupSnapshot, u32), StoreError>> + Send;

    /// Removes the fence of `lease` if the lease has expired and no transaction under it is in flight. Does not wait
    /// for such a transaction: none begins under an expired lease, and the caller has its own heartbeat to send.
    /// Returns true if the lease has no fence now.
    ///
    /// # Errors
    /// [`StoreError::Transient`], also if a transaction is in flight: retry; or [`StoreError::Fatal`].
    fn fence(&self, group: &str, lease: LeaseId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes the worker's own lease. Its share is free at once: the worker must have no credit outstanding.
    ///
    /// # Errors
    /// [`StoreError::Transient`], also if a transaction in flight takes too long; or [`StoreError::Fatal`].
    fn leave(&self, group: &str, lease: LeaseId) -> impl Future<Output = Result<(), StoreError>> + Send;
}

fn written(settings: &GroupSettings) -> String {
    #[expect(clippy::expect_used, reason = "numbers and strings always serialise")]
    serde_json::to_string(settings).expect("settings serialise")
}
