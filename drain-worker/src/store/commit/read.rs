//! Reads the snapshot on which a batch is decided.

use std::collections::BTreeSet;

use shared::order::{AcceptedOrder, OrderId, PayloadDigest};

use crate::store::batch_snapshot::{BatchSnapshot, DecidedOrder, SkuKey, SkuSet, SkuState};
use crate::store::dead_letter::DeadLetterReason;
use crate::store::error::DbError;
use crate::store::order_columns::outcome;
use crate::store::sql::{ColumnKind, ROWS_MAX, Statement};
use crate::store::stock_cache::StockCache;
use crate::store::transaction::Transaction;

/// Fills in the cached stock. SKUs that are not cached are read, without a lock.
pub(super) async fn guess_stock(
    transaction: &mut Transaction,
    cache: &StockCache,
    snapshot: &mut BatchSnapshot<'_>,
) -> Result<(), DbError> {
    snapshot.states = cache.states(&snapshot.skus);
    if snapshot.states.contains(&None) {
        read_stock(transaction, snapshot, None).await?;
        cache.update(&snapshot.skus, &snapshot.states);
    }
    Ok(())
}

/// Locks the batch's stock rows and reads them.
pub(super) async fn lock_stock(
    transaction: &mut Transaction,
    snapshot: &mut BatchSnapshot<'_>,
) -> Result<(), DbError> {
    snapshot.states.fill(None);
    let lock = transaction.dialect.for_update;
    read_stock(transaction, snapshot, Some(lock)).await
}

/// Those of `skus` whose stock rows exist and are locked by another transaction; `lock` leaves such rows out.
pub(in crate::store) async fn locked<'a>(
    transaction: &mut Transaction,
    skus: SkuSet<'a>,
    lock: &'static str,
) -> Result<Vec<SkuKey<'a>>, DbError> {
    let mut snapshot = BatchSnapshot::new(skus);
    read_stock(transaction, &mut snapshot, None).await?;
    let mut free = BatchSnapshot::new(snapshot.skus.clone());
    read_stock(transaction, &mut free, Some(lock)).await?;
    let places = snapshot.states.iter().zip(&free.states);
    let locked =
        snapshot.skus.keys().iter().zip(places).filter(|(_, (all, free))| all.is_some() && free.is_none());
    Ok(locked.map(|(key, _)| *key).collect())
}

async fn read_stock(
    transaction: &mut Transaction,
    snapshot: &mut BatchSnapshot<'_>,
    lock: Option<&'static str>,
) -> Result<(), DbError> {
    let skus = snapshot.skus.clone();
    for sale in skus.by_sale() {
        for keys in sale.chunks(ROWS_MAX) {
            read_stock_chunk(transaction, keys, lock, &skus, &mut snapshot.states).await?;
        }
    }
    Ok(())
}

/// `keys` belong to one sale.
async fn read_stock_chunk(
    transaction: &mut Transaction,
    keys: &[SkuKey<'_>],
    lock: Option<&'static str>,
    skus: &SkuSet<'_>,
    states: &mut [Option<SkuState>],
) -> Result<(), DbError> {
    const KINDS: &[ColumnKind] = &[ColumnKind::Text, ColumnKind::Int, ColumnKind::Int, ColumnKind::Int];
    let sale_id = keys[0].sale_id;
    // The primary key starts with these columns, so rows are locked in its order, which is the set's.
    let statement = Statement::new(
        "SELECT sku, stock_total, stock_reserved, per_user_limit FROM sale_skus WHERE sale_id = ? AND sku IN ",
    )
    .bind(sale_id)
    .list(keys.iter().map(|key| key.sku))
    .text(" ORDER BY sku");
    let statement = match lock {
        Some(lock) if lock == transaction.dialect.for_update => statement.text(lock),
        // SKUs that are not cached are few after a worker's start; others look for locks seldom.
        _ => statement.text(lock.unwrap_or_default()).rare(),
    };
    for row in transaction.fetch("read stock", statement, KINDS).await? {
        let state =
            SkuState { total: row.int(1)?, reserved: row.int(2)?, per_user_limit: row.optional_int(3)? };
        if let Some(place) = skus.position(sale_id, row.text(0)?) {
            states[place] = Some(state);
        }
    }
    Ok(())
}

/// Reads which orders of the batch are decided.
pub(super) async fn read_known(
    transaction: &mut Transaction,
    orders: &[AcceptedOrder],
    snapshot: &mut BatchSnapshot<'_>,
) -> Result<(), DbError> {
    const KINDS: &[ColumnKind] = &[ColumnKind::Bytes, ColumnKind::Bytes, ColumnKind::Int, ColumnKind::Int];
    for chunk in orders.chunks(ROWS_MAX) {
        let statement =
            Statement::new("SELECT order_id, payload_digest, state, reason FROM orders WHERE order_id IN ")
                .list_of_bytes(ids(chunk));
        for row in transaction.fetch("read orders", statement, KINDS).await? {
            let known =
                DecidedOrder { digest: PayloadDigest::from_bytes(row.array(1)?), outcome: outcome(&row, 2)? };
            snapshot.known.insert(OrderId::from_bytes(row.array(0)?), known);
        }
    }
    Ok(())
}

/// Locks the dead letters of `orders`, so that none is discarded while its order is being decided. They are searched
/// without locks first, because a locking read that finds nothing may lock the gap.
pub(super) async fn lock_dead_letters(
    transaction: &mut Transaction,
    orders: &[AcceptedOrder],
    snapshot: &mut BatchSnapshot<'_>,
) -> Result<(), DbError> {
    for chunk in orders.chunks(ROWS_MAX) {
        lock_dead_letters_chunk(transaction, chunk, snapshot).await?;
    }
    Ok(())
}

async fn lock_dead_letters_chunk(
    transaction: &mut Transaction,
    orders: &[AcceptedOrder],
    snapshot: &mut BatchSnapshot<'_>,
) -> Result<(), DbError> {
    const KINDS: &[ColumnKind] = &[ColumnKind::Bytes, ColumnKind::Bytes, ColumnKind::Text, ColumnKind::Int];
    let look =
        Statement::new("SELECT id FROM dead_letters WHERE order_id IN ").list_of_bytes(ids(orders)).rare();
    let found = transaction.fetch("look for dead letters", look, &[ColumnKind::Int]).await?;
    let found = found.iter().map(|row| row.int(0)).collect::<Result<Vec<_>, _>>()?;
    for chunk in found.chunks(ROWS_MAX) {
        let lock = Statement::new(
            "SELECT order_id, payload_digest, reason, CASE WHEN discarded_at IS NULL THEN 0 ELSE 1 END \
             FROM dead_letters WHERE id IN ",
        )
        .list(chunk.iter().copied())
        .text(" ORDER BY id")
        .text(transaction.dialect.for_update)
        .rare();
        for row in transaction.fetch("read dead letters", lock, KINDS).await? {
            let subject = (OrderId::from_bytes(row.array(0)?), PayloadDigest::from_bytes(row.array(1)?));
            if row.int(3)? == 0 {
                snapshot.letters.insert(subject);
            } else {
                // For a reason of a newer version, any known one: the order needs no action.
                let reason = DeadLetterReason::from_name(row.text(2)?);
                snapshot.discarded.insert(subject, reason.unwrap_or(DeadLetterReason::RefusedByDatabase));
            }
        }
    }
    Ok(())
}

fn ids(orders: &[AcceptedOrder]) -> impl Iterator<Item = &[u8]> {
    orders.iter().map(|order| order.order_id.as_bytes().as_slice())
}

/// Reads the batch's buyers' purchases of SKUs with a limit.
pub(super) async fn read_purchases(
    transaction: &mut Transaction,
    orders: &[AcceptedOrder],
    snapshot: &mut BatchSnapshot<'_>,
) -> Result<(), DbError> {
    let buyers: BTreeSet<_> = orders
        .iter()
        .filter(|order| snapshot.is_limited(order))
        .map(|order| (order.sale_id.as_str(), order.user_id.as_str()))
        .collect();
    let buyers: Vec<_> = buyers.into_iter().collect();
    for sale in buyers.chunk_by(|left, right| left.0 == right.0) {
        for chunk in sale.chunks(ROWS_MAX) {
            let sale_id = chunk[0].0;
            // All purchases of a buyer in the sale: few rows, and one range of the primary key per buyer.
            let statement = Statement::new(
                "SELECT user_id, sku, quantity FROM user_purchases WHERE sale_id = ? AND user_id IN ",
            )
            .bind(sale_id)
            .list(chunk.iter().map(|(_, user_id)| *user_id));
            for row in transaction
                .fetch("read purchases", statement, &[ColumnKind::Text, ColumnKind::Text, ColumnKind::Int])
                .await?
            {
                if let Some(place) = snapshot.skus.position(sale_id, row.text(1)?) {
                    snapshot.purchases[place].insert(row.text(0)?.to_owned(), row.int(2)?);
                }
            }
        }
    }
    Ok(())
}
