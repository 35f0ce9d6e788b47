//! The formats of the columns of `orders`, which operators read in SQL as well.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use shared::order::{AddressLine, Outcome, PricedItem, RejectReason, ShippingAddress, TraceParent};

use super::decide::Decision;
use super::error::DbError;
use super::sql::{SqlRow, unexpected};

const CONFIRMED: i64 = 1;
const REJECTED: i64 = 2;

const SOLD_OUT: i64 = 1;
const LIMIT_EXCEEDED: i64 = 2;

/// The digits of a `traceparent` start here, after the version, which is always 00.
const VERSION_CHARS: usize = 3;

/// The columns of a decision, which are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OutcomeColumns {
    pub(super) state: i64,
    pub(super) reason: Option<i64>,
    pub(super) rejected_line: Option<i64>,
}

impl OutcomeColumns {
    pub(super) fn of(decision: &Decision<'_>) -> Self {
        let (state, reason) = outcome_columns(decision.outcome);
        // An order has at most 20 lines.
        let rejected_line = decision.rejected_line.and_then(|line| i64::try_from(line).ok());
        Self { state, reason, rejected_line }
    }
}

/// Returns the columns `state` and `reason` of an outcome.
const fn outcome_columns(outcome: Outcome) -> (i64, Option<i64>) {
    match outcome {
        Outcome::Confirmed => (CONFIRMED, None),
        Outcome::Rejected(RejectReason::SoldOut) => (REJECTED, Some(SOLD_OUT)),
        Outcome::Rejected(RejectReason::LimitExceeded) => (REJECTED, Some(LIMIT_EXCEEDED)),
    }
}

/// Reads the columns `state` and `reason`; `state` is at `index`.
pub(super) fn outcome(row: &SqlRow, index: usize) -> Result<Outcome, DbError> {
    match (row.int(index)?, row.optional_int(index + 1)?) {
        (CONFIRMED, None) => Ok(Outcome::Confirmed),
        (REJECTED, Some(SOLD_OUT)) => Ok(Outcome::Rejected(RejectReason::SoldOut)),
        (REJECTED, Some(LIMIT_EXCEEDED)) => Ok(Outcome::Rejected(RejectReason::LimitExceeded)),
        _ => Err(unexpected(index)),
    }
}

/// Writes lines as `{"SKU":[quantity,price],…}`. The names of SKUs need no escapes, and an order has each once.
pub(super) fn items_text(items: &[PricedItem]) -> String {
    let mut text = String::with_capacity(2 + items.len() * 32);
    text.push('{');
    for (index, item) in items.iter().enumerate() {
        let separator = if index > 0 { "," } else { "" };
        let _to_memory =
            write!(text, "{separator}\"{}\":[{},{}]", item.sku, item.quantity.get(), item.unit_price_minor);
    }
    text.push('}');
    text
}

/// Reads quantity and unit price of each SKU from the column `items` at `index`.
pub(super) fn lines(row: &SqlRow, index: usize) -> Result<BTreeMap<String, (i64, i64)>, DbError> {
    serde_json::from_str(row.text(index)?).map_err(|_| unexpected(index))
}

/// Reads the quantity of each SKU from the column `items` at `index`.
pub(super) fn quantities(row: &SqlRow, index: usize) -> Result<BTreeMap<String, i64>, DbError> {
    Ok(lines(row, index)?.into_iter().map(|(sku, (quantity, _))| (sku, quantity)).collect())
}

/// Writes an address as its eight parts, a line each. No part has a line break; an absent one is an empty line.
pub(super) fn address_text(address: &ShippingAddress) -> String {
    let part = |part: &Option<AddressLine>| part.as_ref().map_or("", AddressLine::as_str).to_owned();
    [
        address.recipient.as_str(),
        address.line1.as_str(),
        &part(&address.line2),
        address.city.as_str(),
        &part(&address.region),
        &part(&address.postal_code),
        address.country.as_str(),
        &part(&address.phone),
    ]
    .join("\n")
}

/// Returns the bytes of the trace id, the parent id and the flags.
pub(super) fn trace_bytes(trace: &TraceParent) -> Vec<u8> {
    // A parsed trace context is hexadecimal throughout, so this cannot fail.
    hex::decode(trace.as_str()[VERSION_CHARS..].replace('-', "")).unwrap_or_default()
}

/// Reads the column `traceparent` at `index`.
pub(super) fn trace(row: &SqlRow, index: usize) -> Result<Option<TraceParent>, DbError> {
    let Some(bytes) = row.optional_array::<25>(index)? else { return Ok(None) };
    let digits = hex::encode(bytes);
    let (trace_id, rest) = digits.split_at(32);
    let (parent_id, flags) = rest.split_at(16);
    Ok(TraceParent::parse(&format!("00-{trace_id}-{parent_id}-{flags}")))
}

#[cfg(test)]
mod tests {
    use shared::testkit::accepted_order;

    use super::super::sql::SqlCell;
    use super::*;

    #[test]
    fn outcomes_round_trip() {
        let all = [Outcome::Confirmed].into_iter().chain(RejectReason::ALL.map(Outcome::Rejected));
        for expected in all {
            let (state, reason) = outcome_columns(expected);
            let row = SqlRow(vec![SqlCell::Int(state), reason.map_or(SqlCell::Null, SqlCell::Int)]);
            assert_eq!(outcome(&row, 0).expect("known"), expected);
        }
        for columns in [vec![SqlCell::Int(1), SqlCell::Int(1)], vec![SqlCell::Int(2), SqlCell::Null]] {
            assert!(outcome(&SqlRow(columns), 0).is_err());
        }
    }

    #[test]
    fn lines_are_json_that_names_each_sku() {
        let order = accepted_order(1).line("b", 2).line("a", 1).build();
        let text = items_text(&order.items);
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["b"], serde_json::json!([2, order.items[0].unit_price_minor]));
        let row = SqlRow(vec![SqlCell::Text(text)]);
        let expected = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!(quantities(&row, 0).expect("valid"), expected);
    }

    #[test]
    fn a_trace_context_round_trips_in_25_bytes() {
        let trace_text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let bytes = trace_bytes(&TraceParent::parse(trace_text).expect("valid"));
        assert_eq!((bytes.len(), bytes[0], bytes[24]), (25, 0x4b, 1));
        let read = trace(&SqlRow(vec![SqlCell::Bytes(bytes)]), 0).expect("reads").expect("there");
        assert_eq!(read.as_str(), trace_text);
        assert_eq!(trace(&SqlRow(vec![SqlCell::Null]), 0).expect("reads"), None);
    }
}
