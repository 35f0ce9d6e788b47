//! The pool's tables: settings, leases, audit trail.
//!
//! [`PoolStore`] is the seam; the simulation has another one. Whatever gives shares out or changes settings does so
//! holding its group's row, one at a time. `_us` is microseconds since 1970 by the database's clock.

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
    /// StoreTotals changes of the settings.
    pub revision: i64,
    /// What operators set.
    pub settings: GroupSettings,
    /// Everybody who lives or did a moment ago, by lease.
    pub leases: Vec<Lease>,
}

/// A worker's place in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Names it.
    pub id: LeaseId,
    /// Host and process, for people.
    pub worker: String,
    /// Orders a second: never less than the worker has granted and not got back.
    pub share: u32,
    /// Orders a second that it could use; 0: it is leaving.
    pub wanted: u32,
    /// When it joined, µs.
    pub joined_us: i64,
    /// From then on it cannot commit, µs.
    pub expires_us: i64,
    /// Since when its fence is gone, µs.
    pub fenced_us: Option<i64>,
    /// JSON that the worker tells about itself.
    pub report: String,
}

/// Who joins.
#[derive(Clone, Debug)]
pub struct JoinRequest<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// A lease that nobody has had.
    pub lease: LeaseId,
    /// Host and process, for people; at most 128 characters.
    pub worker: &'a str,
    /// What is set if the group is new to the database.
    pub seed: &'a GroupSettings,
    /// How long the lease lasts without a heartbeat.
    pub ttl: Duration,
}

/// A heartbeat.
#[derive(Clone, Debug)]
pub struct Heartbeat<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// Whose.
    pub lease: LeaseId,
    /// Orders a second that it could use.
    pub wanted: u32,
    /// How long the lease lasts from now on.
    pub ttl: Duration,
    /// JSON about the worker.
    pub report: &'a str,
}

/// A change was not made.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be meant.
    #[error(transparent)]
    Rejected(#[from] SettingsChangeError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Something that operators did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, ascending with time.
    pub id: i64,
    /// When, UTC, by the database's clock.
    pub at: OffsetDateTime,
    /// Who, as the caller said.
    pub who: String,
    /// What.
    pub action: String,
    /// More about it.
    pub detail: String,
    /// Why, as the caller said.
    pub reason: String,
}

/// Keeps the pool. Calling again after [`StoreError::Transient`] is always safe.
pub trait PoolStore: Send + Sync + 'static {
    /// Adds a lease with a share of 0, and the group if it is new.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn join(&self, request: &JoinRequest<'_>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Renews a lease and sets its share to what `decide` makes of the group, in one transaction. Returns the group as
    /// it was, and that share.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the lease is gone or has lapsed, join again. [`StoreError::Transient`] or [`StoreError::Fatal`]; the
    /// share may have been set then.
    fn heartbeat(
        &self,
        heartbeat: &Heartbeat<'_>,
        decide: impl Fn(&GroupSnapshot) -> u32 + Send + Sync,
    ) -> impl Future<Output = Result<(GroupSnapshot, u32), StoreError>> + Send;

    /// Takes the right to commit from `lease` if it has lapsed and no transaction under it is under way. Does not wait for
    /// those: none begins under a lapsed lease, and whoever asks has a heartbeat of its own to send. Returns whether the
    /// lease is without that right now.
    ///
    /// # Errors
    /// [`StoreError::Transient`], also if a transaction is under way: ask again; or [`StoreError::Fatal`].
    fn fence(&self, group: &str, lease: LeaseId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes a lease that its own worker gives up. Its share is free at once: the worker must have nothing
    /// outstanding.
    ///
    /// # Errors
    /// [`StoreError::Transient`], also if a transaction under way takes too long; or [`StoreError::Fatal`].
    fn leave(&self, group: &str, lease: LeaseId) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The settings as they are kept.
fn written(settings: &GroupSettings) -> String {
    #[expect(clippy::expect_used, reason = "numbers and strings always serialise")]
    serde_json::to_string(settings).expect("settings serialise")
}
