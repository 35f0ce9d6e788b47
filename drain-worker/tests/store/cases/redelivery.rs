//! The same order redelivered, and another payload under its id.

use drain_worker::store::{CommitOutcome, Fence, OrderStore};
use futures_util::future::join_all;
use shared::order::Outcome;

use crate::harness::Harness;
use crate::orders::{AGAIN, CONFIRMED, OVER_LIMIT, SOLD_OUT, catalogue, id, order, outcomes_of};

pub(crate) async fn a_redelivery_changes_nothing(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 4, Some(3)), ("b", 9, None)])).await.expect("applies");
    let batch = [
        order(1, "ann", &[("a", 3), ("b", 1)]),
        order(2, "ann", &[("a", 1)]),
        order(3, "bob", &[("a", 2)]),
        order(4, "cyd", &[("a", 1)]),
    ];
    let first = store.commit(Fence::Open, &batch).await.expect("commits");
    assert_eq!(outcomes_of(&first), [CONFIRMED, OVER_LIMIT, SOLD_OUT, CONFIRMED]);
    let counts = store.counts().await.expect("counts");
    let stock = store.stock().await.expect("reads");
    let decided = harness.text("SELECT CAST(MAX(decided_at) AS CHAR) FROM orders").await;
    for _ in 0..3 {
        let again = store.commit(Fence::Open, &batch).await.expect("commits");
        for (first, again) in first.iter().zip(&again) {
            let CommitOutcome::New(outcome) = first.outcome else { panic!("{first:?}") };
            assert_eq!(again.outcome, CommitOutcome::Duplicate(outcome));
        }
    }
    // In another sequence, mixed with new orders.
    let mixed = [batch[2].clone(), order(5, "dan", &[("b", 1)]), batch[0].clone()];
    let results = store.commit(Fence::Open, &mixed).await.expect("commits");
    let CommitOutcome::New(sold_out) = SOLD_OUT else { unreachable!() };
    assert_eq!(outcomes_of(&results), [CommitOutcome::Duplicate(sold_out), CONFIRMED, AGAIN]);

    let mut expected = counts;
    expected.confirmed += 1;
    assert_eq!(store.counts().await.expect("counts"), expected);
    let stock_now = store.stock().await.expect("reads");
    assert_eq!((stock_now[0].reserved, stock_now[1].reserved), (stock[0].reserved, stock[1].reserved + 1));
    let still = harness.text("SELECT CAST(MAX(decided_at) AS CHAR) FROM orders WHERE user_id <> 'dan'").await;
    assert_eq!(still, decided);
}

pub(crate) async fn a_duplicate_within_a_batch_is_one_order(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 2, Some(2))])).await.expect("applies");
    let batch = [
        order(1, "ann", &[("a", 1)]),
        order(2, "bob", &[("a", 1)]),
        order(1, "ann", &[("a", 1)]),
        order(1, "ann", &[("a", 1)]),
    ];
    assert_eq!(
        outcomes_of(&store.commit(Fence::Open, &batch).await.expect("commits")),
        [CONFIRMED, CONFIRMED, AGAIN, AGAIN]
    );
    assert_eq!(harness.number("SELECT COUNT(*) FROM orders").await, 2);
    assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus").await, 2);
}

pub(crate) async fn another_payload_under_the_same_id_is_recorded_once(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 9, None), ("b", 9, None)])).await.expect("applies");
    let first = order(1, "ann", &[("a", 1)]);
    let second = order(1, "ann", &[("a", 2)]);
    let third = order(1, "ann", &[("b", 1)]);
    assert_ne!(first.digest, second.digest);
    let conflict = CommitOutcome::Conflict { stored: first.digest, outcome: Outcome::Confirmed };

    let batch = [first.clone(), second.clone(), first.clone()];
    assert_eq!(
        outcomes_of(&store.commit(Fence::Open, &batch).await.expect("commits")),
        [CONFIRMED, conflict, AGAIN]
    );
    for _ in 0..2 {
        let results = store
            .commit(Fence::Open, &[second.clone(), third.clone(), second.clone()])
            .await
            .expect("commits");
        assert_eq!(outcomes_of(&results), [conflict; 3]);
    }
    assert_eq!(harness.number("SELECT COUNT(*) FROM order_conflicts").await, 2);
    assert_eq!(store.counts().await.expect("counts").conflicts, 2);
    let found = store.find(id(1)).await.expect("reads").expect("is there");
    assert_eq!((found.digest, found.conflicts), (Some(first.digest), 2));
    let reserved: Vec<_> = store.stock().await.expect("reads").iter().map(|stock| stock.reserved).collect();
    assert_eq!(reserved, [1, 0]);
}

/// The two payloads name different SKUs, so no stock row serializes their transactions: the primary key must.
pub(crate) async fn a_race_for_one_id_has_one_winner(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 900, None), ("b", 900, None)])).await.expect("applies");
    for round in 0..20 {
        let numbers = || (0..10).map(move |number| round * 10 + number);
        let batch = |sku| numbers().map(|number| order(number, "ann", &[(sku, 1)])).collect::<Vec<_>>();
        let (left, right) = (batch("a"), batch("b"));
        let results =
            join_all([&left, &right, &right, &left].map(|batch| store.commit(Fence::Open, batch))).await;
        let results: Vec<_> = results.into_iter().map(|results| results.expect("commits")).collect();
        for place in 0..10 {
            let outcomes = results.iter().map(|results| results[place].outcome);
            assert_eq!(outcomes.clone().filter(|kind| *kind == CONFIRMED).count(), 1, "{results:?}");
            let conflicts = outcomes.filter(|kind| matches!(kind, CommitOutcome::Conflict { .. })).count();
            assert_eq!(conflicts, 2, "both deliveries of the losing payload");
        }
    }
    assert_eq!(harness.number("SELECT COUNT(*) FROM orders").await, 200);
    assert_eq!(harness.number("SELECT COUNT(*) FROM order_conflicts").await, 200);
    let reserved: i64 = store.stock().await.expect("reads").iter().map(|stock| stock.reserved).sum();
    assert_eq!(reserved, 200);
}
