//! Orders whose stock another transaction has locked.

use std::time::Duration;

use drain_worker::control::AuditContext;
use drain_worker::init::init;
use drain_worker::pipeline::BreakerState;
use drain_worker::store::{Store, StoreConfig};
use shared::order::AcceptedOrder;
use shared::testkit::{GROUP, SALE, TOPIC, TestDatabase, accepted_order, catalogue, eventually};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::time::{Instant, sleep};

use crate::faulty_store::FaultyStore;
use crate::harness::{SKUS, WholeWorker, WorkerFixture, order, orders};
use crate::health::{get, until_ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_sku_delays_its_own_orders_alone() {
    let fixture = WorkerFixture::new().await;
    let store = FaultyStore::new(fixture.store.clone());
    store.locked.lock().expect("no panic").insert("FEW".to_owned());
    // In each message two orders need the locked stock: one alone, one with another SKU.
    let both = |number| {
        let order = accepted_order(number).line("FEW", 1).line("PLENTY", 1).build();
        AcceptedOrder { traceparent: None, ..order }
    };
    for first in [0, 10, 20] {
        let mut message = orders(first..first + 8, "PLENTY");
        message.insert(0, order(first + 8, "FEW"));
        message.push(both(first + 9));
        fixture.publish(&message).await;
    }
    let worker = fixture.worker_on(store.clone()).await;
    eventually("the others are committed", async || fixture.counts().await.orders() == 24).await;
    sleep(Duration::from_secs(2)).await;
    let counts = fixture.counts().await;
    assert_eq!((counts.orders(), counts.dead_letters_total()), (24, 0));
    assert_eq!(worker.breaker.state(), BreakerState::Closed);
    assert_eq!(fixture.broker.unacked().await, 3, "no message is complete");

    store.locked.lock().expect("no panic").clear();
    fixture.drained(30).await;
    assert_eq!(fixture.counts().await.confirmed, 30);
    worker.stop().await.expect("stops gracefully");
}

/// Six messages need locked stock; the worker may hold 20 orders, and half of them may wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_beyond_half_of_what_a_worker_holds_go_back_to_the_broker() {
    let mut fixture = WorkerFixture::new().await;
    fixture.rate = 20;
    let store = FaultyStore::new(fixture.store.clone());
    store.locked.lock().expect("no panic").insert("ONE-EACH".to_owned());
    let stuck: Vec<_> = (0..6).map(|message| 100 + message * 10..110 + message * 10).collect();
    for numbers in stuck {
        fixture.publish(&orders(numbers, "ONE-EACH")).await;
    }
    fixture.publish(&orders(0..40, "PLENTY")).await;
    let worker = fixture.worker_on(store.clone()).await;
    eventually("the others are committed", async || fixture.counts().await.orders() == 40).await;
    let stats = fixture.broker.broker.stats().await.expect("stats");
    let held = stats.group("orders", "drain").map_or(0, |group| group.in_flight);
    assert!(held >= 1, "{held} messages");
    assert_eq!(fixture.counts().await.dead_letters_total(), 0);

    store.locked.lock().expect("no panic").clear();
    fixture.rate = 100_000;
    let second = fixture.worker().await;
    fixture.drained(100).await;
    assert_eq!(fixture.counts().await.dead_letters_total(), 0, "no order is dead for a lock");
    worker.stop().await.expect("stops gracefully");
    second.stop().await.expect("stops gracefully");
}

/// Another program keeps the row of one SKU locked; a whole worker commits the orders of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_locked_in_the_real_database_stops_no_other_sku() {
    let Some(database) = TestDatabase::mysql().await else { return };
    let fixture = WorkerFixture::new().await;
    init(&database.url, &catalogue(&SKUS), fixture.client.clone(), GROUP, TOPIC, &AuditContext::default())
        .await
        .expect("prepared");
    let store = Store::connect(&database.url, StoreConfig::default()).await.expect("a valid address");
    let endpoint = fixture.client.endpoints.to_string();
    let flags = ["run", "--database-url", database.url.expose(), "--rocketmq-endpoint", &endpoint];
    let worker = WholeWorker::start(flags.map(str::to_owned).to_vec()).await;
    until_ready(worker.admin).await;

    let mut other = MySqlConnection::connect(database.url.expose()).await.expect("connects");
    // By the whole key: a scan would lock every row.
    let lock = format!("BEGIN; SELECT * FROM sale_skus WHERE sale_id = '{SALE}' AND sku = 'FEW' FOR UPDATE");
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut other).await.expect("locks the row");
    fixture.publish(&[order(1, "FEW")]).await;
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    fixture.publish(&orders(100..200, "PLENTY")).await;
    let count = async || store.counts().await.expect("counts").orders();
    eventually("the others are committed", async || count().await == 100).await;
    let took = began.elapsed();
    println!("100 orders beside a locked row: {took:?}");
    // A lock wait of two seconds, and slack for a busy machine.
    assert!(took < Duration::from_secs(10), "{took:?}");
    let (status, body) = get(worker.admin, "/readyz").await;
    assert_eq!(status, 200, "{body}");

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("releases it");
    eventually("all are committed", async || count().await == 101).await;
    let letters = store.counts().await.expect("counts").dead_letters_total();
    assert_eq!(letters, 0);
    worker.stop().await;
    store.close().await;
    other.close().await.expect("closes");
    database.remove().await;
}
