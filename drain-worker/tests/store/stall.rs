//! A worker that stops in mid-transaction: its locks must not outlive the server's patience.

use std::time::Duration;

use drain_worker::store::{CommitOutcome, Fence, OrderStore, StoreConfig};
use shared::order::Outcome;

use crate::harness::{AT_THE_STOCK, address, config, on_mysql};
use crate::orders::{CONFIRMED, SALE, catalogue, id, is_transient, order, outcomes_of};
use crate::relay::{Relay, Rule};

/// Far longer than the test: without the server's bound nobody would free the locks.
const NEVER: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_frees_what_a_stalled_worker_has_locked() {
    on_mysql(async |harness| {
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
            // … gets it, and says nothing more from then on, as a process does that was stopped.
            relay.set(Rule::Stall);
            holder.run("COMMIT").await;
            // Another worker wants the same SKU, and the same order besides: that one's message was hidden by the first,
            // and has come back meanwhile.
            let mine = [order(2, "bob", &[("a", 1)]), order(1, "ann", &[("a", 1)])];
            harness.store.commit(Fence::Open, &mine).await.expect("the server frees the locks")
        };
        let (cut_off, results) = tokio::join!(stalled.commit(Fence::Open, &orders), stalling);
        assert!(is_transient(cut_off), "the server has ended the session");
        assert_eq!(outcomes_of(&results), [CONFIRMED; 2], "what was stalled is rolled back");
        assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus").await, 2);

        // Once it goes on it finds its session gone, and reads what the other has done.
        relay.set(Rule::Pass);
        relay.cut_all();
        let results = stalled.commit(Fence::Open, &orders).await;
        assert_eq!(
            outcomes_of(&results.expect("on another connection")),
            [CommitOutcome::Duplicate(Outcome::Confirmed)]
        );
        assert!(harness.store.find(id(1)).await.expect("reads").is_some());
        stalled.close().await;
    })
    .await;
}

/// Idle connections are closed by the pool before the server would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_given_up_before_the_server_ends_them() {
    on_mysql(async |harness| {
        harness.store.apply_catalogue(&catalogue(&[("a", 99, None)])).await.expect("applies");
        // The pool's part of it is a second; the server by itself would wait all three.
        let config = StoreConfig { stall_timeout: Duration::from_secs(3), ..config() };
        let store = harness.open(config).await;
        // It has connections of its own, with a longer patience.
        harness.store.close().await;
        store.commit(Fence::Open, &[order(1, "ann", &[("a", 1)])]).await.expect("commits");
        // The test's own sessions ask all the time and are never idle for a second.
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
        assert!(most_idle_s < 3, "the pool was first: idle for {most_idle_s} s");
        store.commit(Fence::Open, &[order(2, "bob", &[("a", 1)])]).await.expect("connects again");
        store.close().await;
    })
    .await;
}
