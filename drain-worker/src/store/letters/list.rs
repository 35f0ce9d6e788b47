//! Lists and counts dead letters, beside the writers.

use bytes::Bytes;
use shared::order::OrderId;
use time::OffsetDateTime;

use crate::store::dialect::Dialect;
use crate::store::error::Failure;
use crate::store::letter_store::{
    Discard, LetterHead, LetterTotals, PAGE_LETTERS_MAX, Page, ReasonTotal, Selection, Standing, StoredLetter,
};
use crate::store::lookup::count;
use crate::store::sql::{Kind, ROWS_MAX, Row, Statement};
use crate::store::sql_store::SqlStore;
use crate::store::times;

const _: () = assert!(PAGE_LETTERS_MAX as usize <= ROWS_MAX, "a page's numbers are one list");

/// The columns of [`head`].
const HEAD: &str = "SELECT id, order_id, message_id, reason, detail, attempts, CAST(first_failed_at AS CHAR), \
     CAST(last_failed_at AS CHAR), CAST(LENGTH(payload) AS SIGNED), CAST(discarded_at AS CHAR), discarded_by, discarded_why ";
const HEAD_KINDS: &[Kind] = &[
    Kind::Int,
    Kind::Bytes,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Int,
    Kind::Text,
    Kind::Text,
    Kind::Int,
    Kind::Text,
    Kind::Text,
    Kind::Text,
];

impl<D: Dialect> SqlStore<D> {
    /// See [`crate::store::LetterStore::letters`].
    pub(in crate::store) async fn list_letters(
        &self,
        selection: &Selection,
        standing: Standing,
        page: Page,
    ) -> Result<Vec<LetterHead>, Failure> {
        let (selection, _) = selection.on_page(page);
        let Some(statement) = selected(
            Statement::new(HEAD).text("FROM dead_letters WHERE id > ?").bind(page.after),
            &selection,
            standing,
        ) else {
            return Ok(Vec::new());
        };
        let statement = limited(statement, page);
        self.look_up("list dead letters", statement, HEAD_KINDS).await?.iter().map(head).collect()
    }

    /// See [`crate::store::LetterStore::count_letters`].
    pub(in crate::store) async fn count_selected(
        &self,
        selection: &Selection,
        standing: Standing,
    ) -> Result<u64, Failure> {
        let all = Page { after: 0, letters_max: std::num::NonZeroU32::MAX };
        let counted = Statement::new("SELECT COUNT(*) FROM dead_letters WHERE id > ?").bind(all.after);
        let (selection, _) = selection.on_page(all);
        let Some(statement) = selected(counted, &selection, standing) else { return Ok(0) };
        let rows = self.look_up("count dead letters", statement, &[Kind::Int]).await?;
        rows.first().map_or(Ok(0), |row| count(row, 0))
    }

    /// See [`crate::store::LetterStore::whole_letters`].
    pub(in crate::store) async fn read_letters(&self, ids: &[i64]) -> Result<Vec<StoredLetter>, Failure> {
        const KINDS: [Kind; 13] = {
            let mut kinds = [Kind::Bytes; 13];
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
            .text(" ORDER BY id");
        let letter = |row: &Row| {
            Ok(StoredLetter { head: head(row)?, payload: Bytes::copy_from_slice(row.bytes(12)?) })
        };
        self.look_up("read dead letters", statement, &KINDS).await?.iter().map(letter).collect()
    }

    /// See [`crate::store::LetterStore::letter_totals`].
    pub(in crate::store) async fn total_letters(&self) -> Result<LetterTotals, Failure> {
        const KINDS: &[Kind] = &[Kind::Text, Kind::Int, Kind::Text, Kind::Text];
        // Numbers ascend with the first failure, so the index alone tells which letter is the oldest.
        let statement = Statement::new(
            "SELECT totals.reason, totals.letters, CAST(dead_letters.first_failed_at AS CHAR), CAST(",
        )
        .text(D::NOW)
        .text(
            " AS CHAR) FROM (SELECT reason, COUNT(*) AS letters, MIN(id) AS oldest FROM dead_letters \
             WHERE discarded_at IS NULL GROUP BY reason) AS totals \
             JOIN dead_letters ON dead_letters.id = totals.oldest",
        );
        let mut totals = LetterTotals::default();
        for row in self.look_up("count dead letters", statement, KINDS).await? {
            let (since, now) = (times::from_database(&row, 2)?, times::from_database(&row, 3)?);
            let total = ReasonTotal { letters: count(&row, 1)?, oldest_age_ms: millis_between(since, now) };
            totals.by_reason.insert(row.text(0)?.to_owned(), total);
        }
        Ok(totals)
    }
}

/// Adds the conditions of a selection; `None`: nothing can be in it.
pub(super) fn selected<'a>(
    statement: Statement<'a>,
    selection: &'a Selection,
    standing: Standing,
) -> Option<Statement<'a>> {
    let statement = match standing {
        Standing::Open => statement.text(" AND discarded_at IS NULL"),
        Standing::Discarded => statement.text(" AND discarded_at IS NOT NULL"),
        Standing::Any => statement,
    };
    match selection {
        Selection::Ids(ids) if ids.is_empty() => None,
        Selection::Ids(ids) => Some(statement.text(" AND id IN ").list(ids.iter().copied())),
        Selection::Reason(reason) => Some(statement.text(" AND reason = ?").bind(reason.as_str())),
        Selection::All => Some(statement),
    }
}

/// Ends a statement about letters with the page's order and bound.
pub(super) fn limited(statement: Statement<'_>, page: Page) -> Statement<'_> {
    statement.text(" ORDER BY id LIMIT ?").bind(page.letters_max.get().min(PAGE_LETTERS_MAX))
}

fn head(row: &Row) -> Result<LetterHead, Failure> {
    let discard = |at| {
        let text = |index| Ok::<_, Failure>(row.optional_text(index)?.unwrap_or_default().to_owned());
        Ok::<_, Failure>(Discard { at, by: text(10)?, why: text(11)? })
    };
    Ok(LetterHead {
        id: row.int(0)?,
        order_id: row.optional_array(1)?.map(OrderId::from_bytes),
        message_id: row.optional_text(2)?.map(str::to_owned),
        reason: row.text(3)?.to_owned(),
        detail: row.text(4)?.to_owned(),
        attempts: row.int(5)?,
        first_failed_at: times::from_database(row, 6)?,
        last_failed_at: times::from_database(row, 7)?,
        payload_bytes: count(row, 8)?,
        discard: times::optional_from_database(row, 9)?.map(discard).transpose()?,
    })
}

/// From `since` to `now`, milliseconds; 0 if the clock went back.
fn millis_between(since: OffsetDateTime, now: OffsetDateTime) -> u64 {
    u64::try_from((now - since).whole_milliseconds()).unwrap_or(0)
}
