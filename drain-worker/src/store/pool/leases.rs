//! Renewing, reading, sharing and fencing of leases.
//!
//! The order of locks is the same everywhere: a lease's fence, then the group, then the lease.

use super::{GroupSnapshot, JoinRequest, Lease, PoolStore, Renewal, ShareChange};
use crate::control::GroupSettings;
use crate::store::LeaseId;
use crate::store::Store;
use crate::store::dialect::PoolKind;
use crate::store::error::{DbError, StoreError};
use crate::store::fence::fenced;
use crate::store::sql::{ColumnKind, SqlRow, Statement, unexpected};
use crate::store::transaction::Transaction;
use shared::time::microseconds;

const GROUP_KINDS: &[ColumnKind] = &[
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Int,
    ColumnKind::Text,
];

impl PoolStore for Store {
    async fn join(&self, request: &JoinRequest<'_>) -> Result<(), StoreError> {
        Ok(self.join_group(request).await?)
    }

    async fn renew(&self, renewal: &Renewal<'_>) -> Result<(), StoreError> {
        let lease = renewal.lease.to_string();
        let statement = Statement::new("UPDATE drain_leases SET report = ?, expires_us = ")
            .bind(renewal.report)
            .text(self.dialect().now_us)
            .text(" + ? WHERE lease_id = ? AND fenced_us IS NULL")
            .bind(microseconds(renewal.ttl))
            .bind(lease.as_str());
        Ok(self.coordinate("renew the lease", vec![statement]).await?)
    }

    async fn read(&self, group: &str, lease: LeaseId, reports: bool) -> Result<GroupSnapshot, StoreError> {
        let id = lease.to_string();
        let statement = group_statement(self.dialect().now_us, Some(&id), reports, group);
        let rows = self.coordinate_fetch("read the group", statement, GROUP_KINDS).await?;
        let own = rows.iter().find(|row| row.optional_text(3).is_ok_and(|settings| settings.is_some()));
        match own {
            Some(own) if own.optional_int(11)?.is_none() => Ok(snapshot(own, &rows)?),
            Some(_) => Err(fenced("the lease has expired").into()),
            None => Err(fenced("the lease is gone").into()),
        }
    }

    async fn set_share(&self, change: &ShareChange<'_>) -> Result<(), StoreError> {
        const SET: &str = "UPDATE drain_leases SET share = ?, wanted = ?, changes = changes + 1 \
             WHERE lease_id = ? AND changes = ? AND fenced_us IS NULL";
        let lease = change.lease.to_string();
        let bind = |statement: Statement<'static>| -> Statement<'_> {
            statement.bind(change.share).bind(change.wanted).bind(lease.as_str()).bind(change.changes)
        };
        let Some(raised_on) = change.raised_on else {
            return Ok(self.coordinate("lower the share", vec![bind(Statement::new(SET))]).await?);
        };
        let version: i64 = rand::random();
        let statements = if self.dialect().updates_two_tables {
            let both = Statement::new(
                "UPDATE drain_groups g, drain_leases l \
                 SET g.version = ?, l.share = ?, l.wanted = ?, l.changes = l.changes + 1 \
                 WHERE g.group_id = ? AND g.version = ? AND l.lease_id = ? AND l.changes = ? AND l.fenced_us IS NULL",
            )
            .bind(version)
            .bind(change.share)
            .bind(change.wanted)
            .bind(change.group)
            .bind(raised_on)
            .bind(lease.as_str())
            .bind(change.changes);
            vec![both]
        } else {
            let group =
                Statement::new("UPDATE drain_groups SET version = ? WHERE group_id = ? AND version = ?")
                    .bind(version)
                    .bind(change.group)
                    .bind(raised_on);
            let own = bind(Statement::new(SET))
                .text(" AND EXISTS (SELECT 1 FROM drain_groups WHERE group_id = ? AND version = ?)")
                .bind(change.group)
                .bind(version);
            vec![group, own]
        };
        Ok(self.coordinate("raise the share", statements).await?)
    }

    async fn fence(&self, lease: LeaseId, silent_since: Option<i64>) -> Result<bool, StoreError> {
        let run = async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = async {
                let id = lease.to_string();
                let lock = Statement::new("SELECT l.expires_us, ")
                    .text(transaction.dialect.now_us)
                    .text(
                        " FROM drain_fences f JOIN drain_leases l ON l.lease_id = f.lease_id WHERE f.lease_id = ?",
                    )
                    .bind(id.as_str())
                    .text(transaction.dialect.for_update_now);
                let rows =
                    transaction.fetch("lock a fence", lock, &[ColumnKind::Int, ColumnKind::Int]).await?;
                let Some(row) = rows.first() else { return Ok(true) };
                let expires_us = row.int(0)?;
                if expires_us > row.int(1)? && Some(expires_us) != silent_since {
                    // Renewed meanwhile.
                    return Ok(false);
                }
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

    async fn forget(&self, lease: LeaseId) -> Result<(), StoreError> {
        let id = lease.to_string();
        let statement =
            Statement::new("DELETE FROM drain_leases WHERE lease_id = ? AND fenced_us IS NOT NULL")
                .bind(id.as_str());
        Ok(self.coordinate("delete a fenced lease", vec![statement]).await?)
    }

    async fn leave(&self, lease: LeaseId) -> Result<(), StoreError> {
        Ok(self.leave_group(lease).await?)
    }
}

impl Store {
    /// Reads the group without locks. `None`: the database does not know the group, or it has never had a worker.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn read_group(&self, group: &str) -> Result<Option<GroupSnapshot>, StoreError> {
        let statement = group_statement(self.dialect().now_us, None, true, group);
        let rows = self.look_up("read the group", statement, GROUP_KINDS).await?;
        rows.first().map(|first| snapshot(first, &rows)).transpose().map_err(StoreError::from)
    }
}

/// One row for each lease, or one without a lease. The settings are long and the same in every row, so only the row of the
/// lease `own` has them.
fn group_statement<'a>(
    now_us: &'static str,
    own: Option<&'a str>,
    reports: bool,
    group: &'a str,
) -> Statement<'a> {
    let head = Statement::new("SELECT ").text(now_us).text(", g.revision, g.version, ");
    let head = match own {
        Some(own) => head.text("CASE WHEN l.lease_id = ? THEN g.settings END").bind(own),
        None => head.text("g.settings"),
    };
    head.text(
        ", l.lease_id, l.worker, l.share, l.wanted, l.changes, l.joined_us, l.expires_us, l.fenced_us, ",
    )
    .text(if reports { "l.report" } else { "''" })
    .text(
        " FROM drain_groups g LEFT JOIN drain_leases l ON l.group_id = g.group_id WHERE g.group_id = ? \
         ORDER BY l.lease_id",
    )
    .bind(group)
}

/// Locks the group's row and reads the group. `None`: no such group.
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
    // Read after the lock is held, for the last holder's writes and the current clock. By a locking read, which sees
    // them in any isolation and which no proxy may send to a lagging replica.
    let all =
        group_statement(transaction.dialect.now_us, None, true, group).text(transaction.dialect.for_share);
    let rows = transaction.fetch("read the group", all, GROUP_KINDS).await?;
    rows.first().map(|first| snapshot(first, &rows)).transpose()
}

/// `head` is the row that has the settings.
fn snapshot(head: &SqlRow, rows: &[SqlRow]) -> Result<GroupSnapshot, DbError> {
    let mut leases = Vec::with_capacity(rows.len());
    for row in rows {
        if row.optional_text(4)?.is_some() {
            leases.push(lease(row)?);
        }
    }
    Ok(GroupSnapshot {
        now_us: head.int(0)?,
        revision: head.int(1)?,
        version: head.int(2)?,
        settings: settings(head)?,
        leases,
    })
}

fn settings(head: &SqlRow) -> Result<GroupSettings, DbError> {
    serde_json::from_str(head.text(3)?).map_err(|_| unexpected(3))
}

fn lease(row: &SqlRow) -> Result<Lease, DbError> {
    let orders = |index| u32::try_from(row.int(index)?).map_err(|_| unexpected(index));
    Ok(Lease {
        id: row.text(4)?.parse().map_err(|_| unexpected(4))?,
        worker: row.text(5)?.to_owned(),
        share: orders(6)?,
        wanted: orders(7)?,
        changes: row.int(8)?,
        joined_us: row.int(9)?,
        expires_us: row.int(10)?,
        fenced_us: row.optional_int(11)?,
        report: row.text(12)?.to_owned(),
    })
}
