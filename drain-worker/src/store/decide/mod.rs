//! Decides a batch. Pure: the same orders and facts always give the same plan.
//!
//! Orders are decided one after the other, in the order of the batch, each on what its forerunners left. Where a
//! batch is cut makes no difference to any order's outcome.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use shared::order::{AcceptedOrder, OrderId, Outcome, PayloadDigest, RejectReason};

use super::dead_letter::DeadLetterReason;
use super::facts::{Facts, Known};
use super::verdict::{Verdict, VerdictKind};

/// What to answer and what to write. Writing all of it in the transaction that read the facts carries it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan<'a> {
    /// One for each order, in the order of the batch.
    pub(super) verdicts: Vec<Verdict>,
    /// Orders to insert.
    pub(super) decided: Vec<(&'a AcceptedOrder, Outcome)>,
    /// Units to reserve, by place in the facts' SKU set; never 0.
    pub(super) reserve: BTreeMap<usize, i64>,
    /// Units to count against limits, by place in the SKU set and user id; never 0.
    pub(super) purchases: BTreeMap<(usize, &'a str), i64>,
    /// Payloads to record as conflicts.
    pub(super) conflicts: BTreeSet<(OrderId, PayloadDigest)>,
    /// Orders to keep as dead letters.
    pub(super) letters: Vec<(&'a AcceptedOrder, DeadLetterReason)>,
    /// Dead letters that are settled: their orders have an answer now.
    pub(super) settled: BTreeSet<(OrderId, PayloadDigest)>,
}

/// Decides `orders` on `facts`, which were read for just these orders.
pub(super) fn decide<'a>(orders: &'a [AcceptedOrder], facts: &Facts<'_>) -> Plan<'a> {
    let mut ledger = Ledger::new(facts);
    for order in orders {
        let kind = ledger.judge(order);
        if !matches!(kind, VerdictKind::DeadLettered { .. }) {
            ledger.settle(order);
        }
        ledger.plan.verdicts.push(Verdict { order_id: order.order_id, kind });
    }
    ledger.plan
}

/// The facts as the batch changes them.
struct Ledger<'a, 'f> {
    facts: &'f Facts<'f>,
    known: HashMap<OrderId, Known>,
    lettered: HashSet<(OrderId, PayloadDigest)>,
    plan: Plan<'a>,
}

/// A line of an order: place of its SKU, quantity.
type Line = (usize, i64);

impl<'a, 'f> Ledger<'a, 'f> {
    fn new(facts: &'f Facts<'f>) -> Self {
        Self { facts, known: facts.known.clone(), lettered: HashSet::new(), plan: Plan::default() }
    }

    fn judge(&mut self, order: &'a AcceptedOrder) -> VerdictKind {
        if let Some(known) = self.known.get(&order.order_id) {
            if known.digest == order.digest {
                return VerdictKind::Duplicate(known.outcome);
            }
            self.plan.conflicts.insert((order.order_id, order.digest));
            return VerdictKind::Conflict { stored: known.digest, outcome: known.outcome };
        }
        // What an operator gave up stays so, whatever has been mended since.
        if let Some(&reason) = self.facts.discarded.get(&(order.order_id, order.digest)) {
            return VerdictKind::DeadLettered { reason };
        }
        match self.lines(order) {
            Ok(lines) => {
                let outcome = self.outcome(order, &lines);
                if outcome == Outcome::Confirmed {
                    self.take(order, &lines);
                }
                self.known.insert(order.order_id, Known { digest: order.digest, outcome });
                self.plan.decided.push((order, outcome));
                VerdictKind::New(outcome)
            }
            Err(reason) => {
                if self.lettered.insert((order.order_id, order.digest)) {
                    self.plan.letters.push((order, reason));
                }
                VerdictKind::DeadLettered { reason }
            }
        }
    }

    /// The order's lines, if it can be judged at all.
    fn lines(&self, order: &AcceptedOrder) -> Result<Vec<Line>, DeadLetterReason> {
        let each_once: HashSet<_> = order.items.iter().map(|item| item.sku.as_str()).collect();
        if order.items.is_empty() || each_once.len() < order.items.len() || order.total_minor().is_none() {
            return Err(DeadLetterReason::InvalidOrder);
        }
        let line = |item: &shared::order::PricedItem| {
            let place = self.facts.skus.position(order.sale_id.as_str(), item.sku.as_str())?;
            self.facts.states.get(place).copied().flatten()?;
            Some((place, i64::from(item.quantity.get())))
        };
        order.items.iter().map(line).collect::<Option<_>>().ok_or(DeadLetterReason::UnknownSku)
    }

    /// All or nothing: one line that does not fit refuses the order. The limit is looked at first, because it would
    /// refuse the order whatever the stock.
    fn outcome(&self, order: &AcceptedOrder, lines: &[Line]) -> Outcome {
        let over_limit = |&(place, quantity): &Line| {
            self.limit(place)
                .is_some_and(|limit| self.bought(place, order.user_id.as_str()) + quantity > limit)
        };
        let over_stock = |&(place, quantity): &Line| quantity > self.left(place);
        if lines.iter().any(over_limit) {
            Outcome::Rejected(RejectReason::LimitExceeded)
        } else if lines.iter().any(over_stock) {
            Outcome::Rejected(RejectReason::SoldOut)
        } else {
            Outcome::Confirmed
        }
    }

    fn take(&mut self, order: &'a AcceptedOrder, lines: &[Line]) {
        for &(place, quantity) in lines {
            *self.plan.reserve.entry(place).or_default() += quantity;
            if self.limit(place).is_some() {
                *self.plan.purchases.entry((place, order.user_id.as_str())).or_default() += quantity;
            }
        }
    }

    /// An order with an answer is nobody's worry any more, and its payload should not lie about.
    fn settle(&mut self, order: &AcceptedOrder) {
        let subject = (order.order_id, order.digest);
        if self.facts.letters.contains(&subject) {
            self.plan.settled.insert(subject);
        }
        if self.lettered.remove(&subject) {
            self.plan.letters.retain(|(letter, _)| (letter.order_id, letter.digest) != subject);
        }
    }

    fn limit(&self, place: usize) -> Option<i64> {
        self.facts.limit(place)
    }

    /// Units that a buyer has, those of this batch included.
    fn bought(&self, place: usize, user_id: &str) -> i64 {
        let before = self.facts.purchases[place].get(user_id).copied().unwrap_or_default();
        before + self.plan.purchases.get(&(place, user_id)).copied().unwrap_or_default()
    }

    /// Units that are left, those of this batch subtracted.
    fn left(&self, place: usize) -> i64 {
        let taken = self.plan.reserve.get(&place).copied().unwrap_or_default();
        self.facts.states[place].map_or(0, |state| state.total - state.reserved - taken)
    }
}
