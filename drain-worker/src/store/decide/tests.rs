//! Properties of the decision, each checked on batches full of collisions.

use proptest::prelude::*;
use shared::order::{
    AddressLine, Country, Currency, PricedItem, Quantity, SaleId, ShippingAddress, Sku, UserId,
};
use time::macros::datetime;

use super::super::facts::{SkuSet, SkuState};
use super::*;

const SKUS: [&str; 4] = ["a", "b", "c", "missing"];
const USERS: [&str; 3] = ["u0", "u1", "u2"];

fn order(id: u8, digest: u8, user: &str, lines: &[(&str, u32)]) -> AcceptedOrder {
    let line = |text: &str| AddressLine::parse(text).expect("valid");
    AcceptedOrder {
        order_id: OrderId::from_bytes([id; 16]),
        digest: PayloadDigest::from_bytes([digest; 32]),
        sale_id: SaleId::parse("sale").expect("valid"),
        user_id: UserId::parse(user).expect("valid"),
        items: lines
            .iter()
            .map(|(sku, quantity)| PricedItem {
                sku: Sku::parse(sku).expect("valid"),
                quantity: Quantity::new(*quantity).expect("valid"),
                unit_price_minor: 100,
            })
            .collect(),
        currency: Currency::parse("CNY").expect("valid"),
        shipping_address: ShippingAddress {
            recipient: line("r"),
            line1: line("l"),
            line2: None,
            city: line("c"),
            region: None,
            postal_code: None,
            country: Country::parse("CN").expect("valid"),
            phone: None,
        },
        client_reference: None,
        accepted_at: datetime!(2026-11-11 00:00 UTC),
        catalogue_revision: "1".to_owned(),
        traceparent: None,
    }
}

/// The database in miniature: what facts are read from and plans are applied to.
#[derive(Clone, Debug, Default)]
struct World {
    states: HashMap<&'static str, SkuState>,
    purchases: HashMap<(String, String), i64>,
    known: HashMap<OrderId, Known>,
    letters: HashSet<(OrderId, PayloadDigest)>,
}

impl World {
    fn facts<'a>(&self, orders: &'a [AcceptedOrder]) -> Facts<'a> {
        let mut facts = Facts::new(SkuSet::of(orders));
        for (place, key) in facts.skus.keys().to_vec().into_iter().enumerate() {
            facts.states[place] = self.states.get(key.sku).copied();
            for ((user, sku), quantity) in &self.purchases {
                if sku == key.sku {
                    facts.purchases[place].insert(user.clone(), *quantity);
                }
            }
        }
        facts.known = self.known.clone();
        facts.letters = self.letters.clone();
        facts
    }

    fn apply(&mut self, plan: &Plan<'_>, facts: &Facts<'_>) {
        for (place, quantity) in &plan.reserve {
            self.states.get_mut(facts.skus.keys()[*place].sku).expect("known").reserved += quantity;
        }
        for ((place, user), quantity) in &plan.purchases {
            let key = ((*user).to_owned(), facts.skus.keys()[*place].sku.to_owned());
            *self.purchases.entry(key).or_default() += quantity;
        }
        for (order, outcome) in &plan.decided {
            let before = self.known.insert(order.order_id, Known { digest: order.digest, outcome: *outcome });
            assert_eq!(before, None, "decided twice");
        }
        self.letters.extend(plan.letters.iter().map(|(order, _)| (order.order_id, order.digest)));
        self.letters.retain(|letter| !plan.settled.contains(letter));
    }

    fn run(&mut self, orders: &[AcceptedOrder]) -> Vec<Verdict> {
        let facts = self.facts(orders);
        let plan = decide(orders, &facts);
        self.apply(&plan, &facts);
        plan.verdicts
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let state =
        (0..12_i64, 0..4_i64, proptest::option::of(1..5_i64)).prop_map(|(left, reserved, per_user_limit)| {
            SkuState { total: left + reserved, reserved, per_user_limit }
        });
    proptest::collection::vec(state, 3).prop_map(|states| World {
        states: ["a", "b", "c"].into_iter().zip(states).collect(),
        ..World::default()
    })
}

/// Orders over a few ids, each of which has two bodies: as in reality, a digest stands for one body.
fn batches() -> impl Strategy<Value = Vec<AcceptedOrder>> {
    let line = (prop_oneof![9 => 0..3_usize, 1 => Just(3_usize)], 1..5_u32);
    let body = (0..3_usize, proptest::collection::vec(line, 0..4));
    let bodies = proptest::collection::vec(body, 24);
    let picks = proptest::collection::vec((0..12_u8, prop_oneof![4 => Just(0_u8), 1 => Just(1_u8)]), 0..30);
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
        let facts = world.facts(&batch);
        let plan = decide(&batch, &facts);
        world.apply(&plan, &facts);

        let mut reserved: HashMap<&str, i64> = HashMap::new();
        let mut bought: HashMap<(String, String), i64> = HashMap::new();
        for (order, outcome) in &plan.decided {
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
    fn every_order_gets_one_verdict_and_is_decided_at_most_once(world in worlds(), batch in batches()) {
        let facts = world.facts(&batch);
        let plan = decide(&batch, &facts);
        let ids = |orders: &[AcceptedOrder]| orders.iter().map(|order| order.order_id).collect::<Vec<_>>();
        prop_assert_eq!(plan.verdicts.iter().map(|verdict| verdict.order_id).collect::<Vec<_>>(), ids(&batch));
        let decided: HashSet<_> = plan.decided.iter().map(|(order, _)| order.order_id).collect();
        prop_assert_eq!(decided.len(), plan.decided.len());
        let new = plan.verdicts.iter().filter(|verdict| matches!(verdict.kind, VerdictKind::New(_))).count();
        prop_assert_eq!(new, decided.len());
        prop_assert_eq!(&decide(&batch, &facts), &plan);
    }

    #[test]
    fn where_a_batch_is_cut_makes_no_difference(world in worlds(), batch in batches(), cut in 1..30_usize) {
        let mut whole = world.clone();
        let mut parts = world;
        let expected = whole.run(&batch);
        let mut verdicts = Vec::new();
        for part in batch.chunks(cut) {
            verdicts.extend(parts.run(part));
        }
        prop_assert_eq!(verdicts, expected);
        prop_assert_eq!(parts.states, whole.states);
        prop_assert_eq!(parts.purchases, whole.purchases);
        prop_assert_eq!(parts.letters, whole.letters);
    }

    #[test]
    fn a_redelivery_changes_nothing(mut world in worlds(), batch in batches()) {
        let first = world.run(&batch);
        let after = world.clone();
        let facts = world.facts(&batch);
        let plan = decide(&batch, &facts);
        prop_assert!(plan.decided.is_empty() && plan.reserve.is_empty() && plan.purchases.is_empty());
        for (first, again) in first.iter().zip(&plan.verdicts) {
            match (first.kind, again.kind) {
                (VerdictKind::New(outcome), VerdictKind::Duplicate(again)) => prop_assert_eq!(outcome, again),
                (VerdictKind::New(_), other) => prop_assert!(false, "{:?}", other),
                // A dead letter whose id was decided later in the batch, under another payload, is a conflict now.
                (VerdictKind::DeadLettered { .. }, VerdictKind::Conflict { .. }) => {}
                (first, again) => prop_assert_eq!(first, again),
            }
        }
        world.apply(&plan, &facts);
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

fn kinds(verdicts: &[Verdict]) -> Vec<VerdictKind> {
    verdicts.iter().map(|verdict| verdict.kind).collect()
}

const CONFIRMED: VerdictKind = VerdictKind::New(Outcome::Confirmed);
const SOLD_OUT: VerdictKind = VerdictKind::New(Outcome::Rejected(RejectReason::SoldOut));
const OVER_LIMIT: VerdictKind = VerdictKind::New(Outcome::Rejected(RejectReason::LimitExceeded));

#[test]
fn an_order_that_does_not_fit_leaves_the_stock_to_a_smaller_one() {
    let batch = [
        order(1, 0, "u0", &[("a", 3)]),
        order(2, 0, "u1", &[("a", 3), ("b", 1)]),
        order(3, 0, "u2", &[("a", 2), ("b", 1)]),
    ];
    let verdicts = world(&[("a", 5, None), ("b", 1, None)]).run(&batch);
    assert_eq!(kinds(&verdicts), [CONFIRMED, SOLD_OUT, CONFIRMED]);
}

#[test]
fn a_rejected_order_does_not_count_against_the_limit() {
    let batch = [
        order(1, 0, "u0", &[("a", 2), ("b", 1)]),
        order(2, 0, "u0", &[("a", 2)]),
        order(3, 0, "u0", &[("a", 1)]),
    ];
    let verdicts = world(&[("a", 9, Some(2)), ("b", 0, None)]).run(&batch);
    assert_eq!(kinds(&verdicts), [SOLD_OUT, CONFIRMED, OVER_LIMIT]);
}

#[test]
fn the_limit_is_named_before_the_stock() {
    let verdicts = world(&[("a", 0, Some(1))]).run(&[order(1, 0, "u0", &[("a", 2)])]);
    assert_eq!(kinds(&verdicts), [OVER_LIMIT]);
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
    let facts = world.facts(&batch);
    let plan = decide(&batch, &facts);
    let conflict =
        VerdictKind::Conflict { stored: PayloadDigest::from_bytes([7; 32]), outcome: Outcome::Confirmed };
    assert_eq!(
        kinds(&plan.verdicts),
        [CONFIRMED, conflict, VerdictKind::Duplicate(Outcome::Confirmed), conflict]
    );
    assert_eq!(plan.conflicts.len(), 1);
    world.apply(&plan, &facts);
    assert_eq!(world.states["a"].reserved, 1);
}

#[test]
fn what_cannot_be_judged_is_a_dead_letter_until_it_can() {
    let batch = [
        order(1, 0, "u0", &[("a", 1), ("missing", 1)]),
        order(2, 0, "u0", &[]),
        order(3, 0, "u0", &[("a", 1), ("a", 1)]),
        order(1, 0, "u0", &[("a", 1), ("missing", 1)]),
    ];
    let unknown = VerdictKind::DeadLettered { reason: DeadLetterReason::UnknownSku };
    let invalid = VerdictKind::DeadLettered { reason: DeadLetterReason::InvalidOrder };
    let mut world = world(&[("a", 9, None)]);
    assert_eq!(kinds(&world.run(&batch)), [unknown, invalid, invalid, unknown]);
    assert_eq!(world.letters.len(), 3);
    assert_eq!(world.states["a"].reserved, 0);

    world.states.insert("missing", SkuState { total: 1, reserved: 0, per_user_limit: None });
    assert_eq!(kinds(&world.run(&batch[..1])), [CONFIRMED]);
    assert_eq!(world.letters.len(), 2, "the letter is settled");
}
