//! Interference of other programs: locks, deadlocks, keys inserted during a transaction.

use std::time::Duration;

use drain_worker::store::{CommitOutcome, Fence, OrderStore, StoreConfig};
use shared::order::Outcome;

use crate::harness::{AT_THE_STOCK, config, on_mysql, on_sqlite};
use crate::orders::{CONFIRMED, SALE, SOLD_OUT, batch, catalogue, id, is_transient, order, outcomes_of};

#[tokio::test]
async fn a_lock_that_is_never_released_is_transient() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)]))
            .await
            .expect("applies");
        let impatient = StoreConfig { transaction_timeout: Duration::from_millis(2_500), ..config() };
        let store = harness.open(impatient).await;
        let mut holder = harness.begin("UPDATE sale_skus SET stock_total = 98").await;
        assert!(is_transient(store.commit(Fence::Open, &batch(0)).await));
        holder.run("ROLLBACK").await;
        assert_eq!(
            outcomes_of(&store.commit(Fence::Open, &batch(0)).await.expect("commits")),
            [CONFIRMED; 3]
        );
        store.close().await;
    })
    .await;
    on_sqlite(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)]))
            .await
            .expect("applies");
        let impatient = StoreConfig { acquire_timeout: Duration::from_millis(1_500), ..config() };
        let store = harness.open(impatient).await;
        let mut holder = harness.begin("UPDATE sale_skus SET stock_total = 98").await;
        assert!(is_transient(store.commit(Fence::Open, &batch(0)).await));
        assert!(store.find(id(0)).await.expect("readers do not wait for the writer").is_none());
        holder.run("ROLLBACK").await;
        assert_eq!(
            outcomes_of(&store.commit(Fence::Open, &batch(0)).await.expect("commits")),
            [CONFIRMED; 3]
        );
        store.close().await;
    })
    .await;
}

/// After stock was added, an order is guessed to be sold out and fits: its attempt is rolled back and repeated.
#[tokio::test]
async fn wrong_guesses_keep_the_connection() {
    on_mysql(async |harness| {
        harness.store.apply_catalogue(&catalogue(&[("a", 0, Some(1_000))])).await.expect("applies");
        let commit = async |number: u64| {
            let buyer = format!("buyer-{number}");
            let results = harness.store.commit(Fence::Open, &[order(number, &buyer, &[("a", 1)])]).await;
            outcomes_of(&results.expect("commits"))
        };
        assert_eq!(commit(0).await, [SOLD_OUT]);
        let newest =
            "SELECT CAST(MAX(id) AS SIGNED) FROM information_schema.processlist WHERE db = DATABASE()";
        let newest = harness.number(newest).await;
        // Each new session has a greater id.
        let left = format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <= {newest}"
        );
        let before = harness.number(&left).await;
        for number in 1..=100 {
            harness.run("UPDATE sale_skus SET stock_total = stock_total + 1").await;
            assert_eq!(commit(number).await, [CONFIRMED], "{number}");
        }
        assert_eq!(harness.number(&left).await, before, "every session is still there");
    })
    .await;
}

/// The store's own transactions lock in one order; those of another program may not.
#[tokio::test]
async fn the_victim_of_a_deadlock_retries() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)]))
            .await
            .expect("applies");
        let deadlocks = "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status \
             WHERE variable_name = 'INNODB_DEADLOCKS'";
        let before = harness.number(deadlocks).await;
        let update = |sku: &str| {
            format!("UPDATE sale_skus SET stock_total = 98 WHERE sale_id = '{SALE}' AND sku = '{sku}'")
        };
        // The server picks the transaction with fewer writes as victim.
        let rows: Vec<_> = (0..50).map(|number| format!("('other', 'user{number}', 'z', 1)")).collect();
        let write = format!("INSERT INTO user_purchases VALUES {}", rows.join(", "));
        let mut other = harness.begin(&format!("{write}; {}", update("b"))).await;
        let orders = batch(1);
        let meddle = async {
            // The store holds `a` and waits for `b`.
            harness.until_at(AT_THE_STOCK).await;
            other.run(&format!("{}; COMMIT", update("a"))).await;
        };
        let (results, ()) = tokio::join!(harness.store.commit(Fence::Open, &orders), meddle);
        assert_eq!(outcomes_of(&results.expect("commits")), [CONFIRMED; 3]);
        assert!(harness.number(deadlocks).await > before, "there was a deadlock");
    })
    .await;
}

/// Another program inserts the order between the store's SELECT and INSERT; the next run finds it.
#[tokio::test]
async fn a_key_inserted_during_a_transaction_is_found_by_the_retry() {
    on_mysql(async |harness| {
        harness.store.apply_catalogue(&catalogue(&[("a", 99, None)])).await.expect("applies");
        let order_id = hex::encode(id(1).as_bytes());
        let insert = format!(
            "INSERT INTO orders (order_id, sale_id, user_id, payload_digest, state, currency, total_minor, \
             items, catalogue_revision, accepted_at, decided_at) VALUES (X'{order_id}', '{SALE}', 'eve', \
             REPEAT('d', 32), 1, 'CNY', 1, '{{}}', 'r', UTC_TIMESTAMP(), UTC_TIMESTAMP())"
        );
        let mut other = harness.begin(&insert).await;
        let orders = [order(1, "ann", &[("a", 1)])];
        let meddle = async {
            harness.until_at("INSERT INTO orders %").await;
            other.run("COMMIT").await;
        };
        let (results, ()) = tokio::join!(harness.store.commit(Fence::Open, &orders), meddle);
        let stored = shared::order::PayloadDigest::from_bytes([b'd'; 32]);
        assert_eq!(
            outcomes_of(&results.expect("commits")),
            [CommitOutcome::Conflict { stored, outcome: Outcome::Confirmed }]
        );
        assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus").await, 0);
        assert_eq!(harness.store.counts().await.expect("counts").dead_letters_total(), 0);
    })
    .await;
}

/// Two processes may share a file: each waits for the other, and neither fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_share_a_file() {
    on_sqlite(async |harness| {
        let catalogue = catalogue(&[("a", 150, None), ("b", 999, None)]);
        harness.store.apply_catalogue(&catalogue).await.expect("applies");
        let second = harness.open(config()).await;
        let all = async |store: &drain_worker::store::Store| {
            for number in 0..60 {
                store.commit(Fence::Open, &batch(number * 10)).await.expect("waits for the lock");
            }
        };
        tokio::join!(all(&harness.store), all(&second));
        let counts = harness.store.counts().await.expect("counts");
        assert_eq!((counts.orders(), counts.confirmed), (180, 150));
        second.close().await;
    })
    .await;
}
