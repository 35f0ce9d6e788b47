//! Orders that cannot be decided.

use drain_worker::store::{CommitOutcome, DeadLetterReason, Fence, OrderStore, StoredStatus};
use shared::envelope::decode_batch;

use crate::harness::Harness;
use crate::orders::{AGAIN, CONFIRMED, REFUSED, UNKNOWN_SKU, catalogue, id, order, order_in, outcomes_of};

/// Makes the database reject the orders of one buyer, with a message that must not be exposed.
async fn plant(harness: &Harness) {
    let text = if harness.is_sqlite() {
        "CREATE TRIGGER poison BEFORE INSERT ON orders WHEN NEW.user_id = 'mallory' \
         BEGIN SELECT RAISE(ABORT, 'mallory lives at 1 Long Street'); END"
    } else {
        "CREATE TRIGGER poison BEFORE INSERT ON orders FOR EACH ROW BEGIN IF NEW.user_id = 'mallory' THEN \
         SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'mallory lives at 1 Long Street'; END IF; END"
    };
    harness.run(text).await;
}

pub(crate) async fn a_rejected_row_is_isolated(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 1_000, Some(5))])).await.expect("applies");
    plant(harness).await;
    let user =
        |number: u64| if number == 37 || number == 101 { "mallory".to_owned() } else { format!("u{number}") };
    let batch: Vec<_> = (0..150).map(|number| order(number, &user(number), &[("a", 1)])).collect();
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    for (number, kind) in outcomes_of(&results).into_iter().enumerate() {
        assert_eq!(kind, if number == 37 || number == 101 { REFUSED } else { CONFIRMED }, "{number}");
    }
    assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus").await, 148);
    let letters = harness.letters().await;
    assert_eq!(
        letters.iter().map(|letter| letter.head.order_id).collect::<Vec<_>>(),
        [Some(id(37)), Some(id(101))]
    );
    for letter in &letters {
        assert_eq!(letter.head.reason, DeadLetterReason::RefusedByDatabase.as_str());
        assert!(
            !letter.head.detail.contains("mallory") && !letter.head.detail.contains("Street"),
            "{}",
            letter.head.detail
        );
        assert!(letter.head.detail.starts_with("insert orders: "), "{}", letter.head.detail);
        assert_eq!(letter.head.attempts, 1);
    }
    assert_eq!(decode_batch(&letters[0].payload).expect("an envelope"), [batch[37].clone()]);

    // Redelivered: the good orders are duplicates, the bad ones are retried and counted.
    let results = store.commit(Fence::Open, &batch[30..40]).await.expect("commits");
    assert_eq!(outcomes_of(&results).iter().filter(|kind| **kind == AGAIN).count(), 9);
    assert_eq!(outcomes_of(&results)[7], REFUSED);
    assert_eq!(harness.letters().await[0].head.attempts, 2);

    // The fault is removed: the decision removes the letter.
    harness.run("DROP TRIGGER poison").await;
    assert_eq!(outcomes_of(&store.commit(Fence::Open, &batch[30..40]).await.expect("commits"))[7], CONFIRMED);
    let left = harness.letters().await;
    assert_eq!(left.iter().map(|letter| letter.head.order_id).collect::<Vec<_>>(), [Some(id(101))]);
}

pub(crate) async fn an_unknown_sku_waits_for_the_catalogue(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 9, None)])).await.expect("applies");
    let batch = [
        order(1, "ann", &[("a", 1)]),
        order(2, "ann", &[("a", 1), ("b", 1)]),
        order_in("another-sale", 3, "ann", &[("a", 1)]),
        order(2, "ann", &[("a", 1), ("b", 1)]),
        order(4, "bob", &[("a", 1)]),
    ];
    for _ in 0..2 {
        let results = store.commit(Fence::Open, &batch).await.expect("commits");
        assert_eq!(outcomes_of(&results)[1..4], [UNKNOWN_SKU; 3]);
    }
    let counts = store.counts().await.expect("counts");
    assert_eq!((counts.orders(), counts.dead_letters_total()), (2, 2));
    assert_eq!(counts.dead_letters["unknown_sku"], 2);
    assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus WHERE sku = 'a'").await, 2);
    let found = store.find(id(2)).await.expect("reads").expect("is there");
    assert_eq!(
        found.status,
        StoredStatus::DeadLettered { reason: "unknown_sku".to_owned(), discarded_at: None }
    );
    assert_eq!(found.digest, Some(batch[1].digest));
    let letters = harness.letters().await;
    assert_eq!(letters.iter().map(|letter| letter.head.attempts).collect::<Vec<_>>(), [2, 2]);

    // The operator applies the catalogue and redrives the letter's payload.
    store.apply_catalogue(&catalogue(&[("a", 9, None), ("b", 9, None)])).await.expect("applies");
    let letter = letters.iter().find(|letter| letter.head.order_id == Some(id(2))).expect("is there");
    let again = decode_batch(&letter.payload).expect("an envelope");
    assert_eq!(outcomes_of(&store.commit(Fence::Open, &again).await.expect("commits")), [CONFIRMED]);
    assert_eq!(store.counts().await.expect("counts").dead_letters_total(), 1);

    // Another payload under that id is a conflict now, and needs no letter either.
    let other = order_in("another-sale", 2, "ann", &[("a", 1)]);
    let results = store.commit(Fence::Open, &[other]).await.expect("commits");
    assert!(matches!(results[0].outcome, CommitOutcome::Conflict { .. }), "{results:?}");
}

pub(crate) async fn an_impossible_order_becomes_a_letter(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 9, None)])).await.expect("applies");
    let mut empty = order(1, "ann", &[("a", 1)]);
    empty.items.clear();
    let mut twice = order(2, "ann", &[("a", 1)]);
    twice.items.push(twice.items[0].clone());
    let batch = [empty, order(3, "ann", &[("a", 1)]), twice];
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    let invalid = CommitOutcome::DeadLettered { reason: DeadLetterReason::InvalidOrder };
    assert_eq!(outcomes_of(&results), [invalid, CONFIRMED, invalid]);
    assert_eq!(store.counts().await.expect("counts").dead_letters["invalid_order"], 2);
    assert_eq!(store.commit(Fence::Open, &[]).await.expect("nothing to do"), []);
}
