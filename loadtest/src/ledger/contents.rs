//! One row against what its request ordered.

use shared::order::ClientReference;

use super::fault::FaultCollector;
use super::rows::OrderRow;
use crate::workload::{RequestSpec, Workload, stored_address};

/// Compares `row` with `spec`, which has the row's digest. The prices are the catalogue's.
pub(super) fn compare(workload: &Workload, spec: &RequestSpec, row: &OrderRow, faults: &mut FaultCollector) {
    // A row's digest is that of an order, so the request is one.
    let Some(request) = workload.request(spec) else { return };
    let mut differs = |code, differs: bool| {
        if differs {
            faults.add(code, row.order_id);
        }
    };
    differs("wrong_sale", row.sale_id != request.sale_id.as_str());
    differs("wrong_buyer", row.user_id != request.user_id.as_str());
    differs("wrong_currency", row.currency != request.currency.as_str());
    let reference = request.client_reference.as_ref().map(ClientReference::as_str);
    differs("wrong_reference", row.client_reference.as_deref() != reference);
    let ordered = stored_address(&request.shipping_address);
    // Nothing is shipped for a rejected order, so its address must not stay.
    let is_rejected = row.state == "rejected";
    differs("address_kept", is_rejected && row.address.is_some());
    differs("wrong_address", !is_rejected && row.address.as_ref() != Some(&ordered));
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
