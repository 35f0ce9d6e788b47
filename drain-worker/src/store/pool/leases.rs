//! Joining, heartbeats, fencing, leaving.
//!
//! Locks are taken in one order everywhere: a lease's fence, then the group. A heartbeat shares its own fence, so it
//! waits for whoever is just taking that away, and for nobody else.

use std::time::Duration;

use super::{Beat, Joining, Lease, Snapshot};
use crate::control::Settings;
use crate::store::LeaseId;
use crate::store::dialect::Dialect;
use crate::store::error::{Failure, StoreError};
use crate::store::fence::{self, Fence, fenced};
use crate::store::sql::{Kind, Row, Statement, unexpected};
use crate::store::sql_store::SqlStore;
use crate::store::transaction::Transaction;

/// How long a lease without a fence is still told, so that operators see who went.
const TOLD_AFTER_FENCING: Duration = Duration::from_secs(15);

const LEASE_KINDS: &[Kind] =
    &[Kind::Text, Kind::Text, Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Text];

impl<D: Dialect> SqlStore<D> {
    /// See [`super::PoolStore::join`].
    pub(in crate::store) async fn add_lease(&self, joining: &Joining<'_>) -> Result<(), StoreError> {
        let lease = joining.lease.to_string();
        let settings = super::written(joining.seed);
        let worker: String = joining.worker.chars().take(128).collect();
        let run = || async {
            let mut transaction = Transaction::<D>::begin(&self.pools.coordinator).await?;
            let result = async {
                let group = Statement::new("INSERT INTO drain_groups (group_id, revision, settings) VALUES (?, 0, ?)")
                    .bind(joining.group)
                    .bind(settings.as_str())
                    .text(D::KEEP_GROUP);
                transaction.execute("add the group", group).await?;
                let fence = Statement::new("INSERT INTO drain_fences (lease_id) VALUES (?)").bind(lease.as_str());
                transaction.execute("add a fence", fence).await?;
                let row = Statement::new(
                    "INSERT INTO drain_leases (lease_id, group_id, worker, share, wanted, report, joined_us, expires_us) \
                     VALUES (?, ?, ?, 0, 0, '{}', ",
                )
                .bind(lease.as_str())
                .bind(joining.group)
                .bind(worker.as_str())
                .text(D::NOW_US)
                .text(", ")
                .text(D::NOW_US)
                .text(" + ?)")
                .bind(microseconds(joining.ttl));
                transaction.execute("add a lease", row).await
            }
            .await;
            transaction.end(result).await
        };
        Ok(self.coordinating("join the pool", run).await?)
    }

    /// See [`super::PoolStore::beat`].
    pub(in crate::store) async fn renew_lease(
        &self,
        beat: &Beat<'_>,
        decide: &(impl Fn(&Snapshot) -> u32 + Send + Sync),
    ) -> Result<(Snapshot, u32), Failure> {
        let run = || async {
            let mut transaction = Transaction::<D>::begin(&self.pools.coordinator).await?;
            let result = async {
                fence::pass(&mut transaction, Fence::Lease(beat.lease)).await?;
                let Some(snapshot) = hold_group(&mut transaction, beat.group).await? else {
                    return Err(fenced("the group is gone"));
                };
                match snapshot.leases.iter().find(|lease| lease.id == beat.lease) {
                    Some(lease) if lease.expires_us > snapshot.now_us => {}
                    // Not renewed: its worker may have lost track of what it had granted, and starts anew.
                    Some(_) => return Err(fenced("the lease has lapsed")),
                    None => return Err(fenced("the lease is gone")),
                }
                let share = decide(&snapshot);
                forget(&mut transaction, beat.group, snapshot.now_us).await?;
                let lease = beat.lease.to_string();
                let update = Statement::new(
                    "UPDATE drain_leases SET share = ?, wanted = ?, report = ?, expires_us = ? WHERE lease_id = ?",
                )
                .bind(share)
                .bind(beat.wanted)
                .bind(beat.report)
                .bind(snapshot.now_us + microseconds(beat.ttl))
                .bind(lease.as_str());
                transaction.execute("renew a lease", update).await?;
                Ok((snapshot, share))
            }
            .await;
            transaction.end(result).await
        };
        self.coordinating("renew the lease", run).await
    }

    /// See [`super::PoolStore::fence`].
    pub(in crate::store) async fn fence_lapsed(&self, group: &str, lease: LeaseId) -> Result<bool, Failure> {
        let run = async {
            let mut transaction = Transaction::<D>::begin(&self.pools.coordinator).await?;
            let result = async {
                lock_fence(&mut transaction, lease, D::FOR_UPDATE_NOW).await?;
                let Some(snapshot) = hold_group(&mut transaction, group).await? else { return Ok(true) };
                let Some(row) = snapshot.leases.iter().find(|row| row.id == lease) else { return Ok(true) };
                if row.fenced_us.is_some() {
                    return Ok(true);
                }
                if row.expires_us > snapshot.now_us {
                    // It was renewed meanwhile.
                    return Ok(false);
                }
                let id = lease.to_string();
                let delete = Statement::new("DELETE FROM drain_fences WHERE lease_id = ?").bind(id.as_str());
                transaction.execute("remove a fence", delete).await?;
                let mark = Statement::new("UPDATE drain_leases SET fenced_us = ")
                    .text(D::NOW_US)
                    .text(" WHERE lease_id = ?")
                    .bind(id.as_str());
                transaction.execute("mark a lease", mark).await?;
                Ok(true)
            }
            .await;
            transaction.end(result).await
        };
        self.once("fence a lease", run).await
    }

    /// See [`super::PoolStore::leave`].
    pub(in crate::store) async fn remove_lease(&self, group: &str, lease: LeaseId) -> Result<(), Failure> {
        let run = || async {
            let mut transaction = Transaction::<D>::begin(&self.pools.coordinator).await?;
            let result = async {
                lock_fence(&mut transaction, lease, D::FOR_UPDATE).await?;
                hold_group(&mut transaction, group).await?;
                let id = lease.to_string();
                for text in [
                    "DELETE FROM drain_fences WHERE lease_id = ?",
                    "DELETE FROM drain_leases WHERE lease_id = ?",
                ] {
                    transaction.execute("remove a lease", Statement::new(text).bind(id.as_str())).await?;
                }
                Ok(())
            }
            .await;
            transaction.end(result).await
        };
        self.coordinating("leave the pool", run).await
    }

    /// See [`super::PoolStore::look`].
    pub(in crate::store) async fn look_at_group(&self, group: &str) -> Result<Option<Snapshot>, Failure> {
        let statement = group_statement::<D>(group);
        let Some(head) = self.look_up("read the group", statement, GROUP_KINDS).await?.into_iter().next()
        else {
            return Ok(None);
        };
        let leases = self.look_up("read leases", leases_statement(group), LEASE_KINDS).await?;
        snapshot(&head, &leases).map(Some)
    }
}

const GROUP_KINDS: &[Kind] = &[Kind::Int, Kind::Int, Kind::Text];

fn group_statement<D: Dialect>(group: &str) -> Statement<'_> {
    Statement::new("SELECT ")
        .text(D::NOW_US)
        .text(", revision, settings FROM drain_groups WHERE group_id = ?")
        .bind(group)
}

fn leases_statement(group: &str) -> Statement<'_> {
    Statement::new(
        "SELECT lease_id, worker, share, wanted, joined_us, expires_us, fenced_us, report FROM drain_leases \
         WHERE group_id = ? ORDER BY lease_id",
    )
    .bind(group)
}

/// Locks the group's row and reads everything of it. `None`: there is no such group.
pub(super) async fn hold_group<D: Dialect>(
    transaction: &mut Transaction<D>,
    group: &str,
) -> Result<Option<Snapshot>, Failure> {
    let lock = Statement::new("SELECT revision FROM drain_groups WHERE group_id = ?")
        .bind(group)
        .text(D::FOR_UPDATE);
    if transaction.fetch("hold the group", lock, &[Kind::Int]).await?.is_empty() {
        return Ok(None);
    }
    // Read after the lock is there: what the last holder wrote, and the clock of now rather than of before the wait.
    // By locking reads, which no proxy may send to a replica that lags.
    let head = group_statement::<D>(group).text(D::FOR_UPDATE);
    let head = transaction.fetch("read the group", head, GROUP_KINDS).await?;
    let Some(head) = head.first() else { return Ok(None) };
    let leases = leases_statement(group).text(D::FOR_UPDATE);
    let leases = transaction.fetch("read leases", leases, LEASE_KINDS).await?;
    snapshot(head, &leases).map(Some)
}

async fn lock_fence<D: Dialect>(
    transaction: &mut Transaction<D>,
    lease: LeaseId,
    how: &'static str,
) -> Result<(), Failure> {
    let id = lease.to_string();
    let lock = Statement::new("SELECT 1 FROM drain_fences WHERE lease_id = ?").bind(id.as_str()).text(how);
    transaction.fetch("lock a fence", lock, &[Kind::Int]).await.map(drop)
}

/// Removes leases that ended a while ago.
async fn forget<D: Dialect>(
    transaction: &mut Transaction<D>,
    group: &str,
    now_us: i64,
) -> Result<(), Failure> {
    let statement = Statement::new("DELETE FROM drain_leases WHERE group_id = ? AND fenced_us < ?")
        .bind(group)
        .bind(now_us - microseconds(TOLD_AFTER_FENCING));
    transaction.execute("forget leases", statement).await
}

fn snapshot(head: &Row, leases: &[Row]) -> Result<Snapshot, Failure> {
    Ok(Snapshot {
        now_us: head.int(0)?,
        revision: head.int(1)?,
        settings: settings(head)?,
        leases: leases.iter().map(lease).collect::<Result<_, _>>()?,
    })
}

fn settings(head: &Row) -> Result<Settings, Failure> {
    serde_json::from_str(head.text(2)?).map_err(|_| unexpected(2))
}

fn lease(row: &Row) -> Result<Lease, Failure> {
    let orders = |index| u32::try_from(row.int(index)?).map_err(|_| unexpected(index));
    Ok(Lease {
        id: row.text(0)?.parse().map_err(|_| unexpected(0))?,
        worker: row.text(1)?.to_owned(),
        share: orders(2)?,
        wanted: orders(3)?,
        joined_us: row.int(4)?,
        expires_us: row.int(5)?,
        fenced_us: row.optional_int(6)?,
        report: row.text(7)?.to_owned(),
    })
}

pub(super) fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
