//! Throughput of commits, compared with inserting the same rows without decisions.
//!
//! `cargo test --release -p drain-worker --test store throughput -- --ignored --nocapture`

use drain_worker::store::{Fence, OrderStore, Store, StoreConfig};
use futures_util::future::join_all;
use shared::order::AcceptedOrder;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{MySql, QueryBuilder};
use tokio::time::Instant;

use crate::harness::{Harness, on_mysql, on_sqlite};
use crate::orders::{catalogue, order};

const COMMITTERS: u64 = 4;
const BATCH: u64 = 200;
const BATCHES: u64 = 100;

/// Batches of single-line orders for each committer, over these SKUs; numbers from `first` on.
fn batches(first: u64, skus: &[String]) -> Vec<Vec<Vec<AcceptedOrder>>> {
    let batch = |committer: u64, batch: u64| {
        let base = first + (committer * BATCHES + batch) * BATCH;
        (base..base + BATCH)
            .map(|number| {
                // Distributed like real ids, which are hashes.
                let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                order(spread, &format!("user{number}"), &[(&skus[number as usize % skus.len()], 1)])
            })
            .collect()
    };
    (0..COMMITTERS).map(|committer| (0..BATCHES).map(|number| batch(committer, number)).collect()).collect()
}

fn report(what: &str, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let orders = (COMMITTERS * BATCHES * BATCH) as f64;
    let batch_ms = seconds * 1_000.0 / BATCHES as f64;
    println!("{what:<44} {:>8.0} orders/s, {batch_ms:>6.1} ms a batch of {BATCH}", orders / seconds);
}

async fn commit(what: &str, store: &Store, batches: &[Vec<Vec<AcceptedOrder>>]) {
    let began = Instant::now();
    join_all(batches.iter().map(async |mine| {
        for batch in mine {
            let results = store.commit(Fence::Open, batch).await.expect("commits");
            assert_eq!(results.len(), batch.len());
        }
    }))
    .await;
    report(what, began);
}

async fn measure(harness: &Harness) {
    let names: Vec<_> = (0..64).map(|number| format!("sku{number}")).collect();
    let terms = |limit| names.iter().map(|name| (name.as_str(), 900_000_000, limit)).collect::<Vec<_>>();
    let store = harness.open(StoreConfig::default()).await;
    store.apply_catalogue(&catalogue(&terms(None))).await.expect("applies");
    // Each shape prepares two statements; the warm-up excludes that from the runs.
    commit("(warm-up)", &store, &batches(1 << 40, &names)).await;

    let spread = batches(0, &names);
    commit("64 SKUs, no limit", &store, &spread).await;
    commit("64 SKUs, all delivered again", &store, &spread).await;
    commit("1 SKU, no limit", &store, &batches(1 << 32, &names[..1])).await;
    store.apply_catalogue(&catalogue(&terms(Some(5)))).await.expect("applies");
    commit("64 SKUs, with a limit", &store, &batches(2 << 32, &names)).await;
    commit("1 SKU, with a limit", &store, &batches(3 << 32, &names[..1])).await;
    store.apply_catalogue(&catalogue(&[("none", 0, None)])).await.expect("applies");
    commit("1 SKU, sold out", &store, &batches(4 << 32, &["none".to_owned()])).await;
    store.close().await;
}

/// The same rows in the same two tables, on as many connections.
async fn insert_only(harness: &Harness) {
    let pool =
        MySqlPoolOptions::new().max_connections(4).connect(harness.url.expose()).await.expect("connects");
    let names: Vec<_> = (0..64).map(|number| format!("sku{number}")).collect();
    for what in ["(warm-up)", "INSERT into the two tables, nothing else"] {
        harness.run("TRUNCATE orders; TRUNCATE order_items").await;
        let batches = batches(0, &names);
        let began = Instant::now();
        join_all(batches.iter().map(async |mine| {
            let mut connection = pool.acquire().await.expect("connects");
            for batch in mine {
                sqlx::raw_sql("BEGIN").execute(&mut *connection).await.expect("begins");
                insert_orders(batch).build().execute(&mut *connection).await.expect("inserts");
                insert_items(batch).build().execute(&mut *connection).await.expect("inserts");
                sqlx::raw_sql("COMMIT").execute(&mut *connection).await.expect("commits");
            }
        }))
        .await;
        report(what, began);
    }
    pool.close().await;
}

fn insert_orders(batch: &[AcceptedOrder]) -> QueryBuilder<MySql> {
    let mut insert = QueryBuilder::new(
        "INSERT INTO orders (order_id, sale_id, user_id, payload_digest, state, reason, currency, total_minor, \
         shipping_address, client_reference, catalogue_revision, traceparent, accepted_at, decided_at) ",
    );
    insert.push_values(batch, |mut row, order| {
        row.push_bind(order.order_id.as_bytes().to_vec())
            .push_bind(order.sale_id.as_str().to_owned())
            .push_bind(order.user_id.as_str().to_owned())
            .push_bind(order.digest.as_bytes().to_vec())
            .push_bind("confirmed")
            .push_bind(None::<String>)
            .push_bind(order.currency.as_str().to_owned())
            .push_bind(order.total_minor())
            .push_bind(format!(
                "{{\"line1\": \"{}\", \"padding\": \"{:120}\"}}",
                order.shipping_address.line1.as_str(),
                ""
            ))
            .push_bind("basket")
            .push_bind(order.catalogue_revision.clone())
            .push_bind(order.traceparent.as_ref().map(|parent| parent.as_str().to_owned()))
            .push_bind("2026-11-11 00:00:00.123")
            .push("UTC_TIMESTAMP(6)");
    });
    insert
}

fn insert_items(batch: &[AcceptedOrder]) -> QueryBuilder<MySql> {
    let mut insert =
        QueryBuilder::new("INSERT INTO order_items (order_id, sku, quantity, unit_price_minor) ");
    insert.push_values(batch, |mut row, order| {
        row.push_bind(order.order_id.as_bytes().to_vec())
            .push_bind(order.items[0].sku.as_str().to_owned())
            .push_bind(1)
            .push_bind(order.items[0].unit_price_minor);
    });
    insert
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: needs a release build and an idle machine"]
async fn on_mariadb() {
    on_mysql(insert_only).await;
    on_mysql(measure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: needs a release build and an idle machine"]
async fn on_an_sqlite_file() {
    on_sqlite(measure).await;
}
