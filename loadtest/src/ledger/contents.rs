//! One row against what its request ordered.

use serde::Deserialize;

use super::fault::FaultCollector;
use super::rows::OrderRow;
use crate::workload::{RequestSpec, Workload};

#[derive(Deserialize, PartialEq, Eq)]
struct StoredAddress {
    recipient: String,
    line1: String,
    line2: Option<String>,
    city: String,
    region: Option<String>,
    postal_code: Option<String>,
    country: String,
    phone: Option<String>,
}

/// Compares `row` with `spec`, which has the row's digest. The prices are the catalogue's.
pub(super) fn compare(workload: &Workload, spec: &RequestSpec, row: &OrderRow, faults: &mut FaultCollector) {
    let request = workload.request(spec);
    let mut differs = |code, differs: bool| {
        if differs {
            faults.add(code, row.order_id);
        }
    };
    differs("wrong_sale", row.sale_id != request.sale_id);
    differs("wrong_buyer", row.user_id != request.user_id);
    differs("wrong_currency", row.currency != request.currency);
    differs("wrong_reference", row.client_reference != request.client_reference);
    let address = request.shipping_address;
    let ordered = StoredAddress {
        recipient: address.recipient,
        line1: address.line1,
        line2: address.line2,
        city: address.city,
        region: address.region,
        postal_code: address.postal_code,
        country: address.country,
        phone: address.phone,
    };
    let stored = row.address.as_deref().map(serde_json::from_str::<StoredAddress>);
    differs("wrong_address", !stored.is_some_and(|stored| stored.is_ok_and(|stored| stored == ordered)));
    let price = |unit_price_minor: i64, quantity: u32| unit_price_minor * i64::from(quantity);
    let total: i64 =
        workload.lines(spec).map(|line| price(line.sku.terms.unit_price_minor, line.quantity)).sum();
    differs("wrong_total", row.total_minor != total);
    if row.lines.is_empty() {
        return faults.add("order_without_lines", row.order_id);
    }
    let mut wrong_price = false;
    let as_ordered = row.lines.len() == usize::from(spec.lines)
        && workload.lines(spec).all(|line| {
            row.lines.iter().any(|stored| {
                let same = stored.sku == line.sku.name && stored.quantity == i64::from(line.quantity);
                wrong_price |= same && stored.unit_price_minor != line.sku.terms.unit_price_minor;
                same
            })
        });
    differs("wrong_lines", !as_ordered);
    differs("wrong_price", wrong_price);
}
