//! The fence and the letters: what a commit does not wait for, and what it does not overlook.

use std::time::Duration;

use drain_worker::store::{CommitOutcome, DeadLetter, DeadLetterReason, Fence, OrderStore};

use crate::harness::{Harness, config, on_mysql, on_sqlite};
use crate::orders::{CONFIRMED, batch, catalogue, order, outcomes_of};

/// As a dump does; the ALTER waits for its end, and everything that comes after the ALTER waits as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_go_on_while_a_migration_of_the_letters_waits() {
    on_mysql(async |harness| {
        let terms = [("a", 99, None), ("b", 99, None)];
        harness.store.apply_catalogue(&catalogue(&terms)).await.expect("applies");
        harness.store.commit(Fence::Open, &batch(0)).await.expect("commits");
        let mut dump = harness.begin("SELECT COUNT(*) FROM dead_letters").await;
        let alter = harness.run("ALTER TABLE dead_letters ADD COLUMN note VARCHAR(9) NULL");
        let commit = async {
            harness.until_at("ALTER TABLE dead_letters%").await;
            for number in 1..5 {
                let orders = batch(number * 10);
                let commit = harness.store.commit(Fence::Open, &orders);
                let results = tokio::time::timeout(Duration::from_secs(10), commit).await;
                let results = results.expect("does not wait").expect("commits");
                assert_eq!(outcomes_of(&results), [CONFIRMED; 3]);
            }
            dump.run("COMMIT").await;
        };
        tokio::join!(alter, commit);
    })
    .await;
}

/// A worker that knows of no letters gets an order that another one has given a letter, and that is discarded since.
async fn letters_of_others(harness: &Harness) {
    harness.store.apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)])).await.expect("applies");
    let knows_none = harness.open(config()).await;
    for round in 1..4 {
        knows_none.commit(Fence::Open, &batch(round * 10)).await.expect("commits");
        let (open, discarded) =
            (order(round * 100, "eve", &[("a", 1)]), order(round * 100 + 1, "eve", &[("a", 1)]));
        let letter = |order| DeadLetter::of_order(order, DeadLetterReason::UnknownSku, "");
        let letters = [letter(&open), letter(&discarded)];
        harness.store.upsert_dead_letters(Fence::Open, &letters).await.expect("stores");
        let id = hex::encode(discarded.order_id.as_bytes());
        harness
            .run(&format!("UPDATE dead_letters SET discarded_at = first_failed_at WHERE order_id = x'{id}'"))
            .await;
        let results = knows_none.commit(Fence::Open, &[open, discarded]).await.expect("commits");
        let stays = CommitOutcome::DeadLettered { reason: DeadLetterReason::UnknownSku };
        assert_eq!(outcomes_of(&results), [CONFIRMED, stays]);
        assert_eq!(harness.number("SELECT COUNT(*) FROM dead_letters").await, round.cast_signed());
    }
    knows_none.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_of_another_worker_is_not_overlooked_on_mysql() {
    on_mysql(letters_of_others).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_of_another_worker_is_not_overlooked_on_sqlite() {
    on_sqlite(letters_of_others).await;
}
