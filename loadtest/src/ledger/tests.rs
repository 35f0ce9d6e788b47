//! The ledger must be able to fail: each planted fault is reported, and no other.

use shared::order::{IdempotencyKey, OrderIdKey, SaleId, UserId};

use super::*;

fn id(number: u64) -> OrderId {
    OrderId::derive(
        &OrderIdKey::new(&[1; 32]).expect("long enough"),
        &SaleId::parse("sale").expect("valid"),
        &UserId::parse("user").expect("valid"),
        &IdempotencyKey::parse(&number.to_string()).expect("valid"),
    )
}

fn digest(number: u8) -> PayloadDigest {
    PayloadDigest::from_bytes([number; 32])
}

fn attempt(number: u64, payload: u8, ending: AttemptEnding) -> Attempt {
    let (order_id, digest) = (id(number), digest(payload));
    let answered_as_expected = (ending == AttemptEnding::Accepted).then_some(true);
    let code = (ending == AttemptEnding::Refused).then(|| "queue_full".into());
    Attempt { order_id, digest, ending, code, answered_as_expected }
}

fn row(number: u64, payload: u8, reason: Option<&str>) -> LedgerOrder {
    LedgerOrder {
        order_id: id(number),
        digest: digest(payload),
        user_id: format!("user-{number}"),
        confirmed: reason.is_none(),
        reason: reason.map(str::to_owned),
        decided_at_us: i64::try_from(number).expect("small") * 100_000,
    }
}

/// Orders 1 and 2 accepted (2 sold out), 3 rejected, 4 unknown and present, 5 unknown and absent, 1 replayed, 2 sent
/// again with another payload.
fn sound() -> (Vec<Attempt>, DatabaseSnapshot) {
    let attempts = vec![
        attempt(1, 1, AttemptEnding::Accepted),
        attempt(1, 1, AttemptEnding::Accepted),
        attempt(2, 2, AttemptEnding::Accepted),
        attempt(2, 22, AttemptEnding::Accepted),
        attempt(3, 3, AttemptEnding::Refused),
        attempt(4, 4, AttemptEnding::Unknown),
        attempt(5, 5, AttemptEnding::Unknown),
    ];
    let orders = vec![row(1, 1, None), row(2, 2, Some("sold_out")), row(4, 4, None)];
    let items = orders.iter().map(|row| (row.order_id, vec![("A".to_owned(), 2)])).collect();
    let stock =
        BTreeMap::from([("A".to_owned(), LedgerStock { total: 5, reserved: 4, per_user_limit: Some(2) })]);
    let conflicts = HashSet::from([(id(2), digest(22))]);
    (attempts, DatabaseSnapshot { orders, items, stock, conflicts, dead_letters: Vec::new() })
}

fn fault_names(attempts: &[Attempt], facts: &DatabaseSnapshot, cap: Option<u32>) -> Vec<String> {
    check(attempts, facts, cap).faults.iter().map(|fault| fault.code.to_string()).collect()
}

#[test]
fn a_sound_ledger_adds_up() {
    let (attempts, facts) = sound();
    let verdict = check(&attempts, &facts, Some(3));
    assert!(verdict.adds_up(), "{verdict}");
    assert_eq!((verdict.accepted, verdict.refused, verdict.unknown), (4, 1, 2));
    assert_eq!(
        (verdict.accepted_orders, verdict.rows, verdict.confirmed, verdict.rows_of_unknown),
        (2, 3, 2, 1)
    );
    assert_eq!(verdict.refused_by_code, BTreeMap::from([("queue_full".to_owned(), 1)]));
    assert_eq!(verdict.rejected, BTreeMap::from([("sold_out".to_owned(), 1)]));
}

#[test]
fn every_planted_fault_is_reported() {
    type PlantFault = fn(&mut Vec<Attempt>, &mut DatabaseSnapshot);
    let cases: [(&str, PlantFault); 16] = [
        ("accepted_order_lost", |_, facts| {
            facts.orders.retain(|row| row.order_id != id(2));
            facts.conflicts.clear();
        }),
        ("order_doubled", |_, facts| {
            let double = facts.orders[1].clone();
            facts.orders.push(double);
        }),
        ("row_without_request", |_, facts| {
            facts.orders.push(LedgerOrder { decided_at_us: 9_000_000, ..row(9, 9, Some("sold_out")) });
            facts.items.insert(id(9), vec![("A".to_owned(), 1)]);
        }),
        ("row_with_unknown_payload", |_, facts| facts.orders[2].digest = digest(99)),
        ("response_names_another_order", |attempts, _| attempts[0].answered_as_expected = Some(false)),
        ("conflict_not_recorded", |_, facts| facts.conflicts.clear()),
        ("conflict_without_cause", |_, facts| {
            facts.conflicts.insert((id(1), digest(77)));
        }),
        ("inconsistent_state", |_, facts| facts.orders[1].reason = None),
        ("order_without_lines", |_, facts| {
            facts.items.remove(&id(2));
        }),
        ("stock_counter_wrong", |_, facts| {
            facts.stock.get_mut("A").expect("there").reserved = 3;
        }),
        ("oversold", |_, facts| {
            facts.stock.get_mut("A").expect("there").total = 3;
        }),
        ("limit_exceeded", |_, facts| facts.orders[2].user_id = "user-1".to_owned()),
        ("sold_unlisted_sku", |_, facts| {
            facts.items.insert(id(4), vec![("B".to_owned(), 2)]);
            facts.stock.get_mut("A").expect("there").reserved = 2;
        }),
        ("accepted_order_dead_lettered", |_, facts| {
            facts.orders.retain(|row| row.order_id != id(2));
            facts.conflicts.clear();
            facts.dead_letters.push((Some(id(2)), "unknown_sku".to_owned()));
        }),
        ("unreadable_message", |_, facts| facts.dead_letters.push((None, "malformed_message".to_owned()))),
        ("second_over_the_cap", |_, facts| {
            for (number, row) in facts.orders.iter_mut().enumerate() {
                row.decided_at_us = i64::try_from(number).expect("small");
            }
        }),
    ];
    for (name, plant) in cases {
        let (mut attempts, mut facts) = sound();
        // Spread over time, so that only the planted second is busy.
        for (number, row) in facts.orders.iter_mut().enumerate() {
            row.decided_at_us = i64::try_from(number).expect("small") * 2_000_000;
        }
        plant(&mut attempts, &mut facts);
        assert_eq!(fault_names(&attempts, &facts, Some(2)), [name], "{name}");
    }
}
