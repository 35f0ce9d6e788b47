//! Writes dead letters.

mod discard;
mod list;
mod records;
mod restore;
mod undecided;

pub use records::{
    BrokerDlqCounts, DeadLetterSelection, DeadLetterStatus, DeadLetterSummary, DeadLetterTotals,
    DiscardOutcome, DiscardRecord, DiscardedPage, PAGE_LETTERS_MAX, PageRequest, ReasonTotal, RestoreOutcome,
    SeenDeadLetters, SeenDiscard, StoredDeadLetter,
};

use shared::order::UserId;

use super::Store;
use super::dead_letter::{DeadLetter, Subject};
use super::dialect::PoolKind;
use super::error::DbError;
use super::fence::{Fence, lock_for_commit};
use super::lettered_orders::note_change;
use super::sql::{BYTES, ROWS_MAX, Statement};
use super::transaction::Transaction;

/// Maximum payload of one statement; a single larger dead letter gets its own. The text has two characters for a byte;
/// servers accept 16 MiB and more by default, and a message has at most 4 MiB.
const STATEMENT_PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Store {
    pub(super) async fn insert_dead_letters(
        &self,
        fence: Fence,
        letters: &[DeadLetter],
    ) -> Result<(), DbError> {
        if letters.is_empty() {
            return Ok(());
        }
        let run = || async {
            let mut transaction = self.begin(PoolKind::Writers).await?;
            let result = keep(&mut transaction, fence, letters).await;
            transaction.end(result).await
        };
        self.retrying("keep dead letters", self.config.transaction_timeout, run).await
    }
}

async fn keep(transaction: &mut Transaction, fence: Fence, letters: &[DeadLetter]) -> Result<(), DbError> {
    lock_for_commit(transaction, fence).await?;
    insert_dead_letters(transaction, letters).await
}

/// Inserts or updates `letters` within a transaction, after all its other locks.
pub(super) async fn insert_dead_letters(
    transaction: &mut Transaction,
    letters: &[DeadLetter],
) -> Result<(), DbError> {
    if letters.is_empty() {
        return Ok(());
    }
    let mut rest = letters;
    while !rest.is_empty() {
        let (some, tail) = rest.split_at(count_within(rest, STATEMENT_PAYLOAD_BYTES_MAX));
        rest = tail;
        for chunk in some.chunks(ROWS_MAX) {
            insert_chunk(transaction, chunk).await?;
        }
    }
    note_change(transaction).await
}

async fn insert_chunk(transaction: &mut Transaction, letters: &[DeadLetter]) -> Result<(), DbError> {
    let keys: Vec<_> = letters.iter().map(DeadLetter::dedup_key).collect();
    let mut statement = Statement::new(
        "INSERT INTO dead_letters (dedup_key, order_id, payload_digest, user_id, message_id, reason, detail, payload, \
         first_failed_at, last_failed_at) VALUES ",
    )
    .rows(
        letters.len(),
        &["(", BYTES, ", ", BYTES, ", ", BYTES, ", ?, ?, ?, ?, ", BYTES, ", ", transaction.dialect.now, ", ", transaction.dialect.now, ")"],
    )
    .text(transaction.dialect.update_dead_letter)
    .rare();
    for (letter, key) in letters.iter().zip(&keys) {
        let (order_id, digest) = match &letter.subject {
            Subject::Order(order_id, digest) => {
                (Some(order_id.as_bytes().as_slice()), Some(digest.as_bytes().as_slice()))
            }
            Subject::Message(_) => (None, None),
        };
        statement = statement
            .bind(key.as_slice())
            .bind(order_id)
            .bind(digest)
            .bind(letter.user_id.as_ref().map(UserId::as_str))
            .bind(letter.message_id.as_deref())
            .bind(letter.reason.as_str())
            .bind(letter.detail.as_str())
            .bind(&*letter.payload);
    }
    transaction.execute("insert dead letters", statement).await
}

/// The number of `letters`, from the first, with at most `bytes_max` of payload together; at least 1.
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
    use bytes::Bytes;

    use super::super::dead_letter::DeadLetterReason;
    use super::*;

    #[test]
    fn statements_are_split_by_payload_size() {
        let letter = |bytes: usize| {
            DeadLetter::of_message("m", Bytes::from(vec![0; bytes]), DeadLetterReason::MalformedMessage, "")
        };
        assert_eq!(count_within(&[letter(4), letter(4), letter(4)], 8), 2);
        assert_eq!(count_within(&[letter(9), letter(1)], 8), 1);
        assert_eq!(count_within(&[letter(1), letter(1)], 8), 2);
    }
}
