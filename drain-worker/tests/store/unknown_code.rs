//! A database that rejects with a code that says nothing about its cause.

use drain_worker::store::{CommitOutcome, Fence, OrderStore};
use tokio::time::{Duration, Instant};

use crate::harness::{Harness, on_mysql};
use crate::orders::{AGAIN, CONFIRMED, REFUSED, catalogue, id, is_transient, order, outcomes_of};

/// Makes the database reject the rows of one buyer in `table`.
async fn plant(harness: &Harness, table: &str) {
    harness
        .run(&format!(
            "CREATE TRIGGER poison_{table} BEFORE INSERT ON {table} FOR EACH ROW BEGIN IF NEW.user_id = 'mallory' THEN \
             SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1105, MESSAGE_TEXT = 'no reason'; END IF; END"
        ))
        .await;
}

#[tokio::test]
async fn an_order_that_fails_alone_becomes_a_dead_letter() {
    on_mysql(async |harness| {
        let store = &harness.store;
        store.apply_catalogue(&catalogue(&[("a", 1_000, None)])).await.expect("applies");
        plant(harness, "orders").await;
        let user = |number: u64| if number == 37 { "mallory" } else { "ann" };
        let batch: Vec<_> = (0..100).map(|number| order(number, user(number), &[("a", 1)])).collect();
        let began = Instant::now();
        let results = store.commit(Fence::Open, &batch).await.expect("commits");
        // At most three attempts at each of eight sizes, 600 ms apart in sum: the documented ten seconds.
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        for (number, outcome) in outcomes_of(&results).into_iter().enumerate() {
            assert_eq!(outcome, if number == 37 { REFUSED } else { CONFIRMED }, "{number}");
        }
        let letters = harness.letters().await;
        assert_eq!(letters.iter().map(|letter| letter.head.order_id).collect::<Vec<_>>(), [Some(id(37))]);
        assert!(letters[0].head.detail.contains("[1105]"), "{}", letters[0].head.detail);
    })
    .await;
}

/// Such an order looks like an outage: it stays with the worker.
#[tokio::test]
async fn an_order_stays_while_its_dead_letter_fails_as_well() {
    on_mysql(async |harness| {
        let store = &harness.store;
        store.apply_catalogue(&catalogue(&[("a", 1_000, None)])).await.expect("applies");
        plant(harness, "orders").await;
        plant(harness, "dead_letters").await;
        let batch =
            [order(1, "ann", &[("a", 1)]), order(2, "mallory", &[("a", 1)]), order(3, "ann", &[("a", 1)])];
        let first = store.commit(Fence::Open, &batch).await.expect("the first half");
        assert_eq!(outcomes_of(&first), [CONFIRMED], "the results of what is written");
        assert!(is_transient(store.commit(Fence::Open, &batch[1..]).await));
        assert_eq!(harness.number("SELECT COUNT(*) FROM dead_letters").await, 0);

        harness.run("DROP TRIGGER poison_orders; DROP TRIGGER poison_dead_letters").await;
        let results: Vec<CommitOutcome> =
            outcomes_of(&store.commit(Fence::Open, &batch).await.expect("commits"));
        assert_eq!(results, [AGAIN, CONFIRMED, CONFIRMED]);
    })
    .await;
}
