//! Outcomes and the rows written for them.

use drain_worker::store::{Fence, OrderStore};
use shared::order::{AddressLine, Sku};

use crate::harness::Harness;
use crate::orders::{
    CONFIRMED, OVER_LIMIT, SALE, SOLD_OUT, catalogue, catalogue_of, order, order_in, outcomes_of,
};

pub(crate) async fn every_outcome_is_written_with_its_items(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 3, Some(2)), ("b", 9, None)])).await.expect("applies");
    let batch = [
        order(1, "ann", &[("a", 2), ("b", 1)]),
        order(2, "ann", &[("a", 1)]),
        order(3, "bob", &[("a", 2)]),
        order(4, "bob", &[("a", 1)]),
    ];
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    assert_eq!(outcomes_of(&results), [CONFIRMED, OVER_LIMIT, SOLD_OUT, CONFIRMED]);
    assert_eq!(
        results.iter().map(|result| result.order_id).collect::<Vec<_>>(),
        batch.map(|order| order.order_id)
    );

    for (query, expected) in [
        ("SELECT COUNT(*) FROM orders", 4),
        ("SELECT COUNT(*) FROM orders WHERE state = 1 AND reason IS NULL", 2),
        ("SELECT COUNT(*) FROM orders WHERE state = 2 AND reason = 2", 1),
        ("SELECT COUNT(*) FROM orders WHERE state = 2 AND reason = 1", 1),
        ("SELECT COUNT(*) FROM orders WHERE (state = 1) = (shipping_address IS NOT NULL)", 4),
        (r#"SELECT COUNT(*) FROM orders WHERE items = '{"a":[2,1999],"b":[1,1999]}'"#, 1),
        (r#"SELECT COUNT(*) FROM orders WHERE items = '{"a":[2,1999]}'"#, 1),
        ("SELECT MAX(total_minor) FROM orders", 3 * 1_999),
        ("SELECT quantity FROM user_purchases WHERE user_id = 'ann'", 2),
        ("SELECT quantity FROM user_purchases WHERE user_id = 'bob'", 1),
        ("SELECT COUNT(*) FROM user_purchases", 2),
        (
            "SELECT COUNT(*) FROM orders WHERE HEX(traceparent) = '4BF92F3577B34DA6A3CE929D0E0E473600F067AA0BA902B701'",
            4,
        ),
        ("SELECT COUNT(*) FROM orders WHERE catalogue_revision = 'r1'", 4),
        ("SELECT COUNT(DISTINCT sequence) FROM orders", 4),
        ("SELECT COUNT(*) FROM orders WHERE client_reference = 'basket \"7\"' AND currency = 'CNY'", 4),
    ] {
        assert_eq!(harness.number(query).await, expected, "{query}");
    }
    let accepted = harness.text("SELECT CAST(accepted_at AS CHAR) FROM orders LIMIT 1").await;
    assert_eq!(accepted, "2026-11-11 00:00:00.123", "UTC, to the millisecond");
}

pub(crate) async fn an_order_is_confirmed_whole_or_not_at_all(harness: &Harness) {
    let store = &harness.store;
    store
        .apply_catalogue(&catalogue(&[("a", 5, None), ("b", 1, None), ("c", 5, Some(1))]))
        .await
        .expect("applies");
    let batch = [
        order(1, "ann", &[("a", 1), ("b", 1), ("c", 1)]),
        order(2, "bob", &[("a", 1), ("b", 1)]),
        order(3, "ann", &[("a", 1), ("c", 1)]),
        order(4, "bob", &[("a", 4)]),
    ];
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    assert_eq!(outcomes_of(&results), [CONFIRMED, SOLD_OUT, OVER_LIMIT, CONFIRMED]);
    let reserved: Vec<_> = store.stock().await.expect("reads").iter().map(|stock| stock.reserved).collect();
    assert_eq!(reserved, [5, 1, 1]);
}

pub(crate) async fn the_last_unit_goes_to_the_first_order(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 10, None)])).await.expect("applies");
    let results = store.commit(Fence::Open, &[order(1, "ann", &[("a", 9)])]).await.expect("commits");
    assert_eq!(outcomes_of(&results), [CONFIRMED]);
    let batch = [order(2, "bob", &[("a", 2)]), order(3, "cyd", &[("a", 1)]), order(4, "dan", &[("a", 1)])];
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    assert_eq!(outcomes_of(&results), [SOLD_OUT, CONFIRMED, SOLD_OUT]);
    assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus").await, 10);
}

pub(crate) async fn limits_hold_within_a_batch_and_across_batches(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 100, Some(3)), ("b", 100, None)])).await.expect("applies");
    let batch = [
        order(1, "ann", &[("a", 2)]),
        order(2, "ann", &[("a", 2)]),
        order(3, "bob", &[("a", 3), ("b", 50)]),
        order(4, "ann", &[("a", 1), ("b", 1)]),
    ];
    assert_eq!(
        outcomes_of(&store.commit(Fence::Open, &batch).await.expect("commits")),
        [CONFIRMED, OVER_LIMIT, CONFIRMED, CONFIRMED]
    );
    let batch = [
        order(5, "ann", &[("a", 1)]),
        order(6, "bob", &[("a", 1), ("b", 1)]),
        order(7, "cyd", &[("a", 3)]),
        order(8, "bob", &[("b", 10)]),
    ];
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    assert_eq!(outcomes_of(&results), [OVER_LIMIT, OVER_LIMIT, CONFIRMED, CONFIRMED]);
    assert_eq!(harness.number("SELECT COUNT(*) FROM user_purchases WHERE quantity = 3").await, 3);
    assert_eq!(
        harness.number("SELECT COUNT(*) FROM user_purchases WHERE sku = 'b'").await,
        0,
        "b has no limit"
    );
}

pub(crate) async fn several_sales_in_one_batch_keep_apart(harness: &Harness) {
    let store = &harness.store;
    let skus: &[_] = &[("a", 2, Some(1))];
    store
        .apply_catalogue(&catalogue_of(&[("one", skus), ("two", skus), ("three", skus)]))
        .await
        .expect("applies");
    let batch: Vec<_> = ["two", "one", "three", "two", "one", "two"]
        .into_iter()
        .zip(["ann", "ann", "ann", "ann", "bob", "bob"])
        .zip(1..)
        .map(|((sale, user), number)| order_in(sale, number, user, &[("a", 1)]))
        .collect();
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    assert_eq!(outcomes_of(&results), [CONFIRMED, CONFIRMED, CONFIRMED, OVER_LIMIT, CONFIRMED, CONFIRMED]);
    let reserved: Vec<_> = store.stock().await.expect("reads").iter().map(|stock| stock.reserved).collect();
    assert_eq!(reserved, [2, 1, 2], "one, three, two");
}

pub(crate) async fn ids_are_case_sensitive(harness: &Harness) {
    let store = &harness.store;
    let skus: &[_] = &[("Tea", 5, Some(1)), ("tea", 5, Some(1))];
    store.apply_catalogue(&catalogue_of(&[("Sale", skus), ("sale", skus)])).await.expect("applies");
    let mut batch = Vec::new();
    for sale in ["Sale", "sale"] {
        for user in ["Ann", "ann"] {
            for sku in ["Tea", "tea"] {
                batch.push(order_in(sale, batch.len() as u64, user, &[(sku, 1)]));
            }
        }
    }
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    assert_eq!(outcomes_of(&results), [CONFIRMED; 8]);
    assert_eq!(harness.number("SELECT COUNT(*) FROM user_purchases").await, 8);
    assert_eq!(harness.number("SELECT COUNT(*) FROM sale_skus WHERE stock_reserved = 2").await, 4);
    let results =
        store.commit(Fence::Open, &[order_in("sale", 9, "ann", &[("tea", 1)])]).await.expect("commits");
    assert_eq!(outcomes_of(&results), [OVER_LIMIT]);
}

pub(crate) async fn addresses_keep_every_character(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 5, None)])).await.expect("applies");
    let text = "家🏮👨‍👩‍👧 \"quoted\" \\ back 'single' % _ ; -- é Ω";
    let mut odd = order(1, "ann", &[("a", 1)]);
    odd.shipping_address.line1 = AddressLine::parse(text).expect("valid");
    odd.shipping_address.line2 = Some(AddressLine::parse(&"𠮷".repeat(200)).expect("valid"));
    assert_eq!(outcomes_of(&store.commit(Fence::Open, &[odd]).await.expect("commits")), [CONFIRMED]);
    let stored = harness.text("SELECT shipping_address FROM orders").await;
    let lines: Vec<_> = stored.split('\n').collect();
    assert_eq!(lines.len(), 8);
    assert_eq!((lines[1], lines[2], lines[3]), (text, "𠮷".repeat(200).as_str(), "上海"));
}

pub(crate) async fn a_batch_of_a_thousand_orders_is_decided_whole(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 700, Some(1))])).await.expect("applies");
    // Every tenth order is a second one of its buyer.
    let user = |number: u64| format!("user{}", if number % 10 == 9 { number - 1 } else { number });
    let batch: Vec<_> = (0..1_000).map(|number| order(number, &user(number), &[("a", 1)])).collect();
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    let counts = store.counts().await.expect("counts");
    assert_eq!(results.len(), 1_000);
    assert_eq!((counts.confirmed, counts.orders()), (700, 1_000));
    assert_eq!(harness.number("SELECT COUNT(*) FROM orders WHERE items LIKE '{\"a\":%'").await, 1_000);
    assert_eq!(harness.number("SELECT COUNT(*) FROM user_purchases").await, 700);
    assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus").await, 700);
    let again = store.commit(Fence::Open, &batch).await.expect("commits");
    assert!(
        again.iter().all(|result| matches!(result.outcome, drain_worker::store::CommitOutcome::Duplicate(_)))
    );
    assert_eq!(store.counts().await.expect("counts"), counts);
}

pub(crate) async fn many_lines_of_many_skus_are_written(harness: &Harness) {
    let store = &harness.store;
    let names: Vec<_> = (0..600).map(|number| format!("sku-{number:03}")).collect();
    let skus: Vec<_> = names.iter().map(|name| (name.as_str(), 1_000, Some(10))).collect();
    store.apply_catalogue(&catalogue(&skus)).await.expect("applies");
    let batch: Vec<_> = (0..60_usize)
        .map(|number| {
            let lines: Vec<_> = (0..20).map(|line| (names[(number * 20 + line) % 600].as_str(), 2)).collect();
            order(number as u64, "ann", &lines)
        })
        .collect();
    let results = store.commit(Fence::Open, &batch).await.expect("commits");
    assert_eq!(outcomes_of(&results), [CONFIRMED; 60]);
    // Each line has its price once.
    let lines =
        "SELECT CAST(SUM(LENGTH(items) - LENGTH(REPLACE(items, ',1999]', '1999]'))) AS SIGNED) FROM orders";
    assert_eq!(harness.number(lines).await, 1_200);
    assert_eq!(harness.number("SELECT COUNT(*) FROM sale_skus WHERE stock_reserved = 4").await, 600);
    assert_eq!(harness.number("SELECT COUNT(*) FROM user_purchases WHERE quantity = 4").await, 600);

    // The longest names allowed.
    let (sale, sku, user) = ("s".repeat(64), "k".repeat(64), "u".repeat(255));
    assert_ne!(sale, SALE);
    store.apply_catalogue(&catalogue_of(&[(&sale, &[(&sku, 1, Some(1))])])).await.expect("applies");
    let mut long = order_in(&sale, 1_000, &user, &[(&sku, 1)]);
    long.catalogue_revision = "r".repeat(64);
    long.client_reference = Some(shared::order::ClientReference::parse(&"备".repeat(128)).expect("valid"));
    long.items[0].unit_price_minor = shared::catalogue::PRICE_MINOR_MAX;
    long.items[0].sku = Sku::parse(&sku).expect("valid");
    assert_eq!(outcomes_of(&store.commit(Fence::Open, &[long]).await.expect("commits")), [CONFIRMED]);
}
