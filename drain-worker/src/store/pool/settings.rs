//! Settings changes, and the audit trail.

use super::leases::lock_group;
use super::{AuditEntry, GroupSnapshot, SettingsError};
use crate::control::{AuditContext, NAME_CHARS_MAX, REASON_CHARS_MAX, SettingsChange};
use crate::store::Store;
use crate::store::dialect::PoolKind;
use crate::store::error::{DbError, DbErrorDetail, StoreError};
use crate::store::sql::{ColumnKind, Statement, from_database};
use crate::store::transaction::Transaction;

/// Width of the column `detail`, characters.
const DETAIL_CHARS_MAX: usize = 500;

impl From<DbError> for SettingsError {
    fn from(failure: DbError) -> Self {
        Self::Store(failure.into())
    }
}

impl Store {
    /// Changes the settings and appends the change to the audit trail, in one transaction.
    ///
    /// # Errors
    /// [`SettingsError::Rejected`]; [`StoreError::Fatal`] if the database does not know the group.
    pub async fn change_settings(
        &self,
        group: &str,
        change: &SettingsChange,
        context: &AuditContext,
    ) -> Result<GroupSnapshot, SettingsError> {
        let run = || async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = change_locked(&mut transaction, group, change, context).await;
            transaction.end(result).await
        };
        self.coordinating("change the settings", run).await?
    }

    /// Appends another operator action to the audit trail.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn append_audit(
        &self,
        group: &str,
        action: &'static str,
        detail: &str,
        context: &AuditContext,
    ) -> Result<(), StoreError> {
        let run = || async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = insert_audit(&mut transaction, group, action, detail, context).await;
            transaction.end(result).await
        };
        Ok(self.coordinating("append to the audit trail", run).await?)
    }

    /// The newest `count_max` entries of the audit trail, newest first.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn list_audit(&self, group: &str, count_max: u32) -> Result<Vec<AuditEntry>, StoreError> {
        const KINDS: &[ColumnKind] = &[
            ColumnKind::Int,
            ColumnKind::Text,
            ColumnKind::Text,
            ColumnKind::Text,
            ColumnKind::Text,
            ColumnKind::Text,
        ];
        let statement = Statement::new(
            "SELECT id, CAST(at AS CHAR), who, action, detail, reason FROM drain_audit WHERE group_id = ? \
             ORDER BY id DESC LIMIT ?",
        )
        .bind(group)
        .bind(count_max);
        let rows = self.look_up("read the audit trail", statement, KINDS).await?;
        let entries = rows
            .iter()
            .map(|row| {
                Ok(AuditEntry {
                    id: row.int(0)?,
                    at: from_database(row, 1)?,
                    who: row.text(2)?.to_owned(),
                    action: row.text(3)?.to_owned(),
                    detail: row.text(4)?.to_owned(),
                    reason: row.text(5)?.to_owned(),
                })
            })
            .collect::<Result<_, DbError>>()?;
        Ok(entries)
    }
}

async fn change_locked(
    transaction: &mut Transaction,
    group: &str,
    change: &SettingsChange,
    context: &AuditContext,
) -> Result<Result<GroupSnapshot, SettingsError>, DbError> {
    let Some(mut snapshot) = lock_group(transaction, group).await? else {
        let what = format!("no worker of the group '{group}' has ever run on this database");
        return Err(DbError::fatal(DbErrorDetail::new("change the settings", what)));
    };
    let (settings, detail) = match change.apply(&snapshot.settings, snapshot.now_us) {
        Ok(applied) => applied,
        Err(refused) => return Ok(Err(refused.into())),
    };
    let text = super::written(&settings);
    let update =
        Statement::new("UPDATE drain_groups SET settings = ?, revision = revision + 1 WHERE group_id = ?")
            .bind(text.as_str())
            .bind(group);
    transaction.execute("change the settings", update).await?;
    insert_audit(transaction, group, change.action(), &detail, context).await?;
    (snapshot.settings, snapshot.revision) = (settings, snapshot.revision + 1);
    Ok(Ok(snapshot))
}

/// Appends to the audit trail, within a transaction.
pub(in crate::store) async fn insert_audit(
    transaction: &mut Transaction,
    group: &str,
    action: &'static str,
    detail: &str,
    context: &AuditContext,
) -> Result<(), DbError> {
    let cut = |text: &str, chars_max: usize| text.chars().take(chars_max).collect::<String>();
    let (who, reason) = (cut(&context.who, NAME_CHARS_MAX), cut(&context.reason, REASON_CHARS_MAX));
    let detail = cut(detail, DETAIL_CHARS_MAX);
    let statement = Statement::new(
        "INSERT INTO drain_audit (group_id, who, action, detail, reason, at) VALUES (?, ?, ?, ?, ?, ",
    )
    .bind(group)
    .bind(who.as_str())
    .bind(action)
    .bind(detail.as_str())
    .bind(reason.as_str())
    .text(transaction.dialect.now)
    .text(")");
    transaction.execute("write the audit trail", statement).await
}
