//! Executes a plan.

use std::collections::{BTreeMap, BTreeSet};

use shared::order::{AcceptedOrder, OrderId, Outcome, PayloadDigest};

use crate::store::batch_snapshot::{BatchSnapshot, SkuKey};
use crate::store::dead_letter::{DeadLetter, DeadLetterReason, dedup_key};
use crate::store::dead_letters::insert_dead_letters;
use crate::store::decide::{Decision, WritePlan};
use crate::store::error::DbError;
use crate::store::order_columns::{OutcomeColumns, address_text, items_text, trace_bytes};
use crate::store::sql::{BYTES, ROWS_MAX, Statement, chunks, padded, to_database};
use crate::store::transaction::Transaction;

/// Writes the rows that no other transaction contends for, and letters, whose number is the last lock.
pub(super) async fn write_remaining(
    transaction: &mut Transaction,
    plan: &WritePlan<'_>,
) -> Result<(), DbError> {
    insert_conflicts(transaction, &plan.conflicts).await?;
    delete_settled(transaction, plan).await?;
    let letter = |(order, reason): &(&AcceptedOrder, DeadLetterReason)| {
        DeadLetter::of_order(order, *reason, &order_detail(order))
    };
    let letters: Vec<_> = plan.letters.iter().map(letter).collect();
    insert_dead_letters(transaction, &letters).await
}

/// Names of sales and SKUs are not personal data.
fn order_detail(order: &AcceptedOrder) -> String {
    let skus: Vec<_> = order.items.iter().map(|item| item.sku.as_str()).collect();
    format!("sale {}, skus {}", order.sale_id, skus.join(" "))
}

/// Values of an order's row that the order does not contain in this form.
struct OrderRow<'a> {
    order: &'a AcceptedOrder,
    columns: OutcomeColumns,
    total_minor: i64,
    items: String,
    /// `None`: rejected, so nothing is shipped.
    address: Option<String>,
    trace: Option<Vec<u8>>,
    accepted_at: String,
}

impl<'a> OrderRow<'a> {
    fn new(decision: &Decision<'a>) -> Self {
        let Decision { order, outcome, .. } = *decision;
        Self {
            order,
            columns: OutcomeColumns::of(decision),
            // An order without a total is a dead letter and is never inserted.
            total_minor: order.total_minor().unwrap_or_default(),
            items: items_text(&order.items),
            address: (outcome == Outcome::Confirmed).then(|| address_text(&order.shipping_address)),
            trace: order.traceparent.as_ref().map(trace_bytes),
            accepted_at: to_database(order.accepted_at),
        }
    }
}

pub(super) async fn insert_orders(
    transaction: &mut Transaction,
    decided: &[Decision<'_>],
) -> Result<(), DbError> {
    let mut rows: Vec<_> = decided.iter().map(OrderRow::new).collect();
    // In the order of the unique key, so that two transactions with the same orders meet at the first of them.
    rows.sort_unstable_by_key(|row| row.order.order_id);
    for chunk in chunks(&rows) {
        let mut statement = Statement::new(
            "INSERT INTO orders (order_id, sale_id, user_id, payload_digest, state, reason, rejected_line, currency, total_minor, items, \
             shipping_address, client_reference, catalogue_revision, traceparent, accepted_at, decided_at) VALUES ",
        )
        .rows(chunk.len(), &["(", BYTES, ", ?, ?, ", BYTES, ", ?, ?, ?, ?, ?, ?, ?, ?, ?, ", BYTES, ", ?, ", transaction.dialect.now, ")"]);
        for row in chunk {
            statement = statement
                .bind(row.order.order_id.as_bytes().as_slice())
                .bind(row.order.sale_id.as_str())
                .bind(row.order.user_id.as_str())
                .bind(row.order.digest.as_bytes().as_slice())
                .bind(row.columns.state)
                .bind(row.columns.reason)
                .bind(row.columns.rejected_line)
                .bind(row.order.currency.as_str())
                .bind(row.total_minor)
                .bind(row.items.as_str())
                .bind(row.address.as_deref())
                .bind(row.order.client_reference.as_ref().map(AsRef::<str>::as_ref))
                .bind(row.order.catalogue_revision.as_str())
                .bind(row.trace.as_deref())
                .bind(row.accepted_at.as_str());
        }
        transaction.execute("insert orders", statement).await?;
    }
    Ok(())
}

/// Inserts purchases of SKUs with a limit; `on_duplicate` defines what happens to an existing row.
pub(super) async fn insert_purchases(
    transaction: &mut Transaction,
    purchases: &BTreeMap<(usize, &str), i64>,
    snapshot: &BatchSnapshot<'_>,
    on_duplicate: &'static str,
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
    }
    Ok(())
}

/// Reserves stock where it suffices and the limit is the snapshot's; returns false if that is not so for each SKU.
///
/// It adds to the stored value instead of setting it: if a proxy ever lost the locks, the sum would still be correct.
pub(super) async fn reserve_stock(
    transaction: &mut Transaction,
    plan: &WritePlan<'_>,
    snapshot: &BatchSnapshot<'_>,
) -> Result<bool, DbError> {
    const UNITS: &str = " WHEN sku = ? AND COALESCE(per_user_limit, 0) = ? THEN ?";
    let row = |(&place, &units): (&usize, &i64)| {
        let limit = snapshot.limit(place).unwrap_or_default();
        Reservation { key: snapshot.skus.keys()[place], limit, units }
    };
    let rows: Vec<_> = plan.reserve.iter().map(row).collect();
    for sale in rows.chunk_by(|left, right| left.key.sale_id == right.key.sale_id) {
        for chunk in sale.chunks(ROWS_MAX) {
            // A CASE stops at the first match, so a repeated row has no effect.
            let mut cases = chunk.to_vec();
            cases.resize(padded(chunk.len()), chunk[0]);
            let statement = Statement::new("UPDATE sale_skus SET stock_reserved = stock_reserved + CASE")
                .repeated(cases.len(), UNITS)
                .text(" END WHERE sale_id = ? AND sku IN ");
            let statement = bind_cases(statement, &cases)
                .bind(chunk[0].key.sale_id)
                .list(chunk.iter().map(|row| row.key.sku))
                .text(" AND stock_reserved + CASE")
                .repeated(cases.len(), UNITS)
                .text(" END <= stock_total");
            let found = transaction.update("reserve stock", bind_cases(statement, &cases)).await?;
            if found != chunk.len() as u64 {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Units of a SKU to reserve.
#[derive(Clone, Copy)]
struct Reservation<'a> {
    key: SkuKey<'a>,
    /// 0: no limit.
    limit: i64,
    units: i64,
}

fn bind_cases<'a>(mut statement: Statement<'a>, cases: &[Reservation<'a>]) -> Statement<'a> {
    for case in cases {
        statement = statement.bind(case.key.sku).bind(case.limit).bind(case.units);
    }
    statement
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
                .text(transaction.dialect.ignore_conflict)
                .rare();
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
            .list_of_bytes(chunk.iter().map(Vec::as_slice))
            .rare();
        transaction.execute("delete settled letters", statement).await?;
    }
    Ok(())
}
