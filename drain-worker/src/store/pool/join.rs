//! Joins and leaves a group.

use super::JoinRequest;
use crate::store::dialect::PoolKind;
use crate::store::error::{DbError, DbErrorDetail, ErrorClass};
use crate::store::sql::{ColumnKind, Statement};
use crate::store::{LeaseId, Store};
use shared::time::microseconds;

/// Maximum number of workers of a group. Each reads all leases twice a second, which costs the database the square of
/// their number.
pub const WORKERS_MAX: i64 = 256;

impl Store {
    pub(super) async fn join_group(&self, request: &JoinRequest<'_>) -> Result<(), DbError> {
        let lease = request.lease.to_string();
        let settings = super::written(request.seed);
        let worker: String = request.worker.chars().take(128).collect();
        let run = || async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = async {
                // Locks the row, new or not: workers join one after the other.
                let group = Statement::new(
                    "INSERT INTO drain_groups (group_id, revision, settings, version) VALUES (?, 0, ?, 0)",
                )
                .bind(request.group)
                .bind(settings.as_str())
                .text(transaction.dialect.ignore_group);
                transaction.execute("add the group", group).await?;
                let count = Statement::new(
                    "SELECT COUNT(*) FROM drain_leases WHERE group_id = ? AND fenced_us IS NULL",
                )
                .bind(request.group);
                let rows = transaction.fetch("count workers", count, &[ColumnKind::Int]).await?;
                if rows.first().map_or(Ok(0), |row| row.int(0))? >= WORKERS_MAX {
                    let what = format!("the pool has its maximum of {WORKERS_MAX} workers");
                    let detail = DbErrorDetail::new("join the pool", what);
                    return Err(DbError { class: ErrorClass::Transient, detail });
                }
                let fence =
                    Statement::new("INSERT INTO drain_fences (lease_id) VALUES (?)").bind(lease.as_str());
                transaction.execute("add a fence", fence).await?;
                let row = Statement::new(
                    "INSERT INTO drain_leases \
                     (lease_id, group_id, worker, share, wanted, changes, report, joined_us, expires_us) \
                     VALUES (?, ?, ?, 0, 0, 0, '{}', ",
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
        self.retrying("join the pool", self.config.transaction_timeout, run).await
    }

    pub(super) async fn leave_group(&self, lease: LeaseId) -> Result<(), DbError> {
        let run = || async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = async {
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
        self.retrying("leave the pool", self.config.transaction_timeout, run).await
    }
}
