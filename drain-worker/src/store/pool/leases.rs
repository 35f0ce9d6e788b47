//! Joining, heartbeats, fencing, leaving.
//!
//! The order of locks is the same everywhere: a lease's fence, then the group. A heartbeat shares its own fence, so
//! it waits only for a transaction that is removing that fence.

use std::time::Duration;

use super::{GroupSnapshot, Heartbeat, JoinRequest, Lease, PoolStore};
use crate::control::GroupSettings;
use crate::store::LeaseId;
use crate::store::Store;
use crate::store::dialect::{Dialect, PoolKind};
use crate::store::error::{DbError, StoreError};
use crate::store::fence::{self, Fence, fenced};
use crate::store::sql::{ColumnKind, SqlRow, Statement, unexpected};
use crate::store::transaction::Transaction;
use shared::time::microseconds;

/// Time for which an expired lease is still listed, so that operators see it.
const SHOWN_AFTER_FENCING: Duration = Duration::from_secs(15);

const LEASE_KINDS: &[ColumnKind] = &[
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Text,
];

impl PoolStore for Store {
    async fn join(&self, request: &JoinRequest<'_>) -> Result<(), StoreError> {
        let lease = request.lease.to_string();
        let settings = super::written(request.seed);
        let worker: String = request.worker.chars().take(128).collect();
        let run = || async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = async {
                let group = Statement::new("INSERT INTO drain_groups (group_id, revision, settings) VALUES (?, 0, ?)")
                    .bind(request.group)
                    .bind(settings.as_str())
                    .text(transaction.dialect.ignore_group);
                transaction.execute("add the group", group).await?;
                let fence = Statement::new("INSERT INTO drain_fences (lease_id) VALUES (?)").bind(lease.as_str());
                transaction.execute("add a fence", fence).await?;
                let row = Statement::new(
                    "INSERT INTO drain_leases (lease_id, group_id, worker, share, wanted, report, joined_us, expires_us) \
                     VALUES (?, ?, ?, 0, 0, '{}', ",
                )
                .bind(lease.as_str())
                .bind(request.group)
                .bind(worker.as_str())
                .text(transaction.dialect.now_us)
                .text(", ")
                .text(transaction.dialect.now_us)
                .text(" + ?)")
                .bind(microseconds(request.ttl));
                transaction.execute("add a lease", row).await
            }
            .await;
            transaction.end(result).await
        };
        Ok(self.coordinating("join the pool", run).await?)
    }

    async fn heartbeat(
        &self,
        heartbeat: &Heartbeat<'_>,
        decide: impl Fn(&GroupSnapshot) -> u32 + Send + Sync,
    ) -> Result<(GroupSnapshot, u32), StoreError> {
        let run = || async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = async {
                fence::lock_shared(&mut transaction, Fence::Lease(heartbeat.lease)).await?;
                let Some(snapshot) = lock_group(&mut transaction, heartbeat.group).await? else {
                    return Err(fenced("the group is gone"));
                };
                match snapshot.leases.iter().find(|lease| lease.id == heartbeat.lease) {
                    Some(lease) if lease.expires_us > snapshot.now_us => {}
                    // Not renewed: its worker may have lost track of its grants, and joins again.
                    Some(_) => return Err(fenced("the lease has expired")),
                    None => return Err(fenced("the lease is gone")),
                }
                let share = decide(&snapshot);
                delete_expired(&mut transaction, heartbeat.group, snapshot.now_us).await?;
                let lease = heartbeat.lease.to_string();
                let update = Statement::new(
                    "UPDATE drain_leases SET share = ?, wanted = ?, report = ?, expires_us = ? WHERE lease_id = ?",
                )
                .bind(share)
                .bind(heartbeat.wanted)
                .bind(heartbeat.report)
                .bind(snapshot.now_us + microseconds(heartbeat.ttl))
                .bind(lease.as_str());
                transaction.execute("renew a lease", update).await?;
                Ok((snapshot, share))
            }
            .await;
            transaction.end(result).await
        };
        Ok(self.coordinating("renew the lease", run).await?)
    }

    async fn fence(&self, group: &str, lease: LeaseId) -> Result<bool, StoreError> {
        let run = async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = async {
                lock_fence(&mut transaction, lease, self.dialect().for_update_now).await?;
                let Some(snapshot) = lock_group(&mut transaction, group).await? else { return Ok(true) };
                let Some(row) = snapshot.leases.iter().find(|row| row.id == lease) else { return Ok(true) };
                if row.fenced_us.is_some() {
                    return Ok(true);
                }
                if row.expires_us > snapshot.now_us {
                    // Renewed meanwhile.
                    return Ok(false);
                }
                let id = lease.to_string();
                let delete = Statement::new("DELETE FROM drain_fences WHERE lease_id = ?").bind(id.as_str());
                transaction.execute("remove a fence", delete).await?;
                let mark = Statement::new("UPDATE drain_leases SET fenced_us = ")
                    .text(transaction.dialect.now_us)
                    .text(" WHERE lease_id = ?")
                    .bind(id.as_str());
                transaction.execute("mark a lease", mark).await?;
                Ok(true)
            }
            .await;
            transaction.end(result).await
        };
        Ok(self.once("fence a lease", run).await?)
    }

    async fn leave(&self, group: &str, lease: LeaseId) -> Result<(), StoreError> {
        let run = || async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = async {
                lock_fence(&mut transaction, lease, self.dialect().for_update).await?;
                lock_group(&mut transaction, group).await?;
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
        Ok(self.coordinating("leave the pool", run).await?)
    }
}

impl Store {
    /// Reads the group without locks. `None`: the database does not know the group.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn read_group(&self, group: &str) -> Result<Option<GroupSnapshot>, StoreError> {
        let statement = group_statement(self.dialect(), group);
        let Some(head) = self.look_up("read the group", statement, GROUP_KINDS).await?.into_iter().next()
        else {
            return Ok(None);
        };
        let leases = self.look_up("read leases", leases_statement(group), LEASE_KINDS).await?;
        Ok(snapshot(&head, &leases).map(Some)?)
    }
}

const GROUP_KINDS: &[ColumnKind] = &[ColumnKind::Int, ColumnKind::Int, ColumnKind::Text];

fn group_statement<'a>(dialect: &Dialect, group: &'a str) -> Statement<'a> {
    Statement::new("SELECT ")
        .text(dialect.now_us)
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

/// Locks the group's row and reads the whole group. `None`: no such group.
pub(super) async fn lock_group(
    transaction: &mut Transaction,
    group: &str,
) -> Result<Option<GroupSnapshot>, DbError> {
    let lock = Statement::new("SELECT revision FROM drain_groups WHERE group_id = ?")
        .bind(group)
        .text(transaction.dialect.for_update);
    if transaction.fetch("lock the group", lock, &[ColumnKind::Int]).await?.is_empty() {
        return Ok(None);
    }
    // Read after the lock is held, for the last holder's writes and the current clock. By locking reads, which no
    // proxy may send to a lagging replica.
    let head = group_statement(transaction.dialect, group).text(transaction.dialect.for_update);
    let head = transaction.fetch("read the group", head, GROUP_KINDS).await?;
    let Some(head) = head.first() else { return Ok(None) };
    let leases = leases_statement(group).text(transaction.dialect.for_update);
    let leases = transaction.fetch("read leases", leases, LEASE_KINDS).await?;
    snapshot(head, &leases).map(Some)
}

async fn lock_fence(transaction: &mut Transaction, lease: LeaseId, how: &'static str) -> Result<(), DbError> {
    let id = lease.to_string();
    let lock = Statement::new("SELECT 1 FROM drain_fences WHERE lease_id = ?").bind(id.as_str()).text(how);
    transaction.fetch("lock a fence", lock, &[ColumnKind::Int]).await.map(drop)
}

/// Deletes leases that expired some time ago.
async fn delete_expired(transaction: &mut Transaction, group: &str, now_us: i64) -> Result<(), DbError> {
    let statement = Statement::new("DELETE FROM drain_leases WHERE group_id = ? AND fenced_us < ?")
        .bind(group)
        .bind(now_us - microseconds(SHOWN_AFTER_FENCING));
    transaction.execute("delete expired leases", statement).await
}

fn snapshot(head: &SqlRow, leases: &[SqlRow]) -> Result<GroupSnapshot, DbError> {
    Ok(GroupSnapshot {
        now_us: head.int(0)?,
        revision: head.int(1)?,
        settings: settings(head)?,
        leases: leases.iter().map(lease).collect::<Result<_, _>>()?,
    })
}

fn settings(head: &SqlRow) -> Result<GroupSettings, DbError> {
    serde_json::from_str(head.text(2)?).map_err(|_| unexpected(2))
}

fn lease(row: &SqlRow) -> Result<Lease, DbError> {
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
