//! Keeps, lists and removes dead letters.

use bytes::Bytes;
use shared::order::OrderId;

use super::dead_letter::{DeadLetter, StoredLetter, Subject};
use super::dialect::Dialect;
use super::error::Failure;
use super::sql::{BYTES, Kind, ROWS_MAX, Row, Statement, chunks};
use super::sql_store::SqlStore;
use super::times;
use super::transaction::Transaction;

/// Most payload in one statement, unless one letter alone has more. Servers accept 16 MiB and more by default, and a
/// message has at most 4 MiB.
const STATEMENT_PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;

impl<D: Dialect> SqlStore<D> {
    /// See [`super::OrderStore::dead_letter`].
    pub(super) async fn keep_letters(&self, letters: &[DeadLetter]) -> Result<(), Failure> {
        if letters.is_empty() {
            return Ok(());
        }
        let run = || async {
            let mut transaction = Transaction::<D>::begin(&self.pools.writers).await?;
            let result = insert_letters(&mut transaction, letters).await;
            transaction.end(result).await
        };
        self.retrying("keep dead letters", self.config.transaction_timeout, run).await
    }

    /// See [`super::OrderStore::dead_letters`].
    pub(super) async fn list_letters(
        &self,
        after: i64,
        count_max: u32,
    ) -> Result<Vec<StoredLetter>, Failure> {
        const KINDS: &[Kind] = &[
            Kind::Int,
            Kind::Bytes,
            Kind::Text,
            Kind::Text,
            Kind::Text,
            Kind::Bytes,
            Kind::Int,
            Kind::Text,
            Kind::Text,
        ];
        let statement = Statement::new(
            "SELECT id, order_id, message_id, reason, detail, payload, attempts, \
             CAST(first_failed_at AS CHAR), CAST(last_failed_at AS CHAR) \
             FROM dead_letters WHERE id > ? ORDER BY id LIMIT ?",
        )
        .bind(after)
        .bind(count_max);
        let rows = self.look_up("list dead letters", statement, KINDS).await?;
        rows.iter().map(stored_letter).collect()
    }

    /// See [`super::OrderStore::remove_dead_letters`].
    pub(super) async fn delete_letters(&self, ids: &[i64]) -> Result<(), Failure> {
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

async fn delete<D: Dialect>(transaction: &mut Transaction<D>, ids: &[i64]) -> Result<(), Failure> {
    for chunk in ids.chunks(ROWS_MAX) {
        let statement = Statement::new("DELETE FROM dead_letters WHERE id IN ").list(chunk.iter().copied());
        transaction.execute("remove dead letters", statement).await?;
    }
    Ok(())
}

fn stored_letter(row: &Row) -> Result<StoredLetter, Failure> {
    Ok(StoredLetter {
        id: row.int(0)?,
        order_id: row.optional_array(1)?.map(OrderId::from_bytes),
        message_id: row.optional_text(2)?.map(str::to_owned),
        reason: row.text(3)?.to_owned(),
        detail: row.text(4)?.to_owned(),
        payload: Bytes::copy_from_slice(row.bytes(5)?),
        attempts: row.int(6)?,
        first_failed_at: times::from_database(row, 7)?,
        last_failed_at: times::from_database(row, 8)?,
    })
}

/// Inserts or updates `letters` within a transaction.
pub(super) async fn insert_letters<D: Dialect>(
    transaction: &mut Transaction<D>,
    letters: &[DeadLetter],
) -> Result<(), Failure> {
    let mut rest = letters;
    while !rest.is_empty() {
        let (some, tail) = rest.split_at(count_within(rest, STATEMENT_PAYLOAD_BYTES_MAX));
        rest = tail;
        for chunk in chunks(some) {
            insert_chunk(transaction, chunk).await?;
        }
    }
    Ok(())
}

async fn insert_chunk<D: Dialect>(
    transaction: &mut Transaction<D>,
    letters: &[DeadLetter],
) -> Result<(), Failure> {
    let keys: Vec<_> = letters.iter().map(DeadLetter::dedup_key).collect();
    let mut statement = Statement::new(
        "INSERT INTO dead_letters (dedup_key, order_id, payload_digest, message_id, reason, detail, payload, \
         first_failed_at, last_failed_at) VALUES ",
    )
    .rows(
        letters.len(),
        &["(", BYTES, ", ", BYTES, ", ", BYTES, ", ?, ?, ?, ", BYTES, ", ", D::NOW, ", ", D::NOW, ")"],
    )
    .text(D::UPDATE_LETTER);
    for (letter, key) in letters.iter().zip(&keys) {
        let (order_id, digest) = match &letter.subject {
            Subject::Order(order_id, digest) => {
                (Some(order_id.as_bytes().as_slice()), Some(digest.as_bytes().as_slice()))
            }
            Subject::Message => (None, None),
        };
        statement = statement
            .bind(key.as_slice())
            .bind(order_id)
            .bind(digest)
            .bind(letter.message_id.as_deref())
            .bind(letter.reason.as_str())
            .bind(letter.detail.as_str())
            .bind(&*letter.payload);
    }
    transaction.execute("insert dead letters", statement).await
}

/// How many of `letters`, from the first, hold at most `bytes_max` of payload together; at least 1.
fn count_within(letters: &[DeadLetter], bytes_max: usize) -> usize {
    let mut bytes = 0_usize;
    let fits = letters.iter().take_while(|letter| {
        bytes = bytes.saturating_add(letter.payload.len());
        bytes <= bytes_max
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::super::dead_letter::DeadLetterReason;
    use super::*;

    #[test]
    fn statements_are_cut_by_payload() {
        let letter = |bytes: usize| {
            DeadLetter::of_message("m", Bytes::from(vec![0; bytes]), DeadLetterReason::MalformedMessage, "")
        };
        assert_eq!(count_within(&[letter(4), letter(4), letter(4)], 8), 2);
        assert_eq!(count_within(&[letter(9), letter(1)], 8), 1);
        assert_eq!(count_within(&[letter(1), letter(1)], 8), 2);
    }
}
