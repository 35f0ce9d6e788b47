//! Corrects what was written on a wrong guess of the stock.

use std::collections::BTreeMap;

use shared::order::{AcceptedOrder, OrderId, Outcome};

use super::write::{columns, insert_purchases};
use crate::store::batch_snapshot::BatchSnapshot;
use crate::store::decide::WritePlan;
use crate::store::error::DbError;
use crate::store::sql::{ROWS_MAX, Statement};
use crate::store::transaction::Transaction;

/// True if the same orders were inserted, and every buyer's row in `plan` is locked. Other differences cannot be
/// corrected, because their locks precede the stock's.
pub(super) fn covers(
    guessed: &WritePlan<'_>,
    added: &BTreeMap<(usize, &str), i64>,
    plan: &WritePlan<'_>,
) -> bool {
    let ids = |plan: &WritePlan<'_>| {
        plan.decided.iter().map(|(order, _)| (order.order_id, order.digest)).collect::<Vec<_>>()
    };
    ids(guessed) == ids(plan) && plan.purchases.keys().all(|key| added.contains_key(key))
}

/// Sets the outcomes in which `plan`, decided under all locks, differs from `guessed`.
pub(super) async fn outcomes(
    transaction: &mut Transaction,
    guessed: &WritePlan<'_>,
    plan: &WritePlan<'_>,
) -> Result<(), DbError> {
    for (outcome, ids) in changed(&guessed.decided, &plan.decided) {
        set_outcome(transaction, outcome, &ids).await?;
    }
    Ok(())
}

/// The orders with a different outcome, by that outcome, ids ascending.
fn changed(
    guessed: &[(&AcceptedOrder, Outcome)],
    decided: &[(&AcceptedOrder, Outcome)],
) -> Vec<(Outcome, Vec<OrderId>)> {
    let mut changed: BTreeMap<_, (Outcome, Vec<OrderId>)> = BTreeMap::new();
    for ((_, before), (order, now)) in guessed.iter().zip(decided) {
        if before != now {
            changed.entry(columns(*now)).or_insert_with(|| (*now, Vec::new())).1.push(order.order_id);
        }
    }
    let mut changed: Vec<_> = changed.into_values().collect();
    changed.iter_mut().for_each(|(_, ids)| ids.sort_unstable());
    changed
}

async fn set_outcome(
    transaction: &mut Transaction,
    outcome: Outcome,
    ids: &[OrderId],
) -> Result<(), DbError> {
    let (state, reason) = columns(outcome);
    for chunk in ids.chunks(ROWS_MAX) {
        let statement = Statement::new("UPDATE orders SET state = ?, reason = ? WHERE order_id IN ")
            .bind(state)
            .bind(reason)
            .list_of_bytes(chunk.iter().map(|id| id.as_bytes().as_slice()));
        transaction.execute("correct outcomes", statement).await?;
    }
    Ok(())
}

/// Changes the `added` purchases to those of `plan`. Their rows are locked since the insert, so setting absolute
/// values is safe.
pub(super) async fn purchases(
    transaction: &mut Transaction,
    added: &BTreeMap<(usize, &str), i64>,
    plan: &WritePlan<'_>,
    snapshot: &BatchSnapshot<'_>,
) -> Result<(), DbError> {
    let mut fewer = BTreeMap::new();
    let mut none: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (&(place, user_id), added) in added {
        let gets = plan.purchases.get(&(place, user_id)).copied().unwrap_or_default();
        if gets == *added {
            continue;
        }
        let had = snapshot.purchases[place].get(user_id).copied().unwrap_or_default();
        match had + gets {
            0 => none.entry(place).or_default().push(user_id),
            has => drop(fewer.insert((place, user_id), has)),
        }
    }
    let on_duplicate = transaction.dialect.set_purchases;
    insert_purchases(transaction, &fewer, snapshot, on_duplicate, &mut 0).await?;
    for (place, buyers) in none {
        let key = snapshot.skus.keys()[place];
        for chunk in buyers.chunks(ROWS_MAX) {
            let statement =
                Statement::new("DELETE FROM user_purchases WHERE sale_id = ? AND sku = ? AND user_id IN ")
                    .bind(key.sale_id)
                    .bind(key.sku)
                    .list(chunk.iter().copied());
            transaction.execute("delete purchases", statement).await?;
        }
    }
    Ok(())
}
