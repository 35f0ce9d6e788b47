use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use shared::order::{OrderId, PayloadDigest};

use super::{Attempt, AttemptEnding, DatabaseSnapshot, LedgerFault, LedgerOrder, LedgerVerdict};

const EXAMPLES: usize = 5;

const WINDOW_US: i64 = 1_000_000;

#[derive(Default)]
struct FaultCollector(BTreeMap<&'static str, LedgerFault>);

impl FaultCollector {
    fn add(&mut self, code: &'static str, example: impl Into<String>) {
        let fault = self.0.entry(code).or_insert_with(|| LedgerFault {
            code: code.into(),
            count: 0,
            examples: Vec::new(),
        });
        fault.count += 1;
        if fault.examples.len() < EXAMPLES {
            fault.examples.push(example.into());
        }
    }
}

#[derive(Default)]
struct RequestedPayloads {
    accepted: HashSet<PayloadDigest>,
    unknown: HashSet<PayloadDigest>,
    refused: HashSet<PayloadDigest>,
}

/// Checks all rules. `cap`: maximum orders decided within any second; `None` skips that check.
pub fn check(attempts: &[Attempt], facts: &DatabaseSnapshot, cap: Option<u32>) -> LedgerVerdict {
    let mut faults = FaultCollector::default();
    let mut asked: HashMap<OrderId, RequestedPayloads> = HashMap::new();
    let mut verdict = LedgerVerdict { requests: attempts.len(), cap, ..LedgerVerdict::default() };
    for attempt in attempts {
        let by_id = asked.entry(attempt.order_id).or_default();
        match attempt.ending {
            AttemptEnding::Accepted => {
                verdict.accepted += 1;
                by_id.accepted.insert(attempt.digest);
                if attempt.answered_as_expected != Some(true) {
                    faults.add("response_names_another_order", attempt.order_id.to_string());
                }
            }
            AttemptEnding::Refused => {
                verdict.refused += 1;
                let code = attempt.code.as_deref().unwrap_or("?");
                match verdict.refused_by_code.get_mut(code) {
                    Some(requests) => *requests += 1,
                    None => {
                        verdict.refused_by_code.insert(code.to_owned(), 1);
                    }
                }
                by_id.refused.insert(attempt.digest);
            }
            AttemptEnding::Unknown => {
                verdict.unknown += 1;
                by_id.unknown.insert(attempt.digest);
            }
        }
    }
    verdict.accepted_orders = asked.values().filter(|asked| !asked.accepted.is_empty()).count();
    verdict.conflicts = facts.conflicts.len();
    verdict.dead_letters = facts.dead_letters.len();
    check_rows(&asked, facts, &mut verdict, &mut faults);
    check_conflicts(&asked, facts, &mut faults);
    check_stock(facts, &mut faults);
    verdict.busiest_second = busiest_window(facts.orders.iter().map(|row| row.decided_at_us));
    if cap.is_some_and(|cap| verdict.busiest_second > cap as usize) {
        faults.add("second_over_the_cap", format!("{} orders", verdict.busiest_second));
    }
    verdict.faults = faults.0.into_values().collect();
    verdict
}

/// Every accepted order has exactly one row, an unknown one at most one, and nothing else has a row.
fn check_rows(
    asked: &HashMap<OrderId, RequestedPayloads>,
    facts: &DatabaseSnapshot,
    verdict: &mut LedgerVerdict,
    faults: &mut FaultCollector,
) {
    let mut rows: HashMap<OrderId, &LedgerOrder> = HashMap::new();
    verdict.rows = facts.orders.len();
    for row in &facts.orders {
        if rows.insert(row.order_id, row).is_some() {
            faults.add("order_doubled", row.order_id.to_string());
        }
        match (row.confirmed, &row.reason) {
            (true, None) => verdict.confirmed += 1,
            (false, Some(reason)) => *verdict.rejected.entry(reason.clone()).or_default() += 1,
            (true, Some(_)) | (false, None) => faults.add("inconsistent_state", row.order_id.to_string()),
        }
        let Some(asked) = asked.get(&row.order_id) else {
            faults.add("row_without_request", row.order_id.to_string());
            continue;
        };
        if asked.accepted.is_empty() {
            verdict.rows_of_unknown += 1;
        }
        // A rejection after the publish (503) does not prove that the broker has no message.
        let possible = [&asked.accepted, &asked.unknown, &asked.refused];
        if !possible.iter().any(|digests| digests.contains(&row.digest)) {
            faults.add("row_with_unknown_payload", row.order_id.to_string());
        }
    }
    for (order_id, asked) in asked {
        if !asked.accepted.is_empty() && !rows.contains_key(order_id) {
            let kept = facts.dead_letters.iter().any(|(letter, _)| *letter == Some(*order_id));
            faults.add(
                if kept { "accepted_order_dead_lettered" } else { "accepted_order_lost" },
                order_id.to_string(),
            );
        }
    }
    for (order_id, reason) in facts.dead_letters.iter().filter(|(order_id, _)| order_id.is_none()) {
        faults.add("unreadable_message", format!("{order_id:?} {reason}"));
    }
}

/// Each accepted payload is either the decided one or recorded as a conflict.
fn check_conflicts(
    asked: &HashMap<OrderId, RequestedPayloads>,
    facts: &DatabaseSnapshot,
    faults: &mut FaultCollector,
) {
    let decided: HashMap<OrderId, PayloadDigest> =
        facts.orders.iter().map(|row| (row.order_id, row.digest)).collect();
    for (order_id, asked) in asked {
        let Some(decided) = decided.get(order_id) else { continue };
        for digest in asked.accepted.iter().filter(|digest| *digest != decided) {
            if !facts.conflicts.contains(&(*order_id, *digest)) {
                faults.add("conflict_not_recorded", order_id.to_string());
            }
        }
    }
    for (order_id, digest) in &facts.conflicts {
        let sent = asked.get(order_id).is_some_and(|asked| {
            [&asked.accepted, &asked.unknown, &asked.refused].iter().any(|digests| digests.contains(digest))
        });
        if !sent || decided.get(order_id) == Some(digest) {
            faults.add("conflict_without_cause", order_id.to_string());
        }
    }
}

/// No SKU is oversold, counters are correct, limits hold, every order has its lines.
fn check_stock(facts: &DatabaseSnapshot, faults: &mut FaultCollector) {
    let mut sold: BTreeMap<&str, u64> = BTreeMap::new();
    let mut bought: HashMap<(&str, &str), u64> = HashMap::new();
    for row in &facts.orders {
        let Some(items) = facts.items.get(&row.order_id).filter(|items| !items.is_empty()) else {
            faults.add("order_without_lines", row.order_id.to_string());
            continue;
        };
        for (sku, quantity) in items.iter().filter(|_| row.confirmed) {
            *sold.entry(sku).or_default() += quantity;
            *bought.entry((&row.user_id, sku)).or_default() += quantity;
        }
    }
    for (sku, stock) in &facts.stock {
        let sold = sold.get(sku.as_str()).copied().unwrap_or_default();
        if sold > stock.total {
            faults.add("oversold", format!("{sku}: {sold} of {}", stock.total));
        }
        if sold != stock.reserved {
            faults.add("stock_counter_wrong", format!("{sku}: {sold} sold, {} reserved", stock.reserved));
        }
    }
    for ((_user, sku), quantity) in bought {
        match facts.stock.get(sku) {
            Some(stock) if stock.per_user_limit.is_some_and(|limit| quantity > limit) => {
                // The buyer is personal data; the SKU is not.
                faults.add("limit_exceeded", format!("{sku}: {quantity}"));
            }
            Some(_) => {}
            None => faults.add("sold_unlisted_sku", sku),
        }
    }
}

/// Returns the maximum number of instants (microseconds) within any half-open window of a second.
pub fn busiest_window(instants: impl Iterator<Item = i64>) -> usize {
    let mut instants: Vec<_> = instants.collect();
    instants.sort_unstable();
    let mut window = VecDeque::new();
    let mut most = 0;
    for instant in instants {
        window.push_back(instant);
        while window.front().is_some_and(|first| first + WINDOW_US <= instant) {
            window.pop_front();
        }
        most = most.max(window.len());
    }
    most
}
