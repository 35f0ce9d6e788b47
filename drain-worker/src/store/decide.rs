//! Decides a batch. Pure: the same orders and the same snapshot always result in the same plan.
//!
//! Orders are decided one after the other, in the order of the batch, each on what the previous ones left. Splitting
//! a batch changes no order's outcome.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use shared::order::{AcceptedOrder, OrderId, Outcome, PayloadDigest, RejectReason};

use super::batch_snapshot::{BatchSnapshot, DecidedOrder};
use super::commit_result::{CommitOutcome, CommitResult};
use super::dead_letter::DeadLetterReason;

/// The results to return and the rows to write. Writing all of it in the transaction that read the snapshot executes
/// the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WritePlan<'a> {
    /// One for each order, in the order of the batch.
    pub(super) results: Vec<CommitResult>,
    pub(super) decided: Vec<Decision<'a>>,
    /// Units to reserve, by index in the snapshot's SKU set; never 0.
    pub(super) reserve: BTreeMap<usize, i64>,
    /// Units to count against limits, by index in the SKU set and user id; never 0.
    pub(super) purchases: BTreeMap<(usize, &'a str), i64>,
    pub(super) conflicts: BTreeSet<(OrderId, PayloadDigest)>,
    pub(super) letters: Vec<(&'a AcceptedOrder, DeadLetterReason)>,
    /// Dead letters to delete: their orders have an outcome now.
    pub(super) settled: BTreeSet<(OrderId, PayloadDigest)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision<'a> {
    pub(super) order: &'a AcceptedOrder,
    pub(super) outcome: Outcome,
    /// The first line that did not fit, by its place among the order's SKUs in ascending order; `None`: confirmed.
    pub(super) rejected_line: Option<usize>,
}

/// Decides `orders` on `snapshot`, which was read for exactly these orders.
pub(super) fn decide<'a>(orders: &'a [AcceptedOrder], snapshot: &BatchSnapshot<'_>) -> WritePlan<'a> {
    let mut state = DecisionState::new(snapshot);
    for order in orders {
        let kind = state.decide_order(order);
        if !matches!(kind, CommitOutcome::DeadLettered { .. }) {
            state.settle(order);
        }
        state.plan.results.push(CommitResult { order_id: order.order_id, outcome: kind });
    }
    state.plan
}

/// The snapshot as the batch changes it.
struct DecisionState<'a, 'f> {
    snapshot: &'f BatchSnapshot<'f>,
    known: HashMap<OrderId, DecidedOrder>,
    lettered: HashSet<(OrderId, PayloadDigest)>,
    plan: WritePlan<'a>,
}

/// A line of an order: index of its SKU, quantity.
type Line = (usize, i64);

impl<'a, 'f> DecisionState<'a, 'f> {
    fn new(snapshot: &'f BatchSnapshot<'f>) -> Self {
        Self { snapshot, known: snapshot.known.clone(), lettered: HashSet::new(), plan: WritePlan::default() }
    }

    fn decide_order(&mut self, order: &'a AcceptedOrder) -> CommitOutcome {
        if let Some(known) = self.known.get(&order.order_id) {
            if known.digest == order.digest {
                return CommitOutcome::Duplicate(known.outcome);
            }
            self.plan.conflicts.insert((order.order_id, order.digest));
            return CommitOutcome::Conflict { stored: known.digest, outcome: known.outcome };
        }
        // A discarded order stays discarded, also if its cause was repaired since.
        if let Some(&reason) = self.snapshot.discarded.get(&(order.order_id, order.digest)) {
            return CommitOutcome::DeadLettered { reason };
        }
        match self.lines(order) {
            Ok(lines) => {
                let decision = self.decision(order, &lines);
                let outcome = decision.outcome;
                if outcome == Outcome::Confirmed {
                    self.take(order, &lines);
                }
                self.known.insert(order.order_id, DecidedOrder { digest: order.digest, outcome });
                self.plan.decided.push(decision);
                CommitOutcome::New(outcome)
            }
            Err(reason) => {
                if self.lettered.insert((order.order_id, order.digest)) {
                    self.plan.letters.push((order, reason));
                }
                CommitOutcome::DeadLettered { reason }
            }
        }
    }

    /// The order's lines, if the order can be decided.
    fn lines(&self, order: &AcceptedOrder) -> Result<Vec<Line>, DeadLetterReason> {
        let each_once: HashSet<_> = order.items.iter().map(|item| item.sku.as_str()).collect();
        if order.items.is_empty() || each_once.len() < order.items.len() || order.total_minor().is_none() {
            return Err(DeadLetterReason::InvalidOrder);
        }
        let line = |item: &shared::order::PricedItem| {
            let place = self.snapshot.skus.position(order.sale_id.as_str(), item.sku.as_str())?;
            self.snapshot.states.get(place).copied().flatten()?;
            Some((place, i64::from(item.quantity.get())))
        };
        order.items.iter().map(line).collect::<Option<_>>().ok_or(DeadLetterReason::UnknownSku)
    }

    /// All or nothing: one line that does not fit rejects the order. The limit comes first, because it rejects the
    /// order for any stock.
    fn decision(&self, order: &'a AcceptedOrder, lines: &[Line]) -> Decision<'a> {
        let over_limit = |&(place, quantity): &Line| {
            self.limit(place)
                .is_some_and(|limit| self.bought(place, order.user_id.as_str()) + quantity > limit)
        };
        let over_stock = |&(place, quantity): &Line| quantity > self.left(place);
        let rejected = |index: usize, reason| {
            let sku = &order.items[index].sku;
            let place = order.items.iter().filter(|item| item.sku < *sku).count();
            Decision { order, outcome: Outcome::Rejected(reason), rejected_line: Some(place) }
        };
        if let Some(index) = lines.iter().position(over_limit) {
            rejected(index, RejectReason::LimitExceeded)
        } else if let Some(index) = lines.iter().position(over_stock) {
            rejected(index, RejectReason::SoldOut)
        } else {
            Decision { order, outcome: Outcome::Confirmed, rejected_line: None }
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

    /// A decided order needs no dead letter, and its payload must not remain stored.
    fn settle(&mut self, order: &AcceptedOrder) {
        let subject = (order.order_id, order.digest);
        if self.snapshot.letters.contains(&subject) {
            self.plan.settled.insert(subject);
        }
        if self.lettered.remove(&subject) {
            self.plan.letters.retain(|(letter, _)| (letter.order_id, letter.digest) != subject);
        }
    }

    fn limit(&self, place: usize) -> Option<i64> {
        self.snapshot.limit(place)
    }

    /// Units of a buyer, including those of this batch.
    fn bought(&self, place: usize, user_id: &str) -> i64 {
        let before = self.snapshot.purchases[place].get(user_id).copied().unwrap_or_default();
        before + self.plan.purchases.get(&(place, user_id)).copied().unwrap_or_default()
    }

    /// Remaining units, minus those of this batch.
    fn left(&self, place: usize) -> i64 {
        let taken = self.plan.reserve.get(&place).copied().unwrap_or_default();
        self.snapshot.states[place].map_or(0, |state| state.total - state.reserved - taken)
    }
}

#[cfg(test)]
mod tests {
    //! Properties of the decision, each checked on batches full of collisions.

    use proptest::prelude::*;
    use shared::testkit::accepted_order;

    use super::super::batch_snapshot::{SkuSet, SkuState};
    use super::*;

    const SKUS: [&str; 4] = ["a", "b", "c", "missing"];
    const USERS: [&str; 3] = ["u0", "u1", "u2"];

    fn order(id: u8, digest: u8, user: &str, lines: &[(&str, u32)]) -> AcceptedOrder {
        let order = accepted_order(id.into()).user(user).digest([digest; 32]);
        lines.iter().fold(order, |order, (sku, quantity)| order.line(sku, *quantity)).build()
    }

    /// A miniature database: snapshots are read from it and plans applied to it.
    #[derive(Clone, Debug, Default)]
    struct World {
        states: HashMap<&'static str, SkuState>,
        purchases: HashMap<(String, String), i64>,
        known: HashMap<OrderId, DecidedOrder>,
        letters: HashSet<(OrderId, PayloadDigest)>,
    }

    impl World {
        fn snapshot<'a>(&self, orders: &'a [AcceptedOrder]) -> BatchSnapshot<'a> {
            let mut snapshot = BatchSnapshot::new(SkuSet::of(orders));
            for (place, key) in snapshot.skus.keys().to_vec().into_iter().enumerate() {
                snapshot.states[place] = self.states.get(key.sku).copied();
                for ((user, sku), quantity) in &self.purchases {
                    if sku == key.sku {
                        snapshot.purchases[place].insert(user.clone(), *quantity);
                    }
                }
            }
            snapshot.known = self.known.clone();
            snapshot.letters = self.letters.clone();
            snapshot
        }

        fn apply(&mut self, plan: &WritePlan<'_>, snapshot: &BatchSnapshot<'_>) {
            for (place, quantity) in &plan.reserve {
                self.states.get_mut(snapshot.skus.keys()[*place].sku).expect("known").reserved += quantity;
            }
            for ((place, user), quantity) in &plan.purchases {
                let key = ((*user).to_owned(), snapshot.skus.keys()[*place].sku.to_owned());
                *self.purchases.entry(key).or_default() += quantity;
            }
            for Decision { order, outcome, .. } in &plan.decided {
                let before = self
                    .known
                    .insert(order.order_id, DecidedOrder { digest: order.digest, outcome: *outcome });
                assert_eq!(before, None, "decided twice");
            }
            self.letters.extend(plan.letters.iter().map(|(order, _)| (order.order_id, order.digest)));
            self.letters.retain(|letter| !plan.settled.contains(letter));
        }

        fn run(&mut self, orders: &[AcceptedOrder]) -> Vec<CommitResult> {
            let snapshot = self.snapshot(orders);
            let plan = decide(orders, &snapshot);
            self.apply(&plan, &snapshot);
            plan.results
        }
    }

    fn worlds() -> impl Strategy<Value = World> {
        let state = (0..12_i64, 0..4_i64, proptest::option::of(1..5_i64)).prop_map(
            |(left, reserved, per_user_limit)| SkuState { total: left + reserved, reserved, per_user_limit },
        );
        proptest::collection::vec(state, 3).prop_map(|states| World {
            states: ["a", "b", "c"].into_iter().zip(states).collect(),
            ..World::default()
        })
    }

    /// Orders over a few ids, each of which has two bodies: as in production, a digest identifies one body.
    fn batches() -> impl Strategy<Value = Vec<AcceptedOrder>> {
        let line = (prop_oneof![9 => 0..3_usize, 1 => Just(3_usize)], 1..5_u32);
        let body = (0..3_usize, proptest::collection::vec(line, 0..4));
        let bodies = proptest::collection::vec(body, 24);
        let picks =
            proptest::collection::vec((0..12_u8, prop_oneof![4 => Just(0_u8), 1 => Just(1_u8)]), 0..30);
        (bodies, picks).prop_map(|(bodies, picks)| {
            let order = |(id, digest): (u8, u8)| {
                let (user, lines) = &bodies[usize::from(id * 2 + digest)];
                let lines: Vec<_> = lines.iter().map(|&(sku, quantity)| (SKUS[sku], quantity)).collect();
                order(id, digest, USERS[*user], &lines)
            };
            picks.into_iter().map(order).collect()
        })
    }

    proptest! {
        #[test]
        fn stock_and_limits_hold_and_sums_are_exact(mut world in worlds(), batch in batches()) {
            let before = world.clone();
            let snapshot = world.snapshot(&batch);
            let plan = decide(&batch, &snapshot);
            world.apply(&plan, &snapshot);

            let mut reserved: HashMap<&str, i64> = HashMap::new();
            let mut bought: HashMap<(String, String), i64> = HashMap::new();
            for Decision { order, outcome, rejected_line } in &plan.decided {
                prop_assert_eq!(rejected_line.is_some(), *outcome != Outcome::Confirmed);
                for item in order.items.iter().filter(|_| *outcome == Outcome::Confirmed) {
                    *reserved.entry(item.sku.as_str()).or_default() += i64::from(item.quantity.get());
                    let key = (order.user_id.as_str().to_owned(), item.sku.as_str().to_owned());
                    *bought.entry(key).or_default() += i64::from(item.quantity.get());
                }
            }
            for (sku, state) in &world.states {
                prop_assert!(state.reserved <= state.total, "oversold {sku}");
                let taken = reserved.get(sku).copied().unwrap_or_default();
                prop_assert_eq!(state.reserved, before.states[sku].reserved + taken);
            }
            for ((user, sku), quantity) in &bought {
                let limit = world.states[sku.as_str()].per_user_limit;
                prop_assert!(limit.is_none_or(|limit| *quantity <= limit), "{user} has {quantity} of {sku}");
                let counted = world.purchases.get(&(user.clone(), sku.clone())).copied();
                prop_assert_eq!(counted, limit.map(|_| *quantity));
            }
        }

        #[test]
        fn every_order_has_one_result_and_is_decided_at_most_once(world in worlds(), batch in batches()) {
            let snapshot = world.snapshot(&batch);
            let plan = decide(&batch, &snapshot);
            let ids = |orders: &[AcceptedOrder]| orders.iter().map(|order| order.order_id).collect::<Vec<_>>();
            prop_assert_eq!(plan.results.iter().map(|result| result.order_id).collect::<Vec<_>>(), ids(&batch));
            let decided: HashSet<_> = plan.decided.iter().map(|decision| decision.order.order_id).collect();
            prop_assert_eq!(decided.len(), plan.decided.len());
            let new = plan.results.iter().filter(|result| matches!(result.outcome, CommitOutcome::New(_))).count();
            prop_assert_eq!(new, decided.len());
            prop_assert_eq!(&decide(&batch, &snapshot), &plan);
        }

        #[test]
        fn splitting_a_batch_changes_no_result(world in worlds(), batch in batches(), cut in 1..30_usize) {
            let mut whole = world.clone();
            let mut parts = world;
            let expected = whole.run(&batch);
            let mut results = Vec::new();
            for part in batch.chunks(cut) {
                results.extend(parts.run(part));
            }
            prop_assert_eq!(results, expected);
            prop_assert_eq!(parts.states, whole.states);
            prop_assert_eq!(parts.purchases, whole.purchases);
            prop_assert_eq!(parts.letters, whole.letters);
        }

        #[test]
        fn a_redelivery_changes_nothing(mut world in worlds(), batch in batches()) {
            let first = world.run(&batch);
            let after = world.clone();
            let snapshot = world.snapshot(&batch);
            let plan = decide(&batch, &snapshot);
            prop_assert!(plan.decided.is_empty() && plan.reserve.is_empty() && plan.purchases.is_empty());
            for (first, again) in first.iter().zip(&plan.results) {
                match (first.outcome, again.outcome) {
                    (CommitOutcome::New(outcome), CommitOutcome::Duplicate(again)) => prop_assert_eq!(outcome, again),
                    (CommitOutcome::New(_), other) => prop_assert!(false, "{:?}", other),
                    // A dead letter whose id was decided later in the batch, under another payload, is a conflict
                    // now.
                    (CommitOutcome::DeadLettered { .. }, CommitOutcome::Conflict { .. }) => {}
                    (first, again) => prop_assert_eq!(first, again),
                }
            }
            world.apply(&plan, &snapshot);
            prop_assert_eq!(after.states, world.states);
        }
    }

    fn world(states: &[(&'static str, i64, Option<i64>)]) -> World {
        let state = |total, per_user_limit| SkuState { total, reserved: 0, per_user_limit };
        World {
            states: states.iter().map(|&(sku, total, limit)| (sku, state(total, limit))).collect(),
            ..World::default()
        }
    }

    fn outcomes(results: &[CommitResult]) -> Vec<CommitOutcome> {
        results.iter().map(|result| result.outcome).collect()
    }

    const CONFIRMED: CommitOutcome = CommitOutcome::New(Outcome::Confirmed);
    const SOLD_OUT: CommitOutcome = CommitOutcome::New(Outcome::Rejected(RejectReason::SoldOut));
    const OVER_LIMIT: CommitOutcome = CommitOutcome::New(Outcome::Rejected(RejectReason::LimitExceeded));

    #[test]
    fn an_order_that_does_not_fit_leaves_the_stock_to_a_smaller_one() {
        let batch = [
            order(1, 0, "u0", &[("a", 3)]),
            order(2, 0, "u1", &[("a", 3), ("b", 1)]),
            order(3, 0, "u2", &[("a", 2), ("b", 1)]),
        ];
        let results = world(&[("a", 5, None), ("b", 1, None)]).run(&batch);
        assert_eq!(outcomes(&results), [CONFIRMED, SOLD_OUT, CONFIRMED]);
    }

    #[test]
    fn a_rejected_order_does_not_count_against_the_limit() {
        let batch = [
            order(1, 0, "u0", &[("a", 2), ("b", 1)]),
            order(2, 0, "u0", &[("a", 2)]),
            order(3, 0, "u0", &[("a", 1)]),
        ];
        let results = world(&[("a", 9, Some(2)), ("b", 0, None)]).run(&batch);
        assert_eq!(outcomes(&results), [SOLD_OUT, CONFIRMED, OVER_LIMIT]);
    }

    #[test]
    fn the_limit_is_checked_before_the_stock() {
        let results = world(&[("a", 0, Some(1))]).run(&[order(1, 0, "u0", &[("a", 2)])]);
        assert_eq!(outcomes(&results), [OVER_LIMIT]);
    }

    #[test]
    fn the_first_payload_wins_and_others_are_conflicts_once() {
        let batch = [
            order(1, 7, "u0", &[("a", 1)]),
            order(1, 8, "u0", &[("a", 2)]),
            order(1, 7, "u0", &[("a", 1)]),
            order(1, 8, "u0", &[("a", 2)]),
        ];
        let mut world = world(&[("a", 9, None)]);
        let snapshot = world.snapshot(&batch);
        let plan = decide(&batch, &snapshot);
        let conflict = CommitOutcome::Conflict {
            stored: PayloadDigest::from_bytes([7; 32]),
            outcome: Outcome::Confirmed,
        };
        assert_eq!(
            outcomes(&plan.results),
            [CONFIRMED, conflict, CommitOutcome::Duplicate(Outcome::Confirmed), conflict]
        );
        assert_eq!(plan.conflicts.len(), 1);
        world.apply(&plan, &snapshot);
        assert_eq!(world.states["a"].reserved, 1);
    }

    #[test]
    fn undecidable_orders_are_dead_letters_until_they_can_be_decided() {
        let batch = [
            order(1, 0, "u0", &[("a", 1), ("missing", 1)]),
            order(2, 0, "u0", &[]),
            order(3, 0, "u0", &[("a", 1), ("a", 1)]),
            order(1, 0, "u0", &[("a", 1), ("missing", 1)]),
        ];
        let unknown = CommitOutcome::DeadLettered { reason: DeadLetterReason::UnknownSku };
        let invalid = CommitOutcome::DeadLettered { reason: DeadLetterReason::InvalidOrder };
        let mut world = world(&[("a", 9, None)]);
        assert_eq!(outcomes(&world.run(&batch)), [unknown, invalid, invalid, unknown]);
        assert_eq!(world.letters.len(), 3);
        assert_eq!(world.states["a"].reserved, 0);

        world.states.insert("missing", SkuState { total: 1, reserved: 0, per_user_limit: None });
        assert_eq!(outcomes(&world.run(&batch[..1])), [CONFIRMED]);
        assert_eq!(world.letters.len(), 2, "the letter is settled");
    }
}
