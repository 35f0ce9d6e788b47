//! Lists and counts dead letters, on the readers' connections.

use bytes::Bytes;
use shared::order::{OrderId, UserId};
use time::OffsetDateTime;

use super::records::{
    DeadLetterSelection, DeadLetterStatus, DeadLetterSummary, DeadLetterTotals, DiscardRecord,
    PAGE_LETTERS_MAX, PageRequest, ReasonTotal, SeenDeadLetters, StoredDeadLetter,
};
use crate::store::Store;
use crate::store::error::{DbError, StoreError};
use crate::store::lookup::count;
use crate::store::sql::{ColumnKind, ROWS_MAX, SqlRow, Statement, from_database, optional_from_database};

const _: () = assert!(PAGE_LETTERS_MAX as usize <= ROWS_MAX, "a page's numbers are one list");

/// The columns of [`head`].
const HEAD: &str = "SELECT id, order_id, message_id, reason, detail, attempts, CAST(first_failed_at AS CHAR), \
     CAST(last_failed_at AS CHAR), CAST(LENGTH(payload) AS SIGNED), CAST(discarded_at AS CHAR), discarded_by, discarded_reason, restorable_until_us ";
const HEAD_KINDS: &[ColumnKind] = &[
    ColumnKind::Int,
    ColumnKind::Bytes,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Int,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Int,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Int,
];

impl Store {
    /// Lists a page of dead letters without their payloads, ascending by number. Of [`DeadLetterSelection::Ids`], those
    /// beyond the first [`PAGE_LETTERS_MAX`] after the page's start are left out.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn list_dead_letters(
        &self,
        selection: &DeadLetterSelection,
        standing: DeadLetterStatus,
        page: PageRequest,
    ) -> Result<Vec<DeadLetterSummary>, StoreError> {
        let (selection, _) = selection.on_page(page);
        let Some(statement) = selected(
            Statement::new(HEAD).text("FROM dead_letters WHERE id > ?").bind(page.after),
            &selection,
            standing,
        ) else {
            return Ok(Vec::new());
        };
        let statement = limited(statement, page).rare();
        let rows = self.look_up("list dead letters", statement, HEAD_KINDS).await?;
        Ok(rows.iter().map(head).collect::<Result<_, DbError>>()?)
    }

    /// Counts the dead letters of a selection, over all pages, and returns the highest number, 0 without any; of
    /// [`DeadLetterSelection::Ids`] those among the first [`PAGE_LETTERS_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn count_dead_letters(
        &self,
        selection: &DeadLetterSelection,
        standing: DeadLetterStatus,
    ) -> Result<SeenDeadLetters, StoreError> {
        const KINDS: &[ColumnKind] = &[ColumnKind::Int, ColumnKind::Int];
        let none = SeenDeadLetters { newest_id: 0, count: 0 };
        let all = PageRequest { after: 0, letters_max: std::num::NonZeroU32::MAX };
        let counted =
            Statement::new("SELECT COUNT(*), MAX(id) FROM dead_letters WHERE id > ?").bind(all.after);
        let (selection, _) = selection.on_page(all);
        let Some(statement) = selected(counted, &selection, standing) else { return Ok(none) };
        let rows = self.look_up("count dead letters", statement.rare(), KINDS).await?;
        let seen = |row: &SqlRow| {
            Ok::<_, DbError>(SeenDeadLetters {
                newest_id: row.optional_int(1)?.unwrap_or(0),
                count: count(row, 0)?,
            })
        };
        Ok(rows.first().map_or(Ok(none), seen)?)
    }

    /// Returns dead letters with their payloads, ascending by number; at most [`PAGE_LETTERS_MAX`]. Each may hold a message
    /// of up to 4 MiB, so ask for few at a time.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn get_dead_letters(&self, ids: &[i64]) -> Result<Vec<StoredDeadLetter>, StoreError> {
        const KINDS: [ColumnKind; 14] = {
            let mut kinds = [ColumnKind::Bytes; 14];
            let mut index = 0;
            while index < HEAD_KINDS.len() {
                kinds[index] = HEAD_KINDS[index];
                index += 1;
            }
            kinds
        };
        let ids = &ids[..ids.len().min(PAGE_LETTERS_MAX as usize)];
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let statement = Statement::new(HEAD)
            .text(", payload FROM dead_letters WHERE id IN ")
            .list(ids.iter().copied())
            .text(" ORDER BY id")
            .rare();
        let letter = |row: &SqlRow| {
            Ok(StoredDeadLetter { head: head(row)?, payload: Bytes::copy_from_slice(row.bytes(13)?) })
        };
        let rows = self.look_up("read dead letters", statement, &KINDS).await?;
        Ok(rows.iter().map(letter).collect::<Result<_, DbError>>()?)
    }

    /// Lists the dead letters of one order, open and discarded, ascending by number; at most [`PAGE_LETTERS_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn order_dead_letters(&self, order_id: OrderId) -> Result<Vec<DeadLetterSummary>, StoreError> {
        let of_order = Statement::new(HEAD)
            .text("FROM dead_letters WHERE order_id = UNHEX(?)")
            .bind(order_id.as_bytes().as_slice());
        self.list_all(of_order).await
    }

    /// Lists the dead letters of one buyer's orders, open and discarded, ascending by number; at most
    /// [`PAGE_LETTERS_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn buyer_dead_letters(&self, user: &UserId) -> Result<Vec<DeadLetterSummary>, StoreError> {
        self.list_all(Statement::new(HEAD).text("FROM dead_letters WHERE user_id = ?").bind(user.as_str()))
            .await
    }

    async fn list_all(&self, statement: Statement<'_>) -> Result<Vec<DeadLetterSummary>, StoreError> {
        let statement = statement.text(" ORDER BY id LIMIT ?").bind(PAGE_LETTERS_MAX).rare();
        let rows = self.look_up("list dead letters", statement, HEAD_KINDS).await?;
        Ok(rows.iter().map(head).collect::<Result<_, DbError>>()?)
    }

    /// Counts open dead letters by reason. Reads an index only.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn dead_letter_totals(&self) -> Result<DeadLetterTotals, StoreError> {
        const KINDS: &[ColumnKind] = &[ColumnKind::Text, ColumnKind::Int, ColumnKind::Text, ColumnKind::Text];
        // Numbers ascend with the first failure, so the index alone shows the oldest dead letter.
        let statement = Statement::new(
            "SELECT totals.reason, totals.letters, CAST(dead_letters.first_failed_at AS CHAR), CAST(",
        )
        .text(self.dialect().now)
        .text(
            " AS CHAR) FROM (SELECT reason, COUNT(*) AS letters, MIN(id) AS oldest FROM dead_letters \
             WHERE discarded_at IS NULL GROUP BY reason) AS totals \
             JOIN dead_letters ON dead_letters.id = totals.oldest",
        );
        let mut totals = DeadLetterTotals::default();
        for row in self.look_up("count dead letters", statement, KINDS).await? {
            let (since, now) = (from_database(&row, 2)?, from_database(&row, 3)?);
            let total = ReasonTotal { letters: count(&row, 1)?, oldest_age_ms: millis_between(since, now) };
            totals.by_reason.insert(row.text(0)?.to_owned(), total);
        }
        Ok(totals)
    }
}

/// Adds the conditions of a selection; `None`: the selection is empty.
pub(super) fn selected<'a>(
    statement: Statement<'a>,
    selection: &'a DeadLetterSelection,
    standing: DeadLetterStatus,
) -> Option<Statement<'a>> {
    let statement = match standing {
        DeadLetterStatus::Open => statement.text(" AND discarded_at IS NULL"),
        DeadLetterStatus::Discarded => statement.text(" AND discarded_at IS NOT NULL"),
        DeadLetterStatus::Any => statement,
    };
    match selection {
        DeadLetterSelection::Ids(ids) if ids.is_empty() => None,
        DeadLetterSelection::Ids(ids) => Some(statement.text(" AND id IN ").list(ids.iter().copied())),
        DeadLetterSelection::Reason(reason) => Some(statement.text(" AND reason = ?").bind(reason.as_str())),
        DeadLetterSelection::All => Some(statement),
    }
}

/// Adds the page's order and bound.
pub(super) fn limited(statement: Statement<'_>, page: PageRequest) -> Statement<'_> {
    statement.text(" ORDER BY id LIMIT ?").bind(page.letters_max.get().min(PAGE_LETTERS_MAX))
}

fn head(row: &SqlRow) -> Result<DeadLetterSummary, DbError> {
    let discard = |at| {
        let text = |index| Ok::<_, DbError>(row.optional_text(index)?.unwrap_or_default().to_owned());
        let until = row
            .optional_int(12)?
            .and_then(|us| OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1_000).ok());
        Ok::<_, DbError>(DiscardRecord { at, by: text(10)?, reason: text(11)?, restorable_until: until })
    };
    Ok(DeadLetterSummary {
        id: row.int(0)?,
        order_id: row.optional_array(1)?.map(OrderId::from_bytes),
        message_id: row.optional_text(2)?.map(str::to_owned),
        reason: row.text(3)?.to_owned(),
        detail: row.text(4)?.to_owned(),
        attempts: row.int(5)?,
        first_failed_at: from_database(row, 6)?,
        last_failed_at: from_database(row, 7)?,
        payload_bytes: count(row, 8)?,
        discard: optional_from_database(row, 9)?.map(discard).transpose()?,
    })
}

/// Milliseconds from `since` to `now`; 0 if the clock was set back.
fn millis_between(since: OffsetDateTime, now: OffsetDateTime) -> u64 {
    u64::try_from((now - since).whole_milliseconds()).unwrap_or(0)
}
