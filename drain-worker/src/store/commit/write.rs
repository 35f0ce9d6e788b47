//! Executes a plan.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use shared::order::{
    AcceptedOrder, AddressLine, OrderId, Outcome, PayloadDigest, PricedItem, ShippingAddress,
};

use crate::store::batch_snapshot::BatchSnapshot;
use crate::store::dead_letter::{DeadLetter, dedup_key};
use crate::store::dead_letters::insert_dead_letters;
use crate::store::decide::WritePlan;
use crate::store::error::DbError;
use crate::store::sql::{BYTES, ROWS_MAX, Statement, chunks, to_database};
use crate::store::transaction::Transaction;

/// Writes the rows that need the stock's locks, and those that no other transaction contends for.
pub(super) async fn write_remaining(
    transaction: &mut Transaction,
    plan: &WritePlan<'_>,
    snapshot: &BatchSnapshot<'_>,
) -> Result<(), DbError> {
    reserve_stock(transaction, plan, snapshot).await?;
    insert_conflicts(transaction, &plan.conflicts).await?;
    if !plan.letters.is_empty() {
        let letters: Vec<_> = plan
            .letters
            .iter()
            .map(|(order, reason)| DeadLetter::of_order(order, *reason, &order_detail(order)))
            .collect();
        insert_dead_letters(transaction, &letters).await?;
    }
    delete_settled(transaction, plan).await
}

/// Names of sales and SKUs are not personal data.
fn order_detail(order: &AcceptedOrder) -> String {
    let skus: Vec<_> = order.items.iter().map(|item| item.sku.as_str()).collect();
    format!("sale {}, skus {}", order.sale_id, skus.join(" "))
}

/// Values of an order's row that the order does not contain in this form.
struct OrderRow<'a> {
    order: &'a AcceptedOrder,
    state: &'static str,
    reason: Option<&'static str>,
    total_minor: i64,
    address: String,
    accepted_at: String,
}

/// Inserts orders. `written` counts the rows of the completed statements, also after an error.
pub(super) async fn insert_orders(
    transaction: &mut Transaction,
    decided: &[(&AcceptedOrder, Outcome)],
    written: &mut usize,
) -> Result<(), DbError> {
    let mut rows: Vec<_> = decided.iter().map(|&(order, outcome)| order_row(order, outcome)).collect();
    // In the order of the primary key, so that two transactions with the same orders meet at the first of them.
    rows.sort_unstable_by_key(|row| row.order.order_id);
    for chunk in chunks(&rows) {
        let mut statement = Statement::new(
            "INSERT INTO orders (order_id, sale_id, user_id, payload_digest, state, reason, currency, total_minor, \
             shipping_address, client_reference, catalogue_revision, traceparent, accepted_at, decided_at) VALUES ",
        )
        .rows(chunk.len(), &["(", BYTES, ", ?, ?, ", BYTES, ", ?, ?, ?, ?, ?, ?, ?, ?, ?, ", transaction.dialect.now, ")"]);
        for row in chunk {
            statement = statement
                .bind(row.order.order_id.as_bytes().as_slice())
                .bind(row.order.sale_id.as_str())
                .bind(row.order.user_id.as_str())
                .bind(row.order.digest.as_bytes().as_slice())
                .bind(row.state)
                .bind(row.reason)
                .bind(row.order.currency.as_str())
                .bind(row.total_minor)
                .bind(row.address.as_str())
                .bind(row.order.client_reference.as_ref().map(AsRef::<str>::as_ref))
                .bind(row.order.catalogue_revision.as_str())
                .bind(row.order.traceparent.as_ref().map(shared::order::TraceParent::as_str))
                .bind(row.accepted_at.as_str());
        }
        transaction.execute("insert orders", statement).await?;
        *written += chunk.len();
    }
    Ok(())
}

fn order_row(order: &AcceptedOrder, outcome: Outcome) -> OrderRow<'_> {
    let (state, reason) = columns(outcome);
    OrderRow {
        order,
        state,
        reason,
        // An order without a total is a dead letter and is never inserted.
        total_minor: order.total_minor().unwrap_or_default(),
        address: address_json(&order.shipping_address),
        accepted_at: to_database(order.accepted_at),
    }
}

/// An outcome as the columns `state` and `reason`.
pub(super) const fn columns(outcome: Outcome) -> (&'static str, Option<&'static str>) {
    match outcome {
        Outcome::Confirmed => ("confirmed", None),
        Outcome::Rejected(reason) => ("rejected", Some(reason.as_str())),
    }
}

pub(super) async fn insert_items(
    transaction: &mut Transaction,
    decided: &[(&AcceptedOrder, Outcome)],
) -> Result<(), DbError> {
    let mut rows: Vec<(OrderId, &PricedItem)> =
        decided.iter().flat_map(|(order, _)| order.items.iter().map(|item| (order.order_id, item))).collect();
    rows.sort_unstable_by_key(|(order_id, item)| (*order_id, item.sku.as_str()));
    for chunk in chunks(&rows) {
        let mut statement =
            Statement::new("INSERT INTO order_items (order_id, sku, quantity, unit_price_minor) VALUES ")
                .rows(chunk.len(), &["(", BYTES, ", ?, ?, ?)"]);
        for (order_id, item) in chunk {
            statement = statement
                .bind(order_id.as_bytes().as_slice())
                .bind(item.sku.as_str())
                .bind(item.quantity.get())
                .bind(item.unit_price_minor);
        }
        transaction.execute("insert order items", statement).await?;
    }
    Ok(())
}

/// Inserts purchases of SKUs with a limit; `on_duplicate` defines what happens to an existing row. `written` counts
/// as in [`insert_orders`].
pub(super) async fn insert_purchases(
    transaction: &mut Transaction,
    purchases: &BTreeMap<(usize, &str), i64>,
    snapshot: &BatchSnapshot<'_>,
    on_duplicate: &'static str,
    written: &mut usize,
) -> Result<(), DbError> {
    let keys = snapshot.skus.keys();
    let mut rows: Vec<_> =
        purchases.iter().map(|(&(place, user_id), &quantity)| (keys[place], user_id, quantity)).collect();
    // In the order of the primary key: two transactions with the same buyers meet at the first of them.
    rows.sort_unstable_by_key(|(key, user_id, _)| (key.sale_id, *user_id, key.sku));
    for chunk in chunks(&rows) {
        let mut statement =
            Statement::new("INSERT INTO user_purchases (sale_id, user_id, sku, quantity) VALUES ")
                .rows(chunk.len(), &["(?, ?, ?, ?)"])
                .text(on_duplicate);
        for (key, user_id, quantity) in chunk {
            statement = statement.bind(key.sale_id).bind(*user_id).bind(key.sku).bind(*quantity);
        }
        transaction.execute("insert purchases", statement).await?;
        *written += chunk.len();
    }
    Ok(())
}

/// Adds to the stored value instead of setting it: if a proxy ever lost the locks, the sum would still be correct and
/// the table's constraint would still prevent overselling.
async fn reserve_stock(
    transaction: &mut Transaction,
    plan: &WritePlan<'_>,
    snapshot: &BatchSnapshot<'_>,
) -> Result<(), DbError> {
    let keys = snapshot.skus.keys();
    let rows: Vec<_> = plan.reserve.iter().map(|(&place, &quantity)| (keys[place], quantity)).collect();
    for sale in rows.chunk_by(|left, right| left.0.sale_id == right.0.sale_id) {
        for chunk in chunks(sale) {
            let mut statement =
                Statement::new("UPDATE sale_skus SET stock_reserved = stock_reserved + CASE sku")
                    .repeated(chunk.len(), " WHEN ? THEN ?")
                    .text(" ELSE 0 END WHERE sale_id = ? AND sku IN ");
            for (key, quantity) in chunk {
                statement = statement.bind(key.sku).bind(*quantity);
            }
            let statement = statement.bind(chunk[0].0.sale_id).list(chunk.iter().map(|(key, _)| key.sku));
            transaction.execute("reserve stock", statement).await?;
        }
    }
    Ok(())
}

/// Records payloads that arrived under the id of another one.
pub(in crate::store) async fn insert_conflicts(
    transaction: &mut Transaction,
    conflicts: &BTreeSet<(OrderId, PayloadDigest)>,
) -> Result<(), DbError> {
    let rows: Vec<_> = conflicts.iter().collect();
    for chunk in chunks(&rows) {
        let mut statement =
            Statement::new("INSERT INTO order_conflicts (order_id, payload_digest, first_seen_at) VALUES ")
                .rows(chunk.len(), &["(", BYTES, ", ", BYTES, ", ", transaction.dialect.now, ")"])
                .text(transaction.dialect.ignore_conflict);
        for (order_id, digest) in chunk {
            statement = statement.bind(order_id.as_bytes().as_slice()).bind(digest.as_bytes().as_slice());
        }
        transaction.execute("insert conflicts", statement).await?;
    }
    Ok(())
}

async fn delete_settled(transaction: &mut Transaction, plan: &WritePlan<'_>) -> Result<(), DbError> {
    let keys: Vec<_> = plan.settled.iter().map(|&(order_id, digest)| dedup_key(order_id, digest)).collect();
    for chunk in keys.chunks(ROWS_MAX) {
        let statement = Statement::new("DELETE FROM dead_letters WHERE dedup_key IN ")
            .list_of_bytes(chunk.iter().map(Vec::as_slice));
        transaction.execute("delete settled letters", statement).await?;
    }
    Ok(())
}

#[derive(Serialize)]
struct AddressJson<'a> {
    recipient: &'a str,
    line1: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line2: Option<&'a str>,
    city: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<&'a str>,
    country: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
}

fn address_json(address: &ShippingAddress) -> String {
    let json = AddressJson {
        recipient: address.recipient.as_str(),
        line1: address.line1.as_str(),
        line2: address.line2.as_ref().map(AddressLine::as_str),
        city: address.city.as_str(),
        region: address.region.as_ref().map(AddressLine::as_str),
        postal_code: address.postal_code.as_ref().map(AddressLine::as_str),
        country: address.country.as_str(),
        phone: address.phone.as_ref().map(AddressLine::as_str),
    };
    #[expect(clippy::expect_used, reason = "a struct of plain strings always serialises")]
    serde_json::to_string(&json).expect("strings serialise")
}
