//! Finding orders, totals and stock.

use std::num::NonZeroU32;

use drain_worker::store::{
    BuyerOrders, Fence, OrderStore, RecentOutcomes, ReferencedOrders, ReferencedPage, StoredStatus,
};
use shared::order::{ClientReference, Outcome, PayloadDigest, RejectReason, UserId};
use shared::time::rfc3339_millis;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::harness::Harness;
use crate::orders::{SALE, catalogue, id, order};

pub(crate) async fn an_order_is_found_in_every_state(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 1, None), ("b", 9, Some(1))])).await.expect("applies");
    let batch = [
        order(1, "ann", &[("a", 1)]),
        order(2, "ann", &[("a", 1)]),
        order(3, "ann", &[("b", 2)]),
        order(4, "ann", &[("z", 1)]),
    ];
    store.commit(Fence::Open, &batch).await.expect("commits");
    let status = [
        StoredStatus::Decided(Outcome::Confirmed),
        StoredStatus::Decided(Outcome::Rejected(RejectReason::SoldOut)),
        StoredStatus::Decided(Outcome::Rejected(RejectReason::LimitExceeded)),
        StoredStatus::DeadLettered { reason: "unknown_sku".to_owned(), discarded_at: None },
    ];
    for (order, status) in batch.iter().zip(status) {
        let found = store.find(order.order_id).await.expect("reads").expect("is there");
        assert_eq!(found.user_id.as_ref(), Some(&order.user_id));
        assert_eq!((found.order_id, found.digest), (order.order_id, Some(order.digest)));
        let is_decided = matches!(status, StoredStatus::Decided(_));
        assert_eq!(found.status, status);
        assert_eq!(found.accepted_at, is_decided.then_some(datetime!(2026-11-11 00:00:00.123 UTC)));
        // The database runs on this machine, so its clock is this one.
        let age = OffsetDateTime::now_utc() - found.updated_at;
        assert!(age.abs() < Duration::minutes(1), "decided at {}", found.updated_at);
        assert_eq!(found.conflicts, 0);
    }
    assert_eq!(store.find(id(99)).await.expect("reads"), None);
}

pub(crate) async fn totals_and_stock_are_returned(harness: &Harness) {
    let store = &harness.store;
    assert_eq!(store.counts().await.expect("counts"), drain_worker::store::StoreTotals::default());
    assert_eq!(store.stock().await.expect("reads"), []);
    store.apply_catalogue(&catalogue(&[("a", 2, None), ("b", 9, Some(1))])).await.expect("applies");
    let batch: Vec<_> = (0..5).map(|number| order(number, "ann", &[("a", 1)])).collect();
    store.commit(Fence::Open, &batch).await.expect("commits");
    store.commit(Fence::Open, &[order(9, "ann", &[("b", 2)])]).await.expect("commits");

    let counts = store.counts().await.expect("counts");
    assert_eq!(counts.confirmed, 2);
    assert_eq!(
        counts.rejected.into_iter().collect::<Vec<_>>(),
        [(RejectReason::SoldOut, 3), (RejectReason::LimitExceeded, 1)]
    );
    let stock = store.stock().await.expect("reads");
    assert_eq!(stock.iter().map(|stock| stock.sku.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((stock[0].sale_id.as_str(), stock[0].total, stock[0].reserved), (SALE, 2, 2));
    assert_eq!((stock[0].per_user_limit, stock[1].per_user_limit), (None, Some(1)));
}

fn of_buyer(user: &str) -> BuyerOrders {
    BuyerOrders {
        user_id: UserId::parse(user).expect("valid"),
        reference: None,
        from: None,
        to: None,
        after: 0,
        orders_max: NonZeroU32::MAX,
    }
}

pub(crate) async fn an_operator_sees_all_of_an_order_but_its_address(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 9, None), ("b", 9, None)])).await.expect("applies");
    let placed = order(1, "ann", &[("a", 1), ("b", 2)]);
    let mut other = placed.clone();
    other.digest = PayloadDigest::from_bytes([9; 32]);
    let unknown = order(2, "ann", &[("z", 1)]);
    for batch in [&[placed.clone()][..], std::slice::from_ref(&other), std::slice::from_ref(&unknown)] {
        store.commit(Fence::Open, batch).await.expect("commits");
    }

    let found = store.decided_order(placed.order_id).await.expect("reads").expect("is there");
    assert_eq!((found.order_id, found.digest), (placed.order_id, placed.digest));
    assert_eq!((found.sale_id.as_str(), found.user_id.as_ref()), (SALE, Some(&placed.user_id)));
    assert_eq!((found.outcome, found.conflicts), (Outcome::Confirmed, 1));
    assert_eq!((found.currency.as_str(), Some(found.total_minor)), ("CNY", placed.total_minor()));
    let lines: Vec<_> = found.lines.iter().map(|(sku, (quantity, _))| (sku.as_str(), *quantity)).collect();
    assert_eq!(lines, [("a", 1), ("b", 2)]);
    assert_eq!(found.client_reference, placed.client_reference);
    assert_eq!(found.traceparent, placed.traceparent);
    assert_eq!(found.accepted_at, placed.accepted_at);
    assert_eq!(found.catalogue_revision, placed.catalogue_revision);

    let conflicts = store.order_conflicts(placed.order_id).await.expect("reads");
    assert_eq!(conflicts.iter().map(|conflict| conflict.digest).collect::<Vec<_>>(), [other.digest]);
    assert!(store.order_dead_letters(placed.order_id).await.expect("reads").is_empty());

    assert_eq!(store.decided_order(unknown.order_id).await.expect("reads"), None);
    let letters = store.order_dead_letters(unknown.order_id).await.expect("reads");
    assert_eq!(letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["unknown_sku"]);
    assert_eq!(store.buyer_dead_letters(&unknown.user_id).await.expect("reads"), letters);
    let stranger = UserId::parse("bob").expect("valid");
    assert_eq!(store.buyer_dead_letters(&stranger).await.expect("reads"), []);
}

pub(crate) async fn a_buyers_orders_are_listed_in_pages(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 99, None)])).await.expect("applies");
    let start = datetime!(2026-11-11 00:00:00 UTC);
    let batch: Vec<_> = (0..7_u64)
        .map(|number| {
            let mut order = order(number, if number == 3 { "ann';--" } else { "ann" }, &[("a", 1)]);
            order.accepted_at = start + Duration::seconds(i64::try_from(number).expect("small"));
            if number == 5 {
                order.client_reference = Some(ClientReference::parse("basket '5' \\ 家").expect("valid"));
            }
            order
        })
        .collect();
    store.commit(Fence::Open, &batch).await.expect("commits");
    let ids = async |wanted: &BuyerOrders| {
        let orders = store.buyer_orders(wanted).await.expect("reads");
        orders.into_iter().map(|order| order.order_id).collect::<Vec<_>>()
    };
    let expect = |numbers: &[u64]| numbers.iter().copied().map(id).collect::<Vec<_>>();

    assert_eq!(ids(&of_buyer("ann")).await, expect(&[0, 1, 2, 4, 5, 6]));
    assert_eq!(ids(&of_buyer("ann';--")).await, expect(&[3]));
    assert_eq!(ids(&of_buyer("Ann")).await, expect(&[]));
    let reference = ClientReference::parse("basket '5' \\ 家").ok();
    assert_eq!(ids(&BuyerOrders { reference, ..of_buyer("ann") }).await, expect(&[5]));
    let (from, to) = (Some(start + Duration::seconds(1)), Some(start + Duration::seconds(5)));
    assert_eq!(ids(&BuyerOrders { from, to, ..of_buyer("ann") }).await, expect(&[1, 2, 4]));

    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = BuyerOrders { after, orders_max: NonZeroU32::new(4).expect("not 0"), ..of_buyer("ann") };
        let orders = store.buyer_orders(&page).await.expect("reads");
        assert!(orders.len() <= 4);
        let Some(last) = orders.last() else { break };
        after = last.sequence;
        seen.extend(orders.iter().map(|order| order.order_id));
    }
    assert_eq!(seen, expect(&[0, 1, 2, 4, 5, 6]));
}

/// Each order is decided a minute after the one before.
pub(crate) async fn orders_are_found_by_their_reference_without_their_buyer(harness: &Harness) {
    const REFERENCE: &str = "basket '5' \\ 家";
    let store = &harness.store;
    let start = datetime!(2026-11-11 00:00:00 UTC);
    let minutes = |number: u64| Duration::minutes(i64::try_from(number).expect("small"));
    let wanted = |from: Option<u64>, to: Option<u64>, rows_max: u32| ReferencedOrders {
        reference: ClientReference::parse(REFERENCE).expect("valid"),
        from: from.map(|number| start + minutes(number)),
        to: to.map(|number| start + minutes(number)),
        after: 0,
        orders_max: NonZeroU32::new(2).expect("not 0"),
        rows_max: NonZeroU32::new(rows_max).expect("not 0"),
    };
    let nothing = store.referenced_orders(&wanted(Some(0), None, 9)).await.expect("reads");
    assert_eq!(nothing, ReferencedPage::default());

    store.apply_catalogue(&catalogue(&[("a", 99, None)])).await.expect("applies");
    for number in 0..40_u64 {
        let mut order = order(number, &format!("buyer-{number}"), &[("a", 1)]);
        order.accepted_at = start + minutes(number);
        // The first has another case, which is another reference.
        let reference = if number == 2 { REFERENCE.to_uppercase() } else { REFERENCE.to_owned() };
        let has_it = [2, 5, 25, 26, 27].contains(&number);
        order.client_reference = has_it.then(|| ClientReference::parse(&reference).expect("valid"));
        store.commit(Fence::Open, std::slice::from_ref(&order)).await.expect("commits");
        let at =
            rfc3339_millis(order.accepted_at + Duration::seconds(7)).replace('T', " ").replace('Z', "000");
        let id = hex::encode(order.order_id.as_bytes());
        harness
            .run(&format!("UPDATE orders SET decided_at = '{at}' WHERE HEX(order_id) = UPPER('{id}')"))
            .await;
    }
    // Every call reads at most so many rows, and says where to continue.
    for (from, to, rows_max, expected, calls_max) in [
        (None, None, 1_000, &[5, 25, 26, 27][..], 3),
        (None, None, 3, &[5, 25, 26, 27], 15),
        (Some(24), None, 1_000, &[25, 26, 27], 3),
        // Ten minutes before the 24th are read too.
        (Some(24), None, 13, &[25, 26, 27], 4),
        (Some(26), Some(27), 1_000, &[26], 2),
        (Some(39), None, 12, &[], 1),
        (Some(300), None, 1, &[], 1),
    ] {
        let mut question = wanted(from, to, rows_max);
        let (mut found, mut calls) = (Vec::new(), 0);
        loop {
            let page = store.referenced_orders(&question).await.expect("reads");
            assert!(page.orders.len() <= 2);
            found.extend(page.orders.into_iter().map(|order| order.order_id));
            calls += 1;
            let Some(next) = page.next else { break };
            assert!(next > question.after, "{from:?} {rows_max}: {next}");
            question.after = next;
        }
        assert_eq!(found, expected.iter().copied().map(id).collect::<Vec<_>>(), "{from:?} {to:?} {rows_max}");
        assert!(calls <= calls_max, "{from:?} {to:?} {rows_max}: {calls} calls");
    }
}

pub(crate) async fn a_sale_is_shown_with_stock_and_recent_outcomes(harness: &Harness) {
    let store = &harness.store;
    assert_eq!(store.list_sales().await.expect("reads"), []);
    store.apply_catalogue(&catalogue(&[("a", 2, None), ("b", 9, Some(1))])).await.expect("applies");
    let empty = store.sale_state("none").await.expect("reads");
    assert_eq!((empty.skus.len(), empty.recent), (0, RecentOutcomes::default()));
    let mut batch: Vec<_> = (0..5).map(|number| order(number, "ann", &[("a", 1)])).collect();
    batch.push(order(8, "ann", &[("b", 1)]));
    batch.push(order(9, "ann", &[("a", 1), ("b", 1)]));
    store.commit(Fence::Open, &batch).await.expect("commits");

    let state = store.sale_state(SALE).await.expect("reads");
    assert_eq!(state.recent.confirmed, 3);
    assert_eq!(state.recent.sold_out + state.recent.limit_exceeded, 4);
    let (a, b) = (&state.skus[0], &state.skus[1]);
    assert_eq!((a.sku.as_str(), a.stock_total, a.stock_reserved, a.per_user_limit), ("a", 2, 2, None));
    assert_eq!((b.sku.as_str(), b.stock_total, b.stock_reserved, b.per_user_limit), ("b", 9, 1, Some(1)));
    // Three are rejected for lack of a; the last one is over the limit of b, which precedes the stock.
    let recent = |confirmed, sold_out, limit_exceeded| RecentOutcomes { confirmed, sold_out, limit_exceeded };
    assert_eq!((state.recent, a.recent, b.recent), (recent(3, 3, 1), recent(2, 3, 0), recent(1, 0, 1)));
    // The second line of two does not fit.
    store.apply_catalogue(&catalogue(&[("a", 4, None), ("b", 9, Some(1))])).await.expect("applies");
    store.commit(Fence::Open, &[order(20, "bob", &[("a", 1), ("b", 2)])]).await.expect("commits");
    let state = store.sale_state(SALE).await.expect("reads");
    assert_eq!((state.skus[0].recent, state.skus[1].recent), (recent(2, 3, 0), recent(1, 0, 2)));
    let sales = store.list_sales().await.expect("reads");
    assert_eq!((sales.len(), sales[0].sale_id.as_str(), sales[0].skus), (1, SALE, 2));
    assert_eq!((sales[0].stock_total, sales[0].stock_reserved), (13, 3));
    assert!(sales[0].closes_at.is_some());
}
