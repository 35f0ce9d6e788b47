//! Corrects what was written on a wrong guess of the stock.

use std::collections::BTreeMap;

use shared::order::AcceptedOrder;

use super::write::insert_purchases;
use crate::store::batch_snapshot::BatchSnapshot;
use crate::store::decide::WritePlan;
use crate::store::error::DbError;
use crate::store::order_columns::{OutcomeColumns, address_text};
use crate::store::sql::{BYTES, ROWS_MAX, Statement};
use crate::store::transaction::Transaction;

/// True if the same orders were inserted, and every buyer's row in `plan` is locked. Other differences cannot be
/// corrected, because their locks precede the stock's.
pub(super) fn covers(
    guessed: &WritePlan<'_>,
    added: &BTreeMap<(usize, &str), i64>,
    plan: &WritePlan<'_>,
) -> bool {
    let ids = |plan: &WritePlan<'_>| {
        plan.decided.iter().map(|decided| (decided.order.order_id, decided.order.digest)).collect::<Vec<_>>()
    };
    ids(guessed) == ids(plan) && plan.purchases.keys().all(|key| added.contains_key(key))
}

/// Sets the outcomes in which `plan`, decided under all locks, differs from `guessed`.
pub(super) async fn outcomes(
    transaction: &mut Transaction,
    guessed: &WritePlan<'_>,
    plan: &WritePlan<'_>,
) -> Result<(), DbError> {
    let mut changed: BTreeMap<_, Vec<&AcceptedOrder>> = BTreeMap::new();
    for (before, now) in guessed.decided.iter().zip(&plan.decided) {
        if before != now {
            changed.entry(OutcomeColumns::of(now)).or_default().push(now.order);
        }
    }
    for (columns, mut orders) in changed {
        orders.sort_unstable_by_key(|order| order.order_id);
        for chunk in orders.chunks(ROWS_MAX) {
            set_outcome(transaction, columns, chunk).await?;
        }
    }
    Ok(())
}

/// A rejected order loses its address, a confirmed one gets it.
async fn set_outcome(
    transaction: &mut Transaction,
    OutcomeColumns { state, reason, rejected_line }: OutcomeColumns,
    orders: &[&AcceptedOrder],
) -> Result<(), DbError> {
    let addresses: Vec<_> = orders.iter().map(|order| address_text(&order.shipping_address)).collect();
    let mut statement = Statement::new(
        "UPDATE orders SET state = ?, reason = ?, rejected_line = ?, shipping_address = CASE order_id",
    )
    .bind(state)
    .bind(reason)
    .bind(rejected_line);
    if reason.is_none() {
        for (order, address) in orders.iter().zip(&addresses) {
            statement = statement
                .text(" WHEN ")
                .text(BYTES)
                .text(" THEN ?")
                .bind(order.order_id.as_bytes().as_slice())
                .bind(address.as_str());
        }
    } else {
        // A CASE needs a branch.
        statement = statement.text(" WHEN NULL THEN NULL");
    }
    let ids = orders.iter().map(|order| order.order_id.as_bytes().as_slice());
    let statement = statement.text(" END WHERE order_id IN ").list_of_bytes(ids).rare();
    transaction.execute("correct outcomes", statement).await
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
    insert_purchases(transaction, &fewer, snapshot, on_duplicate).await?;
    for (place, buyers) in none {
        let key = snapshot.skus.keys()[place];
        for chunk in buyers.chunks(ROWS_MAX) {
            let statement =
                Statement::new("DELETE FROM user_purchases WHERE sale_id = ? AND sku = ? AND user_id IN ")
                    .bind(key.sale_id)
                    .bind(key.sku)
                    .list(chunk.iter().copied())
                    .rare();
            transaction.execute("delete purchases", statement).await?;
        }
    }
    Ok(())
}
