//! Stock that another transaction keeps locked.

use drain_worker::store::{Fence, OrderStore, SaleSku, StoreError};
use tokio::time::{Duration, Instant};

use crate::harness::Harness;
use crate::orders::{CONFIRMED, SALE, UNKNOWN_SKU, catalogue, order, outcomes_of};

pub(crate) async fn a_locked_sku_is_named_and_the_others_are_committed(harness: &Harness) {
    if harness.is_sqlite() {
        // It has no locks on rows.
        return;
    }
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)])).await.expect("applies");
    let update = format!("UPDATE sale_skus SET stock_total = 98 WHERE sale_id = '{SALE}' AND sku = 'a'");
    let mut holder = harness.begin(&update).await;
    let batch = [
        order(1, "ann", &[("a", 1)]),
        order(2, "ann", &[("b", 1)]),
        order(3, "ann", &[("a", 1), ("b", 1)]),
        order(4, "ann", &[("z", 1)]),
    ];
    let began = Instant::now();
    let error = store.commit(Fence::Open, &batch).await.expect_err("is locked");
    // The lock wait of two seconds, or the client's own bound where a proxy discards it.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let StoreError::Locked { skus, .. } = error else { panic!("{error}") };
    let a: Vec<_> = SaleSku::of(&batch[0]).collect();
    assert_eq!(skus, a);
    let all: Vec<_> = batch.iter().flat_map(SaleSku::of).collect();
    let mut locked = store.locked_skus(all.clone()).await.expect("answers");
    locked.dedup();
    assert_eq!(locked, a);

    let free = [batch[1].clone(), batch[3].clone()];
    assert_eq!(
        outcomes_of(&store.commit(Fence::Open, &free).await.expect("commits")),
        [CONFIRMED, UNKNOWN_SKU]
    );
    holder.run("ROLLBACK").await;
    // Behind a proxy the server may still be running the attempt that the client has abandoned.
    while !store.locked_skus(all.clone()).await.expect("answers").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "still locked");
    }
    let stuck = [batch[0].clone(), batch[2].clone()];
    assert_eq!(outcomes_of(&store.commit(Fence::Open, &stuck).await.expect("commits")), [CONFIRMED; 2]);
    assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus WHERE sku = 'a'").await, 2);
}
