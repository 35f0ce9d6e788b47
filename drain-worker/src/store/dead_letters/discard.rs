//! Discards dead letters, and deletes settled ones.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::time::microseconds;

use super::list::{limited, selected};
use super::records::{
    DeadLetterSelection, DeadLetterStatus, DiscardOutcome, DiscardedPage, PageRequest, SeenDeadLetters,
    SeenDiscard,
};
use crate::control::{AuditContext, NAME_CHARS_MAX, REASON_CHARS_MAX};
use crate::store::Store;
use crate::store::dialect::PoolKind;
use crate::store::error::{DbError, StoreError};
use crate::store::lookup::count;
use crate::store::pool::{ActPage, record_act_page};
use crate::store::sql::{BYTES, ColumnKind, ROWS_MAX, Statement};
use crate::store::transaction::Transaction;

impl Store {
    /// Discards a page of dead letters, all or none, with an entry in `group`'s audit trail: the row stays with who and why,
    /// the payload for [`StoreConfig::discard_undo`](crate::store::StoreConfig::discard_undo). Dead letters discarded before
    /// do not change.
    ///
    /// The outcomes are those of the page's dead letters, and of each number in [`DeadLetterSelection::Ids`] that the page
    /// covers.
    ///
    /// # Errors
    /// [`StoreError::Transient`], [`StoreError::Permanent`] or [`StoreError::Fatal`].
    pub async fn discard_dead_letters(
        &self,
        selection: &DeadLetterSelection,
        page: PageRequest,
        group: &str,
        context: &AuditContext,
    ) -> Result<DiscardedPage, StoreError> {
        match self.discard_page(selection, page, None, group, context).await? {
            SeenDiscard::Discarded(page) => Ok(page),
            SeenDiscard::Changed { .. } => Ok(DiscardedPage::default()),
        }
    }

    /// As [`Store::discard_dead_letters`], of the open dead letters up to `seen.newest_id`, and only if those after the
    /// page's start are still `seen.count`: the operator confirmed neither one that arrived nor one that was decided since.
    ///
    /// # Errors
    /// As [`Store::discard_dead_letters`].
    pub async fn discard_seen_dead_letters(
        &self,
        selection: &DeadLetterSelection,
        page: PageRequest,
        seen: SeenDeadLetters,
        group: &str,
        context: &AuditContext,
    ) -> Result<SeenDiscard, StoreError> {
        self.discard_page(selection, page, Some(seen), group, context).await
    }

    async fn discard_page(
        &self,
        selection: &DeadLetterSelection,
        page: PageRequest,
        seen: Option<SeenDeadLetters>,
        group: &str,
        context: &AuditContext,
    ) -> Result<SeenDiscard, StoreError> {
        let (selection, _) = selection.on_page(page);
        let run = || async {
            let mut transaction = self.begin(PoolKind::Writers).await?;
            let undo = self.config.discard_undo;
            let result = discard(&mut transaction, &selection, page, seen, undo, group, context).await;
            transaction.end(result).await
        };
        Ok(self.retrying("discard dead letters", self.config.transaction_timeout, run).await?)
    }

    /// Deletes settled dead letters, all or none; missing and discarded ones are skipped. The dead letter of an order
    /// needs no call: deciding the order deletes it.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn delete_dead_letters(&self, ids: &[i64]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let run = || async {
            let mut transaction = self.begin(PoolKind::Writers).await?;
            let result = delete(&mut transaction, ids).await;
            transaction.end(result).await
        };
        Ok(self.retrying("delete dead letters", self.config.transaction_timeout, run).await?)
    }
}

async fn discard(
    transaction: &mut Transaction,
    selection: &DeadLetterSelection,
    page: PageRequest,
    seen: Option<SeenDeadLetters>,
    undo: Duration,
    group: &str,
    context: &AuditContext,
) -> Result<SeenDiscard, DbError> {
    const KINDS: &[ColumnKind] = &[ColumnKind::Int, ColumnKind::Int];
    // A dead letter that the caller names gets an outcome, also if it was discarded before.
    let standing = if matches!(selection, DeadLetterSelection::Ids(_)) {
        DeadLetterStatus::Any
    } else {
        DeadLetterStatus::Open
    };
    let statement = Statement::new(
        "SELECT id, CASE WHEN discarded_at IS NULL THEN 1 ELSE 0 END FROM dead_letters WHERE id > ? AND id <= ?",
    )
    .bind(page.after)
    .bind(seen.map_or(i64::MAX, |seen| seen.newest_id));
    let Some(statement) = selected(statement, selection, standing) else {
        return Ok(SeenDiscard::Discarded(DiscardedPage::default()));
    };
    let statement = limited(statement, page).text(transaction.dialect.for_update).rare();
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for row in transaction.fetch("lock dead letters", statement, KINDS).await? {
        found.push(row.int(0)?);
        if row.int(1)? == 1 {
            open.push(row.int(0)?);
        }
    }
    if let Some(seen) = seen {
        // After the locks, so that the count has every row of the page.
        let counted = Statement::new("SELECT COUNT(*) FROM dead_letters WHERE id > ? AND id <= ?")
            .bind(page.after)
            .bind(seen.newest_id);
        let Some(counted) = selected(counted, selection, standing) else {
            return Ok(SeenDiscard::Discarded(DiscardedPage::default()));
        };
        let rows = transaction.fetch("count dead letters", counted.rare(), &[ColumnKind::Int]).await?;
        let count = rows.first().map_or(Ok(0), |row| count(row, 0))?;
        if count != seen.count {
            return Ok(SeenDiscard::Changed { count });
        }
    }
    if !open.is_empty() {
        let (who, reason) = (cut(&context.author(), NAME_CHARS_MAX), cut(&context.reason, REASON_CHARS_MAX));
        let discard = Statement::new("UPDATE dead_letters SET ");
        let discard = if undo.is_zero() {
            discard.text("payload = ").text(BYTES).bind(b"".as_slice())
        } else {
            let now_us = transaction.dialect.now_us;
            discard.text("restorable_until_us = ").text(now_us).text(" + ?").bind(microseconds(undo))
        };
        let discard = discard
            .text(", discarded_by = ?, discarded_reason = ?, discarded_at = ")
            .bind(who.as_str())
            .bind(reason.as_str())
            .text(transaction.dialect.now)
            .text(" WHERE id IN ")
            .list(open.iter().copied())
            .rare();
        transaction.execute("discard dead letters", discard).await?;
        let act = ActPage {
            selection: selection.name().to_owned(),
            first: open[0],
            last: open[open.len() - 1],
            ids: if matches!(selection, DeadLetterSelection::Ids(_)) { open.clone() } else { Vec::new() },
            outcomes: BTreeMap::from([("discarded".to_owned(), open.len() as u64)]),
        };
        record_act_page(transaction, group, "letters_discarded", &act, page.after, context).await?;
    }
    let outcomes = match selection {
        DeadLetterSelection::Ids(ids) => {
            ids.iter().map(|id| (*id, outcome(found.binary_search(id).is_ok()))).collect()
        }
        DeadLetterSelection::Reason(_) | DeadLetterSelection::All => {
            found.into_iter().map(|id| (id, outcome(true))).collect()
        }
    };
    Ok(SeenDiscard::Discarded(DiscardedPage { outcomes, newly: open.len() }))
}

const fn outcome(is_there: bool) -> DiscardOutcome {
    if is_there { DiscardOutcome::Discarded } else { DiscardOutcome::Gone }
}

async fn delete(transaction: &mut Transaction, ids: &[i64]) -> Result<(), DbError> {
    for chunk in ids.chunks(ROWS_MAX) {
        let statement = Statement::new("DELETE FROM dead_letters WHERE discarded_at IS NULL AND id IN ")
            .list(chunk.iter().copied())
            .rare();
        transaction.execute("remove dead letters", statement).await?;
    }
    Ok(())
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}
