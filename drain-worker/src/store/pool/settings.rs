//! Settings changes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::audit::{AuditRecord, audit_of_change, insert_audit};
use super::leases::lock_group;
use super::{AuditEntry, GroupSnapshot, SettingsError};
use crate::control::{AuditContext, SettingsChange};
use crate::store::Store;
use crate::store::dialect::PoolKind;
use crate::store::error::DbError;
use crate::store::sql::Statement;
use crate::store::transaction::Transaction;

impl From<DbError> for SettingsError {
    fn from(failure: DbError) -> Self {
        Self::Store(failure.into())
    }
}

/// Maximum time for which a change is looked for whose COMMIT was not answered.
const CONFIRM_MAX: Duration = Duration::from_secs(5);

/// Pause before a change is looked for again.
const CONFIRM_PAUSE: Duration = Duration::from_millis(200);

/// A change that is in force.
#[derive(Clone, Debug)]
pub struct ChangedSettings {
    /// The revision that the change made; a hold has it as its id.
    pub revision: i64,
    /// The group afterwards, perhaps with later changes.
    pub group: GroupSnapshot,
}

/// A change whose COMMIT was sent.
#[derive(Clone, Debug)]
struct SentChange {
    revision: i64,
    detail: String,
    after: Value,
}

impl Store {
    /// Changes the settings and appends the change to the audit trail, in one transaction. If the answer to its COMMIT is
    /// lost, finds out by the audit trail if the change is in force, and makes it if not.
    ///
    /// `made_on` is the revision of the settings that the caller has seen; `None`: the change applies to any.
    ///
    /// # Errors
    /// [`SettingsError::Changed`] if another change came first; [`SettingsError::Rejected`];
    /// [`SettingsError::UnknownGroup`]; [`SettingsError::Unconfirmed`] if the database does not answer after a COMMIT.
    pub async fn change_settings(
        &self,
        group: &str,
        change: &SettingsChange,
        made_on: Option<i64>,
        context: &AuditContext,
    ) -> Result<ChangedSettings, SettingsError> {
        let sent = Mutex::new(None::<SentChange>);
        let deadline = Instant::now() + CONFIRM_MAX;
        loop {
            let run = || async {
                let mut transaction = self.begin(PoolKind::Coordinator).await?;
                let result = change_locked(&mut transaction, group, change, made_on, context, &sent).await;
                transaction.end(result).await
            };
            let failure = match self.coordinating("change the settings", run).await {
                Ok(result) => return result,
                Err(failure) => failure,
            };
            // An earlier attempt may have been committed, by any failure of this one.
            if known(&sent).is_none() {
                return Err(failure.into());
            }
            if Instant::now() >= deadline {
                return Err(SettingsError::Unconfirmed(failure.into()));
            }
            sleep(CONFIRM_PAUSE).await;
        }
    }
}

fn known(sent: &Mutex<Option<SentChange>>) -> MutexGuard<'_, Option<SentChange>> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn change_locked(
    transaction: &mut Transaction,
    group: &str,
    change: &SettingsChange,
    made_on: Option<i64>,
    context: &AuditContext,
    sent: &Mutex<Option<SentChange>>,
) -> Result<Result<ChangedSettings, SettingsError>, DbError> {
    // Waits for the transaction of an earlier attempt, which has the row's lock until the server ends it.
    let Some(mut snapshot) = lock_group(transaction, group).await? else {
        return Ok(Err(SettingsError::UnknownGroup { group: group.to_owned() }));
    };
    let earlier = known(sent).clone();
    if let Some(SentChange { revision, detail, after }) = earlier {
        let entry = audit_of_change(transaction, group, revision).await?;
        let is_ours = |entry: &AuditEntry| {
            let author = (&entry.actor, &entry.who, &entry.reason);
            author == (&context.actor, &context.who, &context.reason)
                && (entry.action.as_str(), &entry.detail, &entry.after)
                    == (change.action(), &detail, &Some(after.clone()))
        };
        if entry.as_ref().is_some_and(is_ours) {
            return Ok(Ok(ChangedSettings { revision, group: snapshot }));
        }
        *known(sent) = None;
    }
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
    let detail = insert_audit(transaction, group, record, context).await?;
    *known(sent) = Some(SentChange { revision, detail, after: applied.after });
    (snapshot.settings, snapshot.revision) = (applied.settings, revision);
    Ok(Ok(ChangedSettings { revision, group: snapshot }))
}
