//! Applying a catalogue to stock and limits.

use drain_worker::control::AuditContext;
use drain_worker::store::{CatalogueChanges, Fence, OrderStore, StoreError};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::Harness;
use crate::orders::{CONFIRMED, OVER_LIMIT, catalogue, catalogue_of, order, order_in, outcomes_of};

fn changes(added: u64, changed: u64, unchanged: u64) -> CatalogueChanges {
    CatalogueChanges { added, changed, unchanged }
}

pub(crate) async fn a_catalogue_is_applied_repeatedly(harness: &Harness) {
    let store = &harness.store;
    let first = catalogue(&[("a", 5, None), ("b", 5, Some(2))]);
    assert_eq!(store.apply_catalogue(&first).await.expect("applies"), changes(2, 0, 0));
    assert_eq!(store.apply_catalogue(&first).await.expect("applies"), changes(0, 0, 2));
    store.commit(Fence::Open, &[order(1, "ann", &[("a", 4)])]).await.expect("commits");
    assert_eq!(store.apply_catalogue(&first).await.expect("applies"), changes(0, 0, 2));
    // More stock, another limit, one more SKU; SKUs that are not named stay.
    let second = catalogue(&[("a", 7, None), ("b", 5, Some(1)), ("c", 1, None)]);
    assert_eq!(store.apply_catalogue(&second).await.expect("applies"), changes(1, 2, 0));
    assert_eq!(
        store.apply_catalogue(&catalogue(&[("c", 1, None)])).await.expect("applies"),
        changes(0, 0, 1)
    );
    let stock = store.stock().await.expect("reads");
    let seen: Vec<_> = stock.iter().map(|sku| (sku.total, sku.reserved, sku.per_user_limit)).collect();
    assert_eq!(seen, [(7, 4, None), (5, 0, Some(1)), (1, 0, None)]);

    // Several workers that start together apply it together.
    let skus: Vec<_> = (0..700).map(|number| format!("sku{number}")).collect();
    let skus: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 3, None)).collect();
    let big = catalogue_of(&[("big", &skus), ("small", &[("a", 1, None)])]);
    let applied = join_all((0..4).map(|_| store.apply_catalogue(&big))).await;
    assert!(applied.iter().all(Result::is_ok), "{applied:?}");
    assert_eq!(
        harness.number("SELECT COUNT(*) FROM sale_skus WHERE sale_id = 'big' AND stock_total = 3").await,
        700
    );
}

pub(crate) async fn changes_of_stock_are_on_the_audit_trail(harness: &Harness) {
    let store = &harness.store;
    let ann =
        AuditContext { who: "ann".to_owned(), reason: "more stock".to_owned(), ..AuditContext::default() };
    for terms in [[("a", 5, None), ("b", 5, Some(2))], [("a", 7, None), ("b", 5, Some(2))]] {
        store.apply_catalogue_audited(&catalogue(&terms), "drain", &ann).await.expect("applies");
        // Applied again it changes nothing, and is no act.
        store.apply_catalogue_audited(&catalogue(&terms), "drain", &ann).await.expect("applies");
    }
    let audit = store.list_audit("drain", None, 9).await.expect("reads");
    let details: Vec<_> = audit.iter().map(|entry| entry.detail.as_str()).collect();
    assert_eq!(details, ["0 SKUs added, 1 changed", "2 SKUs added, 0 changed"]);
    assert_eq!((audit[0].action.as_str(), audit[0].who.as_str()), ("catalogue_applied", "ann"));
    let sale = catalogue(&[("a", 1, None)]).sales().next().expect("a sale").id.to_string();
    let of_a = |value: &Option<Value>| value.as_ref().expect("a value")[&sale]["a"].clone();
    assert_eq!(of_a(&audit[0].before), json!({"stock": 5, "per_user_limit": null}));
    assert_eq!(of_a(&audit[0].after), json!({"stock": 7, "per_user_limit": null}));
    assert_eq!(of_a(&audit[1].before), Value::Null);
}

pub(crate) async fn stock_never_falls_below_the_reserved_quantity(harness: &Harness) {
    let store = &harness.store;
    store
        .apply_catalogue(&catalogue(&[("a", 5, None), ("b", 5, None), ("c", 5, None)]))
        .await
        .expect("applies");
    store.commit(Fence::Open, &[order(1, "ann", &[("a", 3), ("b", 2)])]).await.expect("commits");
    let low = catalogue(&[("a", 2, None), ("b", 1, None), ("c", 0, None), ("d", 1, None)]);
    let Err(StoreError::Catalogue { faults }) = store.apply_catalogue(&low).await else { panic!("rejected") };
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("sku a") && faults[1].contains("sku b"), "{faults:?}");
    let totals: Vec<_> = store.stock().await.expect("reads").iter().map(|sku| sku.total).collect();
    assert_eq!(totals, [5, 5, 5], "no part is applied");
    // Stock may fall to the reserved quantity: the sale ends there.
    let exact = catalogue(&[("a", 3, None), ("b", 2, None), ("c", 0, None)]);
    assert_eq!(store.apply_catalogue(&exact).await.expect("applies"), changes(0, 3, 0));
}

pub(crate) async fn a_limit_set_during_a_sale_counts_earlier_orders(harness: &Harness) {
    let store = &harness.store;
    let two =
        |limit| catalogue_of(&[("one", &[("a", 50, limit), ("b", 50, None)]), ("two", &[("a", 50, None)])]);
    let buy =
        |sale: &str, number: u64, user: &str, quantity: u32| order_in(sale, number, user, &[("a", quantity)]);
    store.apply_catalogue(&two(None)).await.expect("applies");
    let batch = [
        buy("one", 1, "ann", 2),
        buy("one", 2, "ann", 1),
        buy("two", 3, "ann", 9),
        buy("one", 4, "bob", 1),
        order_in("one", 5, "bob", &[("b", 9)]),
        buy("one", 6, "cyd", 60),
    ];
    store.commit(Fence::Open, &batch).await.expect("commits");
    assert_eq!(harness.number("SELECT COUNT(*) FROM user_purchases").await, 0);

    store.apply_catalogue(&two(Some(3))).await.expect("applies");
    let batch =
        [buy("one", 7, "ann", 1), buy("one", 8, "bob", 2), buy("one", 9, "cyd", 3), buy("two", 10, "ann", 9)];
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    assert_eq!(outcomes_of(&results), [OVER_LIMIT, CONFIRMED, CONFIRMED, CONFIRMED]);

    // Limit removed, more bought, limit restored.
    store.apply_catalogue(&two(None)).await.expect("applies");
    store.commit(Fence::Open, &[buy("one", 11, "bob", 4)]).await.expect("commits");
    store.apply_catalogue(&two(Some(8))).await.expect("applies");
    let results = store
        .commit(Fence::Open, &[buy("one", 12, "bob", 2), buy("one", 13, "bob", 1)])
        .await
        .expect("commits");
    assert_eq!(outcomes_of(&results), [OVER_LIMIT, CONFIRMED]);
    let sum = "SELECT CAST(SUM(quantity) AS SIGNED) FROM user_purchases";
    assert_eq!(harness.number(&format!("{sum} WHERE user_id = 'bob'")).await, 8);
}
