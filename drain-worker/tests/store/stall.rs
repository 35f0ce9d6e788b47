//! A worker that stalls during a transaction: its locks end with the server's timeout.

use std::time::Duration;

use drain_worker::store::{CommitOutcome, Fence, OrderStore, StoreConfig, StoreError};
use shared::order::Outcome;

use crate::harness::{AT_THE_STOCK, Harness, address, config, on_mysql, on_passthrough};
use crate::orders::{CONFIRMED, SALE, catalogue, id, is_transient, order, outcomes_of};
use crate::relay::{Relay, Rule};

/// Far longer than the test: without the server's timeout the locks would remain.
const NEVER: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_releases_the_locks_of_a_stalled_worker() {
    on_mysql(async |harness| locks_end_with_a_stalled_session(harness).await).await;
}

/// The proxy's own time-outs are longer than the test: the bound is the session's, which reaches the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_releases_the_locks_of_a_worker_that_stalls_behind_a_proxy() {
    on_passthrough(async |harness| locks_end_with_a_stalled_session(harness).await).await;
}

async fn locks_end_with_a_stalled_session(harness: &Harness) {
    harness.store.apply_catalogue(&catalogue(&[("a", 99, None)])).await.expect("applies");
    let (server, database) = harness.url.expose().rsplit_once('/').expect("a database");
    let (credentials, place) = server.rsplit_once('@').expect("an account");
    let relay = Relay::before(place.to_owned()).await;
    let url = address(&format!("{credentials}@{}/{database}", relay.address));
    let config = StoreConfig {
        stall_timeout: Duration::from_secs(2),
        transaction_timeout: NEVER,
        writers_max: std::num::NonZeroU32::MIN,
        ..config()
    };
    let stalled = drain_worker::store::Store::connect(&url, config).await.expect("a valid address");
    // It waits for the stock's lock …
    let mut holder = harness
        .begin(&format!("UPDATE sale_skus SET stock_total = 98 WHERE sale_id = '{SALE}' AND sku = 'a'"))
        .await;
    let orders = [order(1, "ann", &[("a", 1)])];
    let stalling = async {
        harness.until_at(AT_THE_STOCK).await;
        // … acquires it, and sends nothing from then on, as a stopped process.
        relay.set(Rule::Stall);
        holder.run("COMMIT").await;
        // Another worker commits the same SKU and the same order, whose message was redelivered meanwhile.
        let mine = [order(2, "bob", &[("a", 1)]), order(1, "ann", &[("a", 1)])];
        // An attempt waits for a lock for two seconds.
        loop {
            match harness.store.commit(Fence::Open, &mine).await {
                Err(StoreError::Locked { .. }) => {}
                result => return result.expect("the server releases the locks"),
            }
        }
    };
    let (cut_off, results) = tokio::join!(stalled.commit(Fence::Open, &orders), stalling);
    assert!(is_transient(cut_off), "the server has ended the session");
    assert_eq!(outcomes_of(&results), [CONFIRMED; 2], "the stalled transaction is rolled back");
    assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus").await, 2);

    // When it resumes, its session is gone, and it reads the other worker's result.
    relay.set(Rule::Pass);
    relay.cut_all();
    let results = stalled.commit(Fence::Open, &orders).await;
    assert_eq!(
        outcomes_of(&results.expect("on another connection")),
        [CommitOutcome::Duplicate(Outcome::Confirmed)]
    );
    assert!(harness.store.find(id(1)).await.expect("reads").is_some());
    stalled.close().await;
}

/// The pool closes idle connections before the server would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_closed_before_the_server_closes_them() {
    on_mysql(async |harness| {
        harness.store.apply_catalogue(&catalogue(&[("a", 99, None)])).await.expect("applies");
        // The pool closes them after a third of that; the server by itself would after nine seconds.
        let config = StoreConfig { stall_timeout: Duration::from_secs(9), ..config() };
        let store = harness.open(config).await;
        // The harness's store has its own connections, with a longer timeout.
        harness.store.close().await;
        store.commit(Fence::Open, &[order(1, "ann", &[("a", 1)])]).await.expect("commits");
        // The test's own sessions poll and are never idle for a second.
        let idle = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND command = 'Sleep' \
             AND time >= 1";
        let longest = "SELECT CAST(COALESCE(MAX(time), 0) AS SIGNED) FROM information_schema.processlist WHERE db = DATABASE() \
             AND command = 'Sleep'";
        while harness.number(idle).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut most_idle_s = 0;
        while harness.number(idle).await > 0 {
            most_idle_s = most_idle_s.max(harness.number(longest).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(most_idle_s < 9, "the pool closes first: idle for {most_idle_s} s");
        store.commit(Fence::Open, &[order(2, "bob", &[("a", 1)])]).await.expect("connects again");
        store.close().await;
    })
    .await;
}
