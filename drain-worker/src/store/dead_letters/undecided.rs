//! Stores the broker's dead messages, unless their orders are decided.

use std::collections::{BTreeSet, HashMap, HashSet};

use shared::order::{OrderId, PayloadDigest};

use super::insert_dead_letters;
use super::records::BrokerDlqCounts;
use crate::store::Store;
use crate::store::commit::insert_conflicts;
use crate::store::dead_letter::{DeadLetter, Subject};
use crate::store::dialect::PoolKind;
use crate::store::error::{DbError, StoreError};
use crate::store::fence::{Fence, lock_for_commit};
use crate::store::sql::{ColumnKind, ROWS_MAX, Statement};
use crate::store::transaction::Transaction;

impl Store {
    /// Stores those of `letters` whose orders have neither an outcome nor a dead letter. All or none.
    ///
    /// # Errors
    /// As [`crate::store::OrderStore::upsert_dead_letters`].
    pub async fn store_undecided(
        &self,
        fence: Fence,
        letters: &[DeadLetter],
    ) -> Result<BrokerDlqCounts, StoreError> {
        if letters.is_empty() {
            return Ok(BrokerDlqCounts::default());
        }
        let run = || async {
            let mut transaction = self.begin(PoolKind::Writers).await?;
            let result = keep(&mut transaction, fence, letters).await;
            transaction.end(result).await
        };
        Ok(self.retrying("store broker dead letters", self.config.transaction_timeout, run).await?)
    }
}

/// Another transaction may decide an order between the read and the insert. The dead letter is then superfluous, and
/// is deleted when it is redriven.
async fn keep(
    transaction: &mut Transaction,
    fence: Fence,
    letters: &[DeadLetter],
) -> Result<BrokerDlqCounts, DbError> {
    lock_for_commit(transaction, fence).await?;
    let decided = read_decided(transaction, letters).await?;
    let present = read_present(transaction, letters).await?;
    let (mut stored, mut conflicts, mut undecided) =
        (BrokerDlqCounts::default(), BTreeSet::new(), Vec::new());
    for letter in letters {
        let known = match letter.subject {
            Subject::Order(order_id, digest) => {
                decided.get(&order_id).map(|known| (order_id, digest, *known))
            }
            Subject::Message(_) => None,
        };
        match known {
            Some((_, digest, known)) if known == digest => stored.decided += 1,
            Some((order_id, digest, _)) => {
                stored.conflicts += 1;
                conflicts.insert((order_id, digest));
            }
            None if present.contains(&letter.dedup_key()) => stored.present += 1,
            None => {
                stored.stored += 1;
                undecided.push(letter.clone());
            }
        }
    }
    insert_conflicts(transaction, &conflicts).await?;
    insert_dead_letters(transaction, &undecided).await?;
    Ok(stored)
}

async fn read_decided(
    transaction: &mut Transaction,
    letters: &[DeadLetter],
) -> Result<HashMap<OrderId, PayloadDigest>, DbError> {
    let order_id = |letter: &DeadLetter| match letter.subject {
        Subject::Order(order_id, _) => Some(order_id),
        Subject::Message(_) => None,
    };
    let ids: Vec<_> = letters.iter().filter_map(order_id).collect();
    let mut decided = HashMap::new();
    for chunk in ids.chunks(ROWS_MAX) {
        let statement = Statement::new("SELECT order_id, payload_digest FROM orders WHERE order_id IN ")
            .list_of_bytes(chunk.iter().map(|id| id.as_bytes().as_slice()))
            .rare();
        for row in transaction
            .fetch("look for decisions", statement, &[ColumnKind::Bytes, ColumnKind::Bytes])
            .await?
        {
            decided.insert(OrderId::from_bytes(row.array(0)?), PayloadDigest::from_bytes(row.array(1)?));
        }
    }
    Ok(decided)
}

async fn read_present(
    transaction: &mut Transaction,
    letters: &[DeadLetter],
) -> Result<HashSet<Vec<u8>>, DbError> {
    let keys: Vec<_> = letters.iter().map(DeadLetter::dedup_key).collect();
    let mut present = HashSet::new();
    for chunk in keys.chunks(ROWS_MAX) {
        let statement = Statement::new("SELECT dedup_key FROM dead_letters WHERE dedup_key IN ")
            .list_of_bytes(chunk.iter().map(Vec::as_slice))
            .rare();
        for row in transaction.fetch("look for dead letters", statement, &[ColumnKind::Bytes]).await? {
            present.insert(row.bytes(0)?.to_vec());
        }
    }
    Ok(present)
}
