//! Finding orders, totals and stock.

use drain_worker::store::{Fence, OrderStore, StoredStatus};
use shared::order::{Outcome, RejectReason};
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
