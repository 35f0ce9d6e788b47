//! Keeps what the broker gave up, unless its end is known.

use std::collections::{BTreeSet, HashMap, HashSet};

use shared::order::{OrderId, PayloadDigest};

use super::insert_letters;
use crate::store::commit::insert_conflicts;
use crate::store::dead_letter::{DeadLetter, Subject};
use crate::store::dialect::Dialect;
use crate::store::error::Failure;
use crate::store::fence::{Fence, enter};
use crate::store::letter_store::Kept;
use crate::store::sql::{Kind, ROWS_MAX, Statement};
use crate::store::sql_store::SqlStore;
use crate::store::transaction::Transaction;

impl<D: Dialect> SqlStore<D> {
    /// See [`crate::store::LetterStore::keep_undecided`].
    pub(in crate::store) async fn insert_undecided(
        &self,
        fence: Fence,
        letters: &[DeadLetter],
    ) -> Result<Kept, Failure> {
        if letters.is_empty() {
            return Ok(Kept::default());
        }
        let run = || async {
            let mut transaction = Transaction::<D>::begin(&self.pools.writers).await?;
            let result = keep(&mut transaction, fence, letters).await;
            transaction.end(result).await
        };
        self.retrying("keep what the broker gave up", self.config.transaction_timeout, run).await
    }
}

/// An order may be decided by another transaction between the look and the letter. The letter is then one too many, and
/// goes when it is redriven.
async fn keep<D: Dialect>(
    transaction: &mut Transaction<D>,
    fence: Fence,
    letters: &[DeadLetter],
) -> Result<Kept, Failure> {
    enter(transaction, fence).await?;
    let decided = read_decided(transaction, letters).await?;
    let present = read_present(transaction, letters).await?;
    let (mut kept, mut conflicts, mut undecided) = (Kept::default(), BTreeSet::new(), Vec::new());
    for letter in letters {
        let known = match letter.subject {
            Subject::Order(order_id, digest) => {
                decided.get(&order_id).map(|known| (order_id, digest, *known))
            }
            Subject::Message => None,
        };
        match known {
            Some((_, digest, known)) if known == digest => kept.decided += 1,
            Some((order_id, digest, _)) => {
                kept.conflicts += 1;
                conflicts.insert((order_id, digest));
            }
            None if present.contains(&letter.dedup_key()) => kept.present += 1,
            None => {
                kept.kept += 1;
                undecided.push(letter.clone());
            }
        }
    }
    insert_conflicts(transaction, &conflicts).await?;
    insert_letters(transaction, &undecided).await?;
    Ok(kept)
}

async fn read_decided<D: Dialect>(
    transaction: &mut Transaction<D>,
    letters: &[DeadLetter],
) -> Result<HashMap<OrderId, PayloadDigest>, Failure> {
    let order_id = |letter: &DeadLetter| match letter.subject {
        Subject::Order(order_id, _) => Some(order_id),
        Subject::Message => None,
    };
    let ids: Vec<_> = letters.iter().filter_map(order_id).collect();
    let mut decided = HashMap::new();
    for chunk in ids.chunks(ROWS_MAX) {
        let statement = Statement::new("SELECT order_id, payload_digest FROM orders WHERE order_id IN ")
            .list_of_bytes(chunk.iter().map(|id| id.as_bytes().as_slice()));
        for row in transaction.fetch("look for decisions", statement, &[Kind::Bytes, Kind::Bytes]).await? {
            decided.insert(OrderId::from_bytes(row.array(0)?), PayloadDigest::from_bytes(row.array(1)?));
        }
    }
    Ok(decided)
}

async fn read_present<D: Dialect>(
    transaction: &mut Transaction<D>,
    letters: &[DeadLetter],
) -> Result<HashSet<Vec<u8>>, Failure> {
    let keys: Vec<_> = letters.iter().map(DeadLetter::dedup_key).collect();
    let mut present = HashSet::new();
    for chunk in keys.chunks(ROWS_MAX) {
        let statement = Statement::new("SELECT dedup_key FROM dead_letters WHERE dedup_key IN ")
            .list_of_bytes(chunk.iter().map(Vec::as_slice));
        for row in transaction.fetch("look for dead letters", statement, &[Kind::Bytes]).await? {
            present.insert(row.bytes(0)?.to_vec());
        }
    }
    Ok(present)
}
