//! Buyers' lookups beside operators' queries.

use std::num::NonZeroU32;
use std::time::Duration;

use drain_worker::store::{Fence, OrderStore, StoreConfig};
use tokio::time::{Instant, sleep};

use crate::harness::{config, on_mysql};
use crate::orders::{batch, catalogue, id, is_transient};

const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_queries_of_operators_leave_buyers_a_connection() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)]))
            .await
            .expect("applies");
        harness.store.commit(Fence::Open, &batch(0)).await.expect("commits");
        let store = harness.open(StoreConfig { readers_max: TWO, ..config() }).await;
        let mut other = harness.begin("LOCK TABLES drain_audit WRITE").await;
        let operators = async {
            let queries = (0..8).map(|_| store.list_audit("drain", None, 5));
            futures_util::future::join_all(queries).await
        };
        let buyer = async {
            harness.until_at("SELECT%drain_audit%").await;
            let began = Instant::now();
            assert!(store.find(id(0)).await.expect("reads").is_some());
            let took = began.elapsed();
            other.run("UNLOCK TABLES").await;
            took
        };
        let (listed, took) = tokio::join!(operators, buyer);
        // Behind the operators' queries it would fail after the lookup timeout, 5 s.
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert!(listed.iter().all(Result::is_ok), "they wait their turn");
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_take_longer_than_a_lookup_may() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)]))
            .await
            .expect("applies");
        harness.store.commit(Fence::Open, &batch(0)).await.expect("commits");
        let lookup_timeout = Duration::from_millis(500);
        let store = harness.open(StoreConfig { lookup_timeout, ..config() }).await;
        let mut other = harness.begin("LOCK TABLES orders WRITE").await;
        let release = async {
            harness.until_at("%COUNT(*) FROM orders%").await;
            sleep(lookup_timeout * 3).await;
            other.run("UNLOCK TABLES").await;
        };
        let (counts, ()) = tokio::join!(store.counts(), release);
        assert_eq!(counts.expect("counts").orders(), 3);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_ends_totals_that_take_too_long() {
    on_mysql(async |harness| {
        let store = harness.open(StoreConfig { totals_timeout: Duration::from_secs(1), ..config() }).await;
        let mut other = harness.begin("LOCK TABLES orders WRITE").await;
        let began = Instant::now();
        assert!(is_transient(store.counts().await));
        assert!(began.elapsed() < Duration::from_secs(5), "the server answers first: {:?}", began.elapsed());
        let running = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() \
             AND info LIKE '%COUNT(*) FROM orders%' AND id <> CONNECTION_ID()";
        assert_eq!(harness.number(running).await, 0, "the server does not go on");
        other.run("UNLOCK TABLES").await;
        store.close().await;
    })
    .await;
}
