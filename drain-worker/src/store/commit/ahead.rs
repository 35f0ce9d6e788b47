//! What is written before the stock is locked.

use std::collections::BTreeMap;

use shared::order::{AcceptedOrder, Outcome};

use super::{read, write};
use crate::store::decide::{Plan, decide};
use crate::store::dialect::Dialect;
use crate::store::error::{Class, Failure};
use crate::store::facts::Facts;
use crate::store::guesses::Guesses;
use crate::store::transaction::Transaction;

/// Decides on the guess and inserts what that gives.
pub(super) async fn orders<'a, D: Dialect>(
    transaction: &mut Transaction<D>,
    guesses: &Guesses,
    orders: &'a [AcceptedOrder],
    facts: &mut Facts<'_>,
) -> Result<Plan<'a>, Failure> {
    let looks_first = guesses.orders.is_wary();
    if looks_first {
        read::read_known(transaction, orders, facts).await?;
    }
    let mut plan = decide(orders, facts);
    let mut written = 0;
    match write::insert_orders(transaction, &plan.decided, &mut written).await {
        // The statement is undone, the transaction goes on.
        Err(failure) if failure.class == Class::DuplicateKey => {
            guesses.orders.alarm();
            if looks_first || written > 0 {
                // It came after the look, or some rows of the batch's own are there: a new run tells them apart.
                return Err(failure);
            }
            read::read_known(transaction, orders, facts).await?;
            plan = decide(orders, facts);
            write::insert_orders(transaction, &plan.decided, &mut written).await?;
        }
        result => result?,
    }
    write::insert_items(transaction, &plan.decided).await?;
    Ok(plan)
}

/// What all orders that `plan` decides ask for of SKUs with a limit, those included that it refuses.
pub(super) fn all_purchases<'a>(plan: &Plan<'a>, facts: &Facts<'_>) -> BTreeMap<(usize, &'a str), i64> {
    let mut purchases = BTreeMap::new();
    for (order, _) in &plan.decided {
        for item in &order.items {
            let place = facts.skus.position(order.sale_id.as_str(), item.sku.as_str());
            if let Some(place) = place.filter(|place| facts.limit(*place).is_some()) {
                *purchases.entry((place, order.user_id.as_str())).or_default() +=
                    i64::from(item.quantity.get());
            }
        }
    }
    purchases
}

/// Counts what buyers get against their limits, and finds out what they had before.
pub(super) async fn purchases<D: Dialect>(
    transaction: &mut Transaction<D>,
    guesses: &Guesses,
    orders: &[AcceptedOrder],
    plan: &Plan<'_>,
    added: &BTreeMap<(usize, &str), i64>,
    facts: &mut Facts<'_>,
) -> Result<(), Failure> {
    let mut written = 0;
    let adds = guesses.buyers.is_wary();
    let on_duplicate = if adds { D::ADD_TO_PURCHASES } else { "" };
    let inserted = write::insert_purchases(transaction, added, facts, on_duplicate, &mut written).await;
    let had_some = match inserted {
        Err(failure) if failure.class == Class::DuplicateKey && written == 0 && !adds => {
            guesses.buyers.alarm();
            let on_duplicate = D::ADD_TO_PURCHASES;
            write::insert_purchases(transaction, added, facts, on_duplicate, &mut written).await?;
            true
        }
        Err(failure) => {
            // Some rows of the batch's own are there: the next run adds from the start.
            guesses.buyers.alarm();
            return Err(failure);
        }
        Ok(()) => adds && !added.is_empty(),
    };
    // Whom the guess refuses has nothing added, and is told the right reason all the same: what he has may be the limit.
    let is_refused = |(order, outcome): &(&AcceptedOrder, Outcome)| {
        *outcome != Outcome::Confirmed && facts.is_limited(order)
    };
    if had_some || plan.decided.iter().any(is_refused) {
        read::read_purchases(transaction, orders, facts).await?;
        for (&(place, user_id), &added) in added {
            if let Some(quantity) = facts.purchases[place].get_mut(user_id) {
                *quantity -= added;
            }
        }
    }
    Ok(())
}
