//! Undoes discards, and deletes the payloads of those that can no longer be undone.

use std::collections::BTreeMap;

use super::list::{limited, selected};
use super::records::{DeadLetterSelection, DeadLetterStatus, PageRequest, RestoreOutcome};
use crate::control::AuditContext;
use crate::store::Store;
use crate::store::dialect::PoolKind;
use crate::store::error::{DbError, StoreError};
use crate::store::pool::{ActPage, record_act_page};
use crate::store::sql::{BYTES, ColumnKind, Statement};
use crate::store::transaction::Transaction;

/// Maximum payloads that one transaction deletes.
const DELETED_MAX: u32 = 100;

impl Store {
    /// Undoes the discard of a page of dead letters whose payloads are still stored, all or none, with an entry in
    /// `group`'s audit trail: they are open again. The outcomes are those of the page's dead letters, and of each number in
    /// [`DeadLetterSelection::Ids`] that the page covers.
    ///
    /// # Errors
    /// [`StoreError::Transient`], [`StoreError::Permanent`] or [`StoreError::Fatal`].
    pub async fn restore_dead_letters(
        &self,
        selection: &DeadLetterSelection,
        page: PageRequest,
        group: &str,
        context: &AuditContext,
    ) -> Result<Vec<(i64, RestoreOutcome)>, StoreError> {
        let (selection, _) = selection.on_page(page);
        let run = || async {
            let mut transaction = self.begin(PoolKind::Writers).await?;
            let result = restore(&mut transaction, &selection, page, group, context).await;
            transaction.end(result).await
        };
        Ok(self.retrying("restore dead letters", self.config.transaction_timeout, run).await?)
    }

    /// Deletes payloads of discarded dead letters whose discard can no longer be undone, at most 100; returns their number.
    ///
    /// # Errors
    /// [`StoreError::Transient`], [`StoreError::Permanent`] or [`StoreError::Fatal`].
    pub async fn delete_discarded_payloads(&self) -> Result<usize, StoreError> {
        const OPERATION: &str = "delete discarded payloads";
        let now_us = self.dialect().now_us;
        let expired = Statement::new("SELECT id FROM dead_letters WHERE restorable_until_us <= ")
            .text(now_us)
            .text(" ORDER BY restorable_until_us LIMIT ?")
            .bind(DELETED_MAX)
            .rare();
        let rows = self.look_up(OPERATION, expired, &[ColumnKind::Int]).await?;
        let ids = rows.iter().map(|row| row.int(0)).collect::<Result<Vec<_>, DbError>>()?;
        if ids.is_empty() {
            return Ok(0);
        }
        let run = || async {
            let mut transaction = self.begin(PoolKind::Writers).await?;
            // Not those that were restored and discarded again meanwhile.
            let delete = Statement::new("UPDATE dead_letters SET restorable_until_us = NULL, payload = ")
                .text(BYTES)
                .bind(b"".as_slice())
                .text(" WHERE restorable_until_us <= ")
                .text(now_us)
                .text(" AND id IN ")
                .list(ids.iter().copied())
                .rare();
            let result = transaction.execute(OPERATION, delete).await;
            transaction.end(result).await
        };
        self.retrying(OPERATION, self.config.transaction_timeout, run).await?;
        Ok(ids.len())
    }
}

async fn restore(
    transaction: &mut Transaction,
    selection: &DeadLetterSelection,
    page: PageRequest,
    group: &str,
    context: &AuditContext,
) -> Result<Vec<(i64, RestoreOutcome)>, DbError> {
    const KINDS: &[ColumnKind] = &[ColumnKind::Int, ColumnKind::Int, ColumnKind::Int];
    let now_us = transaction.dialect.now_us;
    let is_named = matches!(selection, DeadLetterSelection::Ids(_));
    let statement = Statement::new(
        "SELECT id, CASE WHEN discarded_at IS NULL THEN 1 ELSE 0 END, CASE WHEN restorable_until_us > ",
    )
    .text(now_us)
    .text(" THEN 1 ELSE 0 END FROM dead_letters WHERE id > ?")
    .bind(page.after);
    let statement =
        if is_named { statement } else { statement.text(" AND restorable_until_us > ").text(now_us) };
    let Some(statement) = selected(statement, selection, DeadLetterStatus::Any) else {
        return Ok(Vec::new());
    };
    let statement = limited(statement, page).text(transaction.dialect.for_update).rare();
    let mut outcomes = BTreeMap::new();
    if let DeadLetterSelection::Ids(ids) = selection {
        outcomes.extend(ids.iter().map(|id| (*id, RestoreOutcome::Gone)));
    }
    for row in transaction.fetch("lock dead letters", statement, KINDS).await? {
        let outcome = match (row.int(1)?, row.int(2)?) {
            (1, _) => RestoreOutcome::Open,
            (_, 1) => RestoreOutcome::Restored,
            _ => RestoreOutcome::Deleted,
        };
        outcomes.insert(row.int(0)?, outcome);
    }
    let restored = outcomes.iter().filter(|(_, outcome)| **outcome == RestoreOutcome::Restored);
    let restored: Vec<i64> = restored.map(|(id, _)| *id).collect();
    if let (Some(&first), Some(&last)) = (restored.first(), restored.last()) {
        let reopen = Statement::new(
            "UPDATE dead_letters SET restorable_until_us = NULL, discarded_at = NULL, discarded_by = NULL, \
             discarded_reason = NULL WHERE id IN ",
        )
        .list(restored.iter().copied())
        .rare();
        transaction.execute("restore dead letters", reopen).await?;
        let act = ActPage {
            selection: selection.name().to_owned(),
            first,
            last,
            outcomes: BTreeMap::from([("restored".to_owned(), restored.len() as u64)]),
            ids: if is_named { restored } else { Vec::new() },
        };
        record_act_page(transaction, group, "letters_restored", &act, page.after, context).await?;
    }
    Ok(outcomes.into_iter().collect())
}
