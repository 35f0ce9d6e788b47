//! Settings changes.

use super::audit::{AuditRecord, insert_audit};
use super::leases::lock_group;
use super::{GroupSnapshot, SettingsError};
use crate::control::{AuditContext, SettingsChange};
use crate::store::Store;
use crate::store::dialect::PoolKind;
use crate::store::error::{DbError, DbErrorDetail};
use crate::store::sql::Statement;
use crate::store::transaction::Transaction;

impl From<DbError> for SettingsError {
    fn from(failure: DbError) -> Self {
        Self::Store(failure.into())
    }
}

impl Store {
    /// Changes the settings and appends the change to the audit trail, in one transaction.
    ///
    /// `made_on` is the revision of the settings that the caller has seen; `None`: the change applies to any.
    ///
    /// # Errors
    /// [`SettingsError::Changed`] if another change came first; [`SettingsError::Rejected`];
    /// [`StoreError::Fatal`](crate::store::StoreError::Fatal) if the database does not know the group.
    pub async fn change_settings(
        &self,
        group: &str,
        change: &SettingsChange,
        made_on: Option<i64>,
        context: &AuditContext,
    ) -> Result<GroupSnapshot, SettingsError> {
        let run = || async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = change_locked(&mut transaction, group, change, made_on, context).await;
            transaction.end(result).await
        };
        self.coordinating("change the settings", run).await?
    }
}

async fn change_locked(
    transaction: &mut Transaction,
    group: &str,
    change: &SettingsChange,
    made_on: Option<i64>,
    context: &AuditContext,
) -> Result<Result<GroupSnapshot, SettingsError>, DbError> {
    let Some(mut snapshot) = lock_group(transaction, group).await? else {
        let what = format!("no worker of the group '{group}' has ever run on this database");
        return Err(DbError::fatal(DbErrorDetail::new("change the settings", what)));
    };
    if let Some(made_on) = made_on.filter(|made_on| *made_on != snapshot.revision) {
        return Ok(Err(SettingsError::Changed { made_on, present: Box::new(snapshot) }));
    }
    let revision = snapshot.revision + 1;
    let applied = match change.apply(&snapshot.settings, revision, snapshot.now_us, context) {
        Ok(applied) => applied,
        Err(refused) => return Ok(Err(refused.into())),
    };
    let text = super::written(&applied.settings);
    let update = Statement::new("UPDATE drain_groups SET settings = ?, revision = ? WHERE group_id = ?")
        .bind(text.as_str())
        .bind(revision)
        .bind(group);
    transaction.execute("change the settings", update).await?;
    let record = AuditRecord {
        action: change.action(),
        detail: &applied.detail,
        revision: Some(revision),
        before: Some(&applied.before),
        after: Some(&applied.after),
    };
    insert_audit(transaction, group, record, context).await?;
    (snapshot.settings, snapshot.revision) = (applied.settings, revision);
    Ok(Ok(snapshot))
}
