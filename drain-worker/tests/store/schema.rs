//! The schema: migrations, version check, constraints.

use drain_worker::store::{Fence, OrderStore, SchemaError, Store, StoreError};
use futures_util::future::join_all;

use crate::harness::{Harness, config, on_mysql, on_sqlite};
use crate::orders::{CONFIRMED, REFUSED, catalogue, order, outcomes_of};

const VERSION: i64 = 4;

async fn versions(harness: &Harness) {
    let store = &harness.store;
    let error = async || match store.check_schema().await {
        Err(StoreError::Schema(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(store.check_schema().await.expect("is there"), VERSION);
    store.migrate().await.expect("no migration to apply");
    harness.run("UPDATE _sqlx_migrations SET success = 0 WHERE version = 2").await;
    assert_eq!(error().await, SchemaError::HalfWay { version: 2 });
    assert!(matches!(store.migrate().await, Err(StoreError::Schema(SchemaError::HalfWay { version: 2 }))));
    harness.run("UPDATE _sqlx_migrations SET success = 1, checksum = 'x' WHERE version = 2").await;
    assert_eq!(error().await, SchemaError::Changed { version: 2 });
    assert!(matches!(store.migrate().await, Err(StoreError::Schema(SchemaError::Changed { version: 2 }))));
    harness.run("DELETE FROM _sqlx_migrations WHERE version > 1").await;
    assert_eq!(error().await, SchemaError::Behind { found: 1, needed: VERSION });
    harness.run("DELETE FROM _sqlx_migrations").await;
    assert_eq!(error().await, SchemaError::Missing);

    for table in [
        "sale_skus",
        "user_purchases",
        "orders",
        "order_conflicts",
        "dead_letters",
        "dead_letter_changes",
        "drain_groups",
        "drain_leases",
        "drain_fences",
        "drain_audit",
    ] {
        harness.run(&format!("DROP TABLE {table}")).await;
    }
    harness.run("DROP TABLE _sqlx_migrations").await;
    assert_eq!(error().await, SchemaError::Missing);
    assert!(matches!(
        store.commit(Fence::Open, &[order(1, "ann", &[("a", 1)])]).await,
        Err(StoreError::Fatal(_))
    ));
    let text = error().await.to_string();
    assert!(text.contains("drain-worker migrate"), "{text}");

    // Several workers that start together migrate together.
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(harness.open(config()).await);
    }
    let migrated = join_all(stores.iter().map(Store::migrate)).await;
    assert!(migrated.iter().all(Result::is_ok), "{migrated:?}");
    assert_eq!(store.check_schema().await.expect("is there"), VERSION);
    for store in stores {
        store.close().await;
    }
    // A newer schema is accepted: the migration runs before the newer program is deployed.
    harness
        .run("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9, 'x', 1, 'x', 1)")
        .await;
    assert_eq!(store.check_schema().await.expect("is there"), 9);
}

/// Some servers parse constraints and ignore them.
#[tokio::test]
async fn a_server_without_check_constraints_is_refused() {
    on_mysql(async |harness| {
        harness.run("ALTER TABLE sale_skus DROP CONSTRAINT sale_skus_never_oversold").await;
        let result = harness.store.check_schema().await;
        assert!(
            matches!(&result, Err(StoreError::Fatal(detail)) if detail.what.contains("CHECK")),
            "{result:?}"
        );
        assert_eq!(harness.number("SELECT COUNT(*) FROM sale_skus").await, 0, "the probe leaves nothing");
    })
    .await;
}

#[tokio::test]
async fn versions_are_checked_on_sqlite() {
    on_sqlite(versions).await;
}

#[tokio::test]
async fn versions_are_checked_on_mysql() {
    on_mysql(versions).await;
}

/// Strict mode: a value that does not fit is rejected, not truncated.
#[tokio::test]
async fn values_are_never_truncated() {
    on_mysql(async |harness| {
        let store = &harness.store;
        store.apply_catalogue(&catalogue(&[("a", 9, None)])).await.expect("applies");
        harness.run("ALTER TABLE orders MODIFY client_reference VARCHAR(4)").await;
        let mut short = order(2, "bob", &[("a", 1)]);
        short.client_reference = None;
        let batch = [order(1, "ann", &[("a", 1)]), short, order(3, "ann", &[("a", 1)])];
        let results = store.commit(Fence::Open, &batch).await.expect("commits");
        assert_eq!(outcomes_of(&results), [REFUSED, CONFIRMED, REFUSED]);
        let letters = harness.letters().await;
        assert_eq!(letters.len(), 2);
        assert_eq!(letters[0].head.detail, "insert orders: a value is too long (client_reference) [1406]");
    })
    .await;
}

/// The constraint is the last defence: even without the locks, stock is not oversold.
async fn the_table_itself_refuses_to_oversell(harness: &Harness) {
    harness.store.apply_catalogue(&catalogue(&[("a", 9, None)])).await.expect("applies");
    for text in ["UPDATE sale_skus SET stock_reserved = 10", "UPDATE sale_skus SET stock_reserved = -1"] {
        harness.refuses(text).await;
    }
    harness
        .refuses("INSERT INTO sale_skus (sale_id, sku, stock_total, per_user_limit) VALUES ('s', 'k', 1, 0)")
        .await;
}

#[tokio::test]
async fn constraints_hold_on_sqlite() {
    on_sqlite(the_table_itself_refuses_to_oversell).await;
}

#[tokio::test]
async fn constraints_hold_on_mysql() {
    on_mysql(the_table_itself_refuses_to_oversell).await;
}
