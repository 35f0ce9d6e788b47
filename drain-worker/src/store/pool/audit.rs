//! The audit trail: one row an act, also if the act takes many requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AuditEntry;
use crate::control::{AuditContext, NAME_CHARS_MAX, REASON_CHARS_MAX};
use crate::store::Store;
use crate::store::dialect::PoolKind;
use crate::store::error::{DbError, StoreError};
use crate::store::sql::{ColumnKind, SqlRow, Statement, from_database, unexpected};
use crate::store::transaction::Transaction;

/// Width of the column `detail`, characters.
const DETAIL_CHARS_MAX: usize = 500;

/// Maximum length of a value before or after, bytes: the column holds 65,535.
const VALUE_BYTES_MAX: usize = 60_000;

/// Rows among which a page of an act finds the row of the page before.
const ACT_ROWS: u32 = 20;

const COLUMNS: &str = "SELECT id, CAST(at AS CHAR), who, action, detail, reason, revision, value_before, value_after, \
                       actor FROM drain_audit WHERE group_id = ? AND ";

const KINDS: &[ColumnKind] = &[
    ColumnKind::Int,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Int,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Text,
];

/// The name of a selection by numbers.
pub(in crate::store) const BY_NUMBER: &str = "number";

/// Maximum of the numbers that an act lists: its value fits into the column. The outcomes count all.
const ACT_IDS_MAX: usize = 2_000;

/// A row to append.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct AuditRecord<'a> {
    pub(in crate::store) action: &'static str,
    pub(in crate::store) detail: &'a str,
    /// The revision of the settings that the act made.
    pub(in crate::store) revision: Option<i64>,
    pub(in crate::store) before: Option<&'a Value>,
    pub(in crate::store) after: Option<&'a Value>,
}

/// A page of dead letters on which an operator acts, or acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActPage {
    /// A reason, `all` or `number`.
    pub selection: String,
    /// Number of the first dead letter.
    pub first: i64,
    /// Number of the last one.
    pub last: i64,
    /// The numbers, if the operator named them; the first 2,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<i64>,
    /// Dead letters by outcome.
    pub outcomes: BTreeMap<String, u64>,
}

impl ActPage {
    /// Adds `page` if it follows: it begins after a number that this act has reached. Numbers that the operator named
    /// may be far apart.
    fn extended(mut self, page: &Self, after: i64) -> Option<Self> {
        let reached = if self.selection == BY_NUMBER { i64::MAX } else { self.last };
        let follows = after > 0 && (self.first - 1..=reached).contains(&after);
        if !follows || self.selection != page.selection {
            return None;
        }
        self.last = self.last.max(page.last);
        let ids_left = ACT_IDS_MAX.saturating_sub(self.ids.len());
        self.ids.extend(page.ids.iter().take(ids_left));
        for (outcome, letters) in &page.outcomes {
            *self.outcomes.entry(outcome.clone()).or_default() += letters;
        }
        Some(self)
    }

    fn detail(&self) -> String {
        let outcomes: Vec<_> =
            self.outcomes.iter().map(|(outcome, letters)| format!("{letters} {outcome}")).collect();
        let outcomes = if outcomes.is_empty() { "in progress".to_owned() } else { outcomes.join(", ") };
        let ids: Vec<_> = self.ids.iter().map(i64::to_string).collect();
        let which = if ids.is_empty() { format!("{} to {}", self.first, self.last) } else { ids.join(" ") };
        format!("letters {which}, by {}: {outcomes}", self.selection)
    }
}

impl Store {
    /// Appends an operator's act to the audit trail.
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
        let record = AuditRecord { action, detail, revision: None, before: None, after: None };
        let run = || async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = insert_audit(&mut transaction, group, record, context).await;
            transaction.end(result.map(drop)).await
        };
        Ok(self.coordinating("append to the audit trail", run).await?)
    }

    /// Records a page of an act that began after the number `after`: in the row of the pages before it, if the same
    /// operator made them for the same reason; else in a new row.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn record_act_page(
        &self,
        group: &str,
        action: &'static str,
        page: &ActPage,
        after: i64,
        context: &AuditContext,
    ) -> Result<(), StoreError> {
        let run = || async {
            let mut transaction = self.begin(PoolKind::Coordinator).await?;
            let result = record_act_page(&mut transaction, group, action, page, after, context).await;
            transaction.end(result).await
        };
        Ok(self.coordinating("append to the audit trail", run).await?)
    }

    /// At most `count_max` entries of the audit trail with numbers below `before`, newest first.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn list_audit(
        &self,
        group: &str,
        before: Option<i64>,
        count_max: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.audit_where("id < ?", before.unwrap_or(i64::MAX), group, count_max).await
    }

    /// At most `count_max` changes of the settings after `revision`, newest first.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn list_changes_since(
        &self,
        group: &str,
        revision: i64,
        count_max: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.audit_where("revision > ?", revision, group, count_max).await
    }

    async fn audit_where(
        &self,
        condition: &'static str,
        bound: i64,
        group: &str,
        count_max: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let statement = Statement::new(COLUMNS)
            .bind(group)
            .text(condition)
            .text(" ORDER BY id DESC LIMIT ?")
            .bind(bound)
            .bind(count_max);
        let rows = self.look_up("read the audit trail", statement, KINDS).await?;
        Ok(rows.iter().map(entry).collect::<Result<_, DbError>>()?)
    }
}

fn entry(row: &SqlRow) -> Result<AuditEntry, DbError> {
    let value = |index| match row.optional_text(index)? {
        Some(text) => serde_json::from_str(text).map(Some).map_err(|_| unexpected(index)),
        None => Ok(None),
    };
    Ok(AuditEntry {
        id: row.int(0)?,
        at: from_database(row, 1)?,
        actor: row.text(9)?.to_owned(),
        who: row.text(2)?.to_owned(),
        action: row.text(3)?.to_owned(),
        detail: row.text(4)?.to_owned(),
        reason: row.text(5)?.to_owned(),
        revision: row.optional_int(6)?,
        before: value(7)?,
        after: value(8)?,
    })
}

/// As [`Store::record_act_page`], within a transaction.
pub(in crate::store) async fn record_act_page(
    transaction: &mut Transaction,
    group: &str,
    action: &'static str,
    page: &ActPage,
    after: i64,
    context: &AuditContext,
) -> Result<(), DbError> {
    let newest = Statement::new(COLUMNS)
        .bind(group)
        .text("id > 0 ORDER BY id DESC LIMIT ?")
        .bind(ACT_ROWS)
        .text(transaction.dialect.for_update);
    let rows = transaction.fetch("find the act", newest, KINDS).await?;
    for row in rows.iter().filter(|_| after > 0) {
        let entry = entry(row)?;
        let author = (&entry.actor, &entry.who, &entry.reason);
        if entry.action != action || author != (&context.actor, &context.who, &context.reason) {
            continue;
        }
        let begun = entry.after.and_then(|value| serde_json::from_value::<ActPage>(value).ok());
        let Some(act) = begun.and_then(|act| act.extended(page, after)) else { continue };
        let (detail, value) = (act.detail(), written(&act));
        let update = Statement::new("UPDATE drain_audit SET detail = ?, value_after = ? WHERE id = ?")
            .bind(detail.as_str())
            .bind(value.as_str())
            .bind(entry.id);
        return transaction.execute("extend the act", update).await;
    }
    let (detail, value) = (page.detail(), serde_json::to_value(page).unwrap_or_default());
    let record = AuditRecord { action, detail: &detail, revision: None, before: None, after: Some(&value) };
    insert_audit(transaction, group, record, context).await.map(drop)
}

/// Appends to the audit trail, within a transaction. Returns the detail as it was written.
pub(in crate::store) async fn insert_audit(
    transaction: &mut Transaction,
    group: &str,
    record: AuditRecord<'_>,
    context: &AuditContext,
) -> Result<String, DbError> {
    let cut = |text: &str, chars_max: usize| text.chars().take(chars_max).collect::<String>();
    let (who, reason) = (cut(&context.who, NAME_CHARS_MAX), cut(&context.reason, REASON_CHARS_MAX));
    let detail = cut(record.detail, DETAIL_CHARS_MAX);
    let (before, after) = (record.before.map(written), record.after.map(written));
    let statement = Statement::new(
        "INSERT INTO drain_audit (group_id, actor, who, action, detail, reason, revision, value_before, value_after, \
         at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ",
    )
    .bind(group)
    .bind(context.actor.as_str())
    .bind(who.as_str())
    .bind(record.action)
    .bind(detail.as_str())
    .bind(reason.as_str())
    .bind(record.revision)
    .bind(before.as_deref())
    .bind(after.as_deref())
    .text(transaction.dialect.now)
    .text(")");
    transaction.execute("write the audit trail", statement).await?;
    Ok(detail)
}

/// The entry of the change that made `revision`, within a transaction that locks the group.
pub(super) async fn audit_of_change(
    transaction: &mut Transaction,
    group: &str,
    revision: i64,
) -> Result<Option<AuditEntry>, DbError> {
    let statement = Statement::new(COLUMNS)
        .bind(group)
        .text("revision = ?")
        .bind(revision)
        .text(transaction.dialect.for_share);
    let rows = transaction.fetch("find the change", statement, KINDS).await?;
    rows.first().map(entry).transpose()
}

/// JSON; a value that is longer than the column is replaced by its length.
fn written(value: &impl Serialize) -> String {
    // Objects with texts as keys always serialise.
    let text = serde_json::to_string(value).unwrap_or_default();
    if text.len() <= VALUE_BYTES_MAX { text } else { format!(r#"{{"omitted_bytes":{}}}"#, text.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(first: i64, last: i64, confirmed: u64) -> ActPage {
        let outcomes = BTreeMap::from([("confirmed".to_owned(), confirmed)]);
        ActPage { selection: "unknown_sku".to_owned(), first, last, ids: Vec::new(), outcomes }
    }

    #[test]
    fn a_page_extends_the_act_that_reached_its_begin() {
        let begun = page(1, 100, 100);
        for (what, next, after, expected) in [
            ("the next page", page(101, 150, 50), 100, Some(page(1, 150, 150))),
            ("a page that ended early", page(61, 150, 90), 60, Some(page(1, 150, 190))),
            ("outcomes of the same page", page(1, 100, 7), 0, None),
            ("the act from its begin", page(1, 100, 100), 0, None),
            ("a page elsewhere", page(301, 400, 100), 300, None),
            ("another selection", ActPage { selection: "all".to_owned(), ..page(101, 150, 50) }, 100, None),
        ] {
            assert_eq!(begun.clone().extended(&next, after), expected, "{what}");
        }
        assert_eq!(begun.detail(), "letters 1 to 100, by unknown_sku: 100 confirmed");
        let numbered = |ids: &[i64]| ActPage {
            selection: BY_NUMBER.to_owned(),
            ids: ids.to_vec(),
            ..page(ids[0], ids[ids.len() - 1], ids.len() as u64)
        };
        let named = numbered(&[1, 3]);
        assert_eq!(named.clone().extended(&numbered(&[9_000]), 700), Some(numbered(&[1, 3, 9_000])));
        assert_eq!(named.clone().extended(&numbered(&[9_000]), 0), None, "an act of its own");
        assert_eq!(begun.extended(&numbered(&[101]), 100), None, "numbers after a reason");
        assert_eq!(named.clone().extended(&page(4, 9, 6), 3), None, "a reason after numbers");
        assert_eq!(named.detail(), "letters 1 3, by number: 2 confirmed");
    }
}
