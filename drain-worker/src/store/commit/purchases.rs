//! Counts a batch's purchases of SKUs with a limit, before the stock is reserved.

use std::collections::{BTreeMap, HashMap};

use shared::order::{AcceptedOrder, Outcome};

use super::guesses::{AttemptError, Guess, Guesses};
use super::{read, write};
use crate::store::batch_snapshot::BatchSnapshot;
use crate::store::decide::{Decision, WritePlan};
use crate::store::transaction::Transaction;

/// The purchases of all orders in `plan` for SKUs with a limit, including rejected orders.
pub(super) fn of_all<'a>(
    plan: &WritePlan<'a>,
    snapshot: &BatchSnapshot<'_>,
) -> BTreeMap<(usize, &'a str), i64> {
    let mut purchases = BTreeMap::new();
    for Decision { order, .. } in &plan.decided {
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

/// Writes `added`, which locks the buyers' rows. Returns whether it has read into `snapshot` what the buyers had before;
/// if not, they had nothing.
pub(super) async fn add(
    transaction: &mut Transaction,
    guesses: &Guesses<'_>,
    orders: &[AcceptedOrder],
    plan: &WritePlan<'_>,
    added: &BTreeMap<(usize, &str), i64>,
    snapshot: &mut BatchSnapshot<'_>,
) -> Result<bool, AttemptError> {
    let are_new = guesses.makes(Guess::NewBuyers);
    let on_duplicate = if are_new { "" } else { transaction.dialect.add_to_purchases };
    let inserted = write::insert_purchases(transaction, added, snapshot, on_duplicate).await;
    inserted.map_err(|failure| guesses.of_insert(Guess::NewBuyers, failure))?;
    // An order that the cached stock rejects adds nothing. Its reason must still be right: the buyer's earlier
    // purchases may exceed the limit.
    let is_refused = |decision: &Decision<'_>| {
        decision.outcome != Outcome::Confirmed && snapshot.is_limited(decision.order)
    };
    let reads = (!are_new && !added.is_empty()) || plan.decided.iter().any(is_refused);
    if reads {
        read::read_purchases(transaction, orders, snapshot).await?;
        for (&(place, user_id), &added) in added {
            if let Some(quantity) = snapshot.purchases[place].get_mut(user_id) {
                *quantity -= added;
            }
        }
        if snapshot.purchases.iter().flat_map(HashMap::values).any(|had| *had > 0) {
            guesses.avoid(Guess::NewBuyers);
        }
    }
    Ok(reads)
}
