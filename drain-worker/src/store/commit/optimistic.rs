//! The writes before the stock is locked.

use std::collections::BTreeMap;

use shared::order::{AcceptedOrder, Outcome};

use super::{read, write};
use crate::store::batch_snapshot::BatchSnapshot;
use crate::store::decide::{WritePlan, decide};
use crate::store::error::{DbError, ErrorClass};
use crate::store::stock_cache::StockCache;
use crate::store::transaction::Transaction;

/// Decides on the cached stock and inserts the resulting orders.
pub(super) async fn orders<'a>(
    transaction: &mut Transaction,
    cache: &StockCache,
    orders: &'a [AcceptedOrder],
    snapshot: &mut BatchSnapshot<'_>,
) -> Result<WritePlan<'a>, DbError> {
    let looks_first = cache.orders.take();
    if looks_first {
        read::read_known(transaction, orders, snapshot).await?;
    }
    let mut plan = decide(orders, snapshot);
    let mut written = 0;
    match write::insert_orders(transaction, &plan.decided, &mut written).await {
        // The statement is undone, the transaction continues.
        Err(failure) if failure.class == ErrorClass::DuplicateKey => {
            cache.orders.set();
            if looks_first || written > 0 {
                // The key appeared after the read, or some rows of this batch are inserted: a retry distinguishes
                // them.
                return Err(failure);
            }
            read::read_known(transaction, orders, snapshot).await?;
            plan = decide(orders, snapshot);
            write::insert_orders(transaction, &plan.decided, &mut written).await?;
        }
        result => result?,
    }
    Ok(plan)
}

/// The purchases of all orders in `plan` for SKUs with a limit, including rejected orders.
pub(super) fn all_purchases<'a>(
    plan: &WritePlan<'a>,
    snapshot: &BatchSnapshot<'_>,
) -> BTreeMap<(usize, &'a str), i64> {
    let mut purchases = BTreeMap::new();
    for (order, _) in &plan.decided {
        for item in &order.items {
            let place = snapshot.skus.position(order.sale_id.as_str(), item.sku.as_str());
            if let Some(place) = place.filter(|place| snapshot.limit(*place).is_some()) {
                *purchases.entry((place, order.user_id.as_str())).or_default() +=
                    i64::from(item.quantity.get());
            }
        }
    }
    purchases
}

/// Counts purchases against their limits, and reads what the buyers had before.
pub(super) async fn purchases(
    transaction: &mut Transaction,
    cache: &StockCache,
    orders: &[AcceptedOrder],
    plan: &WritePlan<'_>,
    added: &BTreeMap<(usize, &str), i64>,
    snapshot: &mut BatchSnapshot<'_>,
) -> Result<(), DbError> {
    let mut written = 0;
    let adds = cache.buyers.take();
    let on_duplicate = if adds { transaction.dialect.add_to_purchases } else { "" };
    let inserted = write::insert_purchases(transaction, added, snapshot, on_duplicate, &mut written).await;
    let had_some = match inserted {
        Err(failure) if failure.class == ErrorClass::DuplicateKey && written == 0 && !adds => {
            cache.buyers.set();
            let on_duplicate = transaction.dialect.add_to_purchases;
            write::insert_purchases(transaction, added, snapshot, on_duplicate, &mut written).await?;
            true
        }
        Err(failure) => {
            // Some rows of this batch are inserted: the retry adds from the start.
            cache.buyers.set();
            return Err(failure);
        }
        Ok(()) => adds && !added.is_empty(),
    };
    // An order that the cached stock rejects adds nothing. Its reason must still be right: the buyer's earlier
    // purchases may exceed the limit.
    let is_refused = |(order, outcome): &(&AcceptedOrder, Outcome)| {
        *outcome != Outcome::Confirmed && snapshot.is_limited(order)
    };
    if had_some || plan.decided.iter().any(is_refused) {
        read::read_purchases(transaction, orders, snapshot).await?;
        for (&(place, user_id), &added) in added {
            if let Some(quantity) = snapshot.purchases[place].get_mut(user_id) {
                *quantity -= added;
            }
        }
    }
    Ok(())
}
