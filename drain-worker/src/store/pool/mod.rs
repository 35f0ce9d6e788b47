//! The pool's tables: settings, leases, audit trail.
//!
//! No lock outlives a statement here, except while a lease is fenced or the settings change. A worker writes its own
//! lease. Lowering a share touches that row alone; raising one replaces the group's `version` as well, and only if it is
//! still the one that was read, so of two raises that were decided on the same group one has no effect. A version is a
//! random number: a database that loses its last transactions in a failover never returns to one that a worker has read.
//!
//! `_us` is microseconds since 1970 by the database's clock.

mod audit;
mod join;
mod leases;
mod settings;
mod statements;

pub(super) use audit::{AuditRecord, BY_NUMBER, insert_audit, record_act_page};

use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::{LeaseId, StoreError};
use crate::control::{GroupSettings, SettingsChangeError};

pub use audit::ActPage;
pub use join::WORKERS_MAX;
pub use settings::ChangedSettings;

/// The group as one statement read it.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    /// The database's clock, µs.
    pub now_us: i64,
    pub revision: i64,
    pub settings: GroupSettings,
    /// Another number after each raise of a share.
    pub version: i64,
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
    /// Number of changes of `share` and `wanted`.
    pub changes: i64,
    /// µs.
    pub joined_us: i64,
    /// The worker cannot commit from then on unless it renews the lease, µs.
    pub expires_us: i64,
    /// When its fence was removed, µs.
    pub fenced_us: Option<i64>,
    /// JSON: the worker's own report; empty where it was not read.
    pub report: String,
}

impl Lease {
    /// True if the worker may commit under the lease at `now_us`.
    #[must_use]
    pub const fn is_live(&self, now_us: i64) -> bool {
        self.fenced_us.is_none() && self.expires_us > now_us
    }
}

#[derive(Clone, Debug)]
pub struct JoinRequest<'a> {
    pub group: &'a str,
    pub lease: LeaseId,
    /// Host and process, for display; at most 128 characters.
    pub worker: &'a str,
    /// The settings of a group that is new to the database.
    pub seed: &'a GroupSettings,
    /// Time until the lease expires without a renewal.
    pub ttl: Duration,
}

#[derive(Clone, Debug)]
pub struct Renewal<'a> {
    pub lease: LeaseId,
    /// Time until the lease expires from now on.
    pub ttl: Duration,
    /// JSON: the worker's own report.
    pub report: &'a str,
}

/// A change of a worker's own share.
#[derive(Clone, Copy, Debug)]
pub struct ShareChange<'a> {
    pub group: &'a str,
    pub lease: LeaseId,
    /// Orders a second.
    pub share: u32,
    /// Orders a second that the worker could commit.
    pub wanted: u32,
    /// [`Lease::changes`] before this change.
    pub changes: i64,
    /// [`GroupSnapshot::version`] that a raise was decided on; `None`: the share is not raised.
    pub raised_on: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Another change came first.
    #[error("the settings have changed: revision {} is in force, not {made_on}", present.revision)]
    Changed { made_on: i64, present: Box<GroupSnapshot> },
    #[error(transparent)]
    Rejected(#[from] SettingsChangeError),
    #[error("no worker of the group '{group}' has ever run on this database")]
    UnknownGroup { group: String },
    /// The COMMIT was sent, and the database has not answered since.
    #[error("the change may be in force: {0}")]
    Unconfirmed(StoreError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Ascending with time.
    pub id: i64,
    /// UTC, by the database's clock.
    pub at: OffsetDateTime,
    /// The name of the token; empty: none.
    pub actor: String,
    pub who: String,
    pub action: String,
    pub detail: String,
    pub reason: String,
    /// The revision that a change of the settings made.
    pub revision: Option<i64>,
    /// The values that the act replaced, as JSON.
    pub before: Option<Value>,
    /// The values that it set, as JSON.
    pub after: Option<Value>,
}

/// The store as a pool member uses it. [`crate::store::Store`] implements it; so does the simulation in `tests/pool_sim`.
/// Retrying after [`StoreError::Transient`] is always safe.
pub trait PoolStore: Send + Sync + 'static {
    /// Adds a lease with a share of 0, and the group if it is new.
    ///
    /// # Errors
    /// [`StoreError::Transient`], also if the group has [`WORKERS_MAX`] workers; or [`StoreError::Fatal`].
    fn join(&self, request: &JoinRequest<'_>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Renews a lease and stores its worker's report: one statement. A lease that is fenced or gone stays so, which the
    /// next [`PoolStore::read`] reports.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn renew(&self, renewal: &Renewal<'_>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads the group for the worker of `lease`: one statement, without locks.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the lease is gone or fenced, join again; [`StoreError::Transient`] or
    /// [`StoreError::Fatal`].
    fn read(
        &self,
        group: &str,
        lease: LeaseId,
        reports: bool,
    ) -> impl Future<Output = Result<GroupSnapshot, StoreError>> + Send;

    /// Changes a worker's own share: one statement. It has no effect if the lease is fenced, if another change came
    /// first, or if another worker raised its share meanwhile; [`Lease::changes`] shows which.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`]; the change may take effect later, or never.
    fn set_share(&self, change: &ShareChange<'_>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the fence of `lease` if the lease has expired, or has not been renewed since its expiry was `silent_since`,
    /// and no transaction under it is in flight. Does not wait for such a transaction: the caller has its own lease to
    /// renew. Returns true if the lease has no fence now.
    ///
    /// # Errors
    /// [`StoreError::Transient`], also if a transaction is in flight: retry; or [`StoreError::Fatal`].
    fn fence(
        &self,
        lease: LeaseId,
        silent_since: Option<i64>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Deletes a fenced lease.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn forget(&self, lease: LeaseId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the worker's own lease. Its share is free at once: the worker must have no credit outstanding.
    ///
    /// # Errors
    /// [`StoreError::Transient`], also if a transaction in flight takes too long; or [`StoreError::Fatal`].
    fn leave(&self, lease: LeaseId) -> impl Future<Output = Result<(), StoreError>> + Send;
}

fn written(settings: &GroupSettings) -> String {
    #[expect(clippy::expect_used, reason = "numbers and strings always serialise")]
    serde_json::to_string(settings).expect("settings serialise")
}
