//! Changing settings, and the audit trail.

use super::leases::hold_group;
use super::{AuditEntry, SettingsError, Snapshot};
use crate::control::{Change, NAME_CHARS_MAX, Origin, WHY_CHARS_MAX};
use crate::store::dialect::Dialect;
use crate::store::error::{Failure, Fault};
use crate::store::sql::{Kind, Statement};
use crate::store::sql_store::SqlStore;
use crate::store::times;
use crate::store::transaction::Transaction;

/// Width of the column `detail`, characters.
const DETAIL_CHARS_MAX: usize = 500;

impl From<Failure> for SettingsError {
    fn from(failure: Failure) -> Self {
        Self::Store(failure.into())
    }
}

impl<D: Dialect> SqlStore<D> {
    /// See [`super::PoolStore::change`].
    pub(in crate::store) async fn change_settings(
        &self,
        group: &str,
        change: &Change,
        origin: &Origin,
    ) -> Result<Snapshot, SettingsError> {
        let run = || async {
            let mut transaction = Transaction::<D>::begin(&self.pools.coordinator).await?;
            let result = change_held(&mut transaction, group, change, origin).await;
            transaction.end(result).await
        };
        self.coordinating("change the settings", run).await?
    }

    /// See [`super::PoolStore::note`].
    pub(in crate::store) async fn add_note(
        &self,
        group: &str,
        action: &'static str,
        detail: &str,
        origin: &Origin,
    ) -> Result<(), Failure> {
        let run = || async {
            let mut transaction = Transaction::<D>::begin(&self.pools.coordinator).await?;
            let result = insert_audit(&mut transaction, group, action, detail, origin).await;
            transaction.end(result).await
        };
        self.coordinating("note what was done", run).await
    }

    /// See [`super::PoolStore::audit`].
    pub(in crate::store) async fn list_audit(
        &self,
        group: &str,
        count_max: u32,
    ) -> Result<Vec<AuditEntry>, Failure> {
        const KINDS: &[Kind] = &[Kind::Int, Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Text];
        let statement = Statement::new(
            "SELECT id, CAST(at AS CHAR), who, action, detail, why FROM drain_audit WHERE group_id = ? \
             ORDER BY id DESC LIMIT ?",
        )
        .bind(group)
        .bind(count_max);
        let rows = self.look_up("read the audit trail", statement, KINDS).await?;
        rows.iter()
            .map(|row| {
                Ok(AuditEntry {
                    id: row.int(0)?,
                    at: times::from_database(row, 1)?,
                    who: row.text(2)?.to_owned(),
                    action: row.text(3)?.to_owned(),
                    detail: row.text(4)?.to_owned(),
                    why: row.text(5)?.to_owned(),
                })
            })
            .collect()
    }
}

async fn change_held<D: Dialect>(
    transaction: &mut Transaction<D>,
    group: &str,
    change: &Change,
    origin: &Origin,
) -> Result<Result<Snapshot, SettingsError>, Failure> {
    let Some(mut snapshot) = hold_group(transaction, group).await? else {
        let what = format!("no worker of the group '{group}' has ever run on this database");
        return Err(Failure::fatal(Fault::new("change the settings", what)));
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
    insert_audit(transaction, group, change.action(), &detail, origin).await?;
    (snapshot.settings, snapshot.revision) = (settings, snapshot.revision + 1);
    Ok(Ok(snapshot))
}

/// Adds an entry to the audit trail, within a transaction.
pub(in crate::store) async fn insert_audit<D: Dialect>(
    transaction: &mut Transaction<D>,
    group: &str,
    action: &'static str,
    detail: &str,
    origin: &Origin,
) -> Result<(), Failure> {
    let cut = |text: &str, chars_max: usize| text.chars().take(chars_max).collect::<String>();
    let (who, why) = (cut(&origin.who, NAME_CHARS_MAX), cut(&origin.why, WHY_CHARS_MAX));
    let detail = cut(detail, DETAIL_CHARS_MAX);
    let statement = Statement::new(
        "INSERT INTO drain_audit (group_id, who, action, detail, why, at) VALUES (?, ?, ?, ?, ?, ",
    )
    .bind(group)
    .bind(who.as_str())
    .bind(action)
    .bind(detail.as_str())
    .bind(why.as_str())
    .text(D::NOW)
    .text(")");
    transaction.execute("write the audit trail", statement).await
}
