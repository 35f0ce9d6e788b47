//! Gives dead letters up, and removes settled ones.

use super::list::{limited, selected};
use crate::control::{NAME_CHARS_MAX, Origin, WHY_CHARS_MAX};
use crate::store::dialect::Dialect;
use crate::store::error::Failure;
use crate::store::letter_store::{DiscardOutcome, Page, Selection, Standing};
use crate::store::pool::insert_audit;
use crate::store::sql::{BYTES, Kind, ROWS_MAX, Statement};
use crate::store::sql_store::SqlStore;
use crate::store::transaction::Transaction;

impl<D: Dialect> SqlStore<D> {
    /// See [`crate::store::LetterStore::discard`].
    pub(in crate::store) async fn discard_letters(
        &self,
        selection: &Selection,
        page: Page,
        group: &str,
        origin: &Origin,
    ) -> Result<Vec<(i64, DiscardOutcome)>, Failure> {
        let (selection, _) = selection.on_page(page);
        let run = || async {
            let mut transaction = Transaction::<D>::begin(&self.pools.writers).await?;
            let result = discard(&mut transaction, &selection, page, group, origin).await;
            transaction.end(result).await
        };
        self.retrying("give dead letters up", self.config.transaction_timeout, run).await
    }

    /// See [`crate::store::LetterStore::remove_letters`].
    pub(in crate::store) async fn delete_letters(&self, ids: &[i64]) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        let run = || async {
            let mut transaction = Transaction::<D>::begin(&self.pools.writers).await?;
            let result = delete(&mut transaction, ids).await;
            transaction.end(result).await
        };
        self.retrying("remove dead letters", self.config.transaction_timeout, run).await
    }
}

async fn discard<D: Dialect>(
    transaction: &mut Transaction<D>,
    selection: &Selection,
    page: Page,
    group: &str,
    origin: &Origin,
) -> Result<Vec<(i64, DiscardOutcome)>, Failure> {
    const KINDS: &[Kind] = &[Kind::Int, Kind::Int];
    // Somebody who names a letter is told about it, also if it was given up before.
    let standing = if matches!(selection, Selection::Ids(_)) { Standing::Any } else { Standing::Open };
    let statement = Statement::new(
        "SELECT id, CASE WHEN discarded_at IS NULL THEN 1 ELSE 0 END FROM dead_letters WHERE id > ?",
    )
    .bind(page.after);
    let Some(statement) = selected(statement, selection, standing) else { return Ok(Vec::new()) };
    let statement = limited(statement, page).text(D::FOR_UPDATE);
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for row in transaction.fetch("lock dead letters", statement, KINDS).await? {
        found.push(row.int(0)?);
        if row.int(1)? == 1 {
            open.push(row.int(0)?);
        }
    }
    if !open.is_empty() {
        let (who, why) = (cut(&origin.who, NAME_CHARS_MAX), cut(&origin.why, WHY_CHARS_MAX));
        let wipe = Statement::new("UPDATE dead_letters SET payload = ")
            .text(BYTES)
            .bind(b"".as_slice())
            .text(", discarded_by = ?, discarded_why = ?, discarded_at = ")
            .bind(who.as_str())
            .bind(why.as_str())
            .text(D::NOW)
            .text(" WHERE id IN ")
            .list(open.iter().copied());
        transaction.execute("give dead letters up", wipe).await?;
        insert_audit(transaction, group, "letters_discarded", &detail(&open), origin).await?;
    }
    Ok(match selection {
        Selection::Ids(ids) => ids.iter().map(|id| (*id, outcome(found.binary_search(id).is_ok()))).collect(),
        Selection::Reason(_) | Selection::All => found.into_iter().map(|id| (id, outcome(true))).collect(),
    })
}

const fn outcome(is_there: bool) -> DiscardOutcome {
    if is_there { DiscardOutcome::Discarded } else { DiscardOutcome::Gone }
}

/// For the audit trail; `ids` ascend.
fn detail(ids: &[i64]) -> String {
    let named: Vec<_> = ids.iter().map(i64::to_string).collect();
    format!("{} letters: {}", ids.len(), named.join(" "))
}

async fn delete<D: Dialect>(transaction: &mut Transaction<D>, ids: &[i64]) -> Result<(), Failure> {
    for chunk in ids.chunks(ROWS_MAX) {
        let statement = Statement::new("DELETE FROM dead_letters WHERE discarded_at IS NULL AND id IN ")
            .list(chunk.iter().copied());
        transaction.execute("remove dead letters", statement).await?;
    }
    Ok(())
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}
