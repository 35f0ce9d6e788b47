//! The faults that the ledger names.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const EXAMPLES_MAX: usize = 5;

/// A violation of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerFault {
    /// Stable name.
    pub code: Cow<'static, str>,
    /// Number of violations.
    pub count: usize,
    /// The first few violations.
    pub examples: Vec<String>,
}

/// Every code with its meaning, as in the README.
pub const FAULT_CODES: [(&str, &str); 47] = [
    (
        "accepted_order_lost",
        "a 202 without a row, although every hidden message had the time to be redelivered",
    ),
    ("accepted_order_dead_lettered", "a 202 that became a dead letter"),
    ("response_names_another_order", "a 202 with an id or a digest that is not the request's"),
    ("replay_names_another_order", "two 202 for one key with two ids (without the keys of order ids)"),
    ("order_doubled", "two rows for one id"),
    (
        "row_without_request",
        "a row of this run's buyers, or of a database of the run's own, that no request explains",
    ),
    ("row_with_unknown_payload", "a row with a digest that no request of its id had"),
    ("row_of_refused_request", "a row although every such request was refused before the publish"),
    ("row_of_invalid_request", "a row of a request that was invalid on purpose"),
    ("inconsistent_state", "confirmed with a reason, rejected without one, or another state"),
    ("decided_before_sent", "a row that is older than the first request that can explain it"),
    (
        "later_payload_won",
        "the later of two payloads was decided although the first must have been decided long before",
    ),
    ("conflict_not_recorded", "an accepted payload that is neither the decided one nor on record"),
    (
        "conflict_without_cause",
        "a conflict on record that no request explains, or of the decided payload itself",
    ),
    ("conflict_doubled", "one conflict twice on record"),
    ("conflict_before_decision", "a conflict on record before its order was decided"),
    ("order_without_lines", "a row without lines"),
    ("wrong_sale", "another sale than ordered"),
    ("wrong_buyer", "another buyer than ordered"),
    ("wrong_lines", "other SKUs or quantities than ordered"),
    ("wrong_price", "a unit price that is not the catalogue's"),
    ("wrong_total", "a total that is not the sum at the catalogue's prices"),
    ("wrong_currency", "another currency than ordered"),
    ("wrong_address", "a shipping address that differs or is lost"),
    ("address_kept", "a rejected order that keeps its shipping address"),
    ("wrong_reference", "a client reference that differs or is lost"),
    ("rejected_in_stock", "sold out, although at the end enough is left of every line"),
    ("rejected_within_limit", "over the limit, although at the end the buyer could have had every line"),
    ("oversold", "more units confirmed than the catalogue offers"),
    ("limit_exceeded", "a buyer with more units than the catalogue's limit"),
    ("stock_counter_wrong", "reserved units that are not those of before and the confirmed ones since"),
    ("stock_differs_from_catalogue", "stock loaded wrongly"),
    ("limit_differs_from_catalogue", "a limit per buyer loaded wrongly"),
    ("sku_missing", "a SKU of the catalogue that the database does not sell"),
    ("sku_unlisted", "a SKU on sale in the database that the catalogue does not have"),
    ("purchases_missing", "a buyer's confirmed units of a limited SKU that are not counted"),
    ("purchases_without_order", "counted units without confirmed ones"),
    ("purchases_wrong", "counted units that are not the confirmed ones"),
    ("second_over_the_cap", "more orders decided within some second than the cap allows"),
    ("unreadable_message", "a message that could not be decoded, in a system of the run's own"),
    ("dead_letter_without_request", "a dead letter of an order or payload that no request sent"),
    ("dead_letter_beside_row", "an open dead letter of a payload that is decided"),
    ("lookup_failed", "a look-up without a usable answer, after retries"),
    ("lookup_unknown", "a decided order that the look-up does not know"),
    ("lookup_names_another_order", "a look-up that answers with another order"),
    ("lookup_answers_another_buyer", "a look-up that shows an order to another buyer"),
    ("lookup_differs", "a look-up whose state, reason, digest, conflicts or time is not the row's"),
];

#[derive(Debug, Default)]
pub(super) struct FaultCollector(BTreeMap<&'static str, LedgerFault>);

impl FaultCollector {
    pub(super) fn add(&mut self, code: &'static str, example: impl std::fmt::Display) {
        debug_assert!(FAULT_CODES.iter().any(|(known, _)| *known == code), "{code} is documented");
        let fault = self.0.entry(code).or_insert_with(|| LedgerFault {
            code: code.into(),
            count: 0,
            examples: Vec::new(),
        });
        fault.count += 1;
        if fault.examples.len() < EXAMPLES_MAX {
            fault.examples.push(example.to_string());
        }
    }

    pub(super) fn into_faults(self) -> Vec<LedgerFault> {
        self.0.into_values().collect()
    }
}
