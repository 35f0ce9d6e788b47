//! The driver keeps prepared statements for all sizes of a batch.

use std::num::NonZeroU32;

use drain_worker::store::{Fence, OrderStore, Store, StoreConfig};
use shared::order::AcceptedOrder;

use crate::harness::{config, on_mysql};
use crate::orders::{catalogue, order};
use crate::relay::behind_relay;

const SKUS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// Orders over all the SKUs, every third with two.
fn batch(first: u64, orders: u64) -> Vec<AcceptedOrder> {
    (first..first + orders)
        .map(|number| {
            let sku = |offset: u64| SKUS[(number + offset) as usize % SKUS.len()];
            let user = format!("buyer-{number}");
            if number % 3 == 0 {
                order(number, &user, &[(sku(0), 1), (sku(5), 1)])
            } else {
                order(number, &user, &[(sku(0), 1)])
            }
        })
        .collect()
}

/// Batches of all sizes up to about fifty, and large ones; each twice, as redeliveries are.
async fn commit_all_sizes(store: &Store, mut first: u64) {
    for orders in (1..=52).chain([64, 80, 111, 200, 250]) {
        let orders = batch(first, orders);
        for _ in 0..2 {
            store.commit(Fence::Open, &orders).await.expect("commits");
        }
        first += orders.len() as u64;
    }
}

/// A closed statement delays the next one by 40 ms under locks; see `StoreConfig::statements_max`.
#[tokio::test]
async fn no_batch_size_makes_the_driver_close_a_statement() {
    on_mysql(async |harness| {
        let terms: Vec<_> = SKUS.iter().map(|sku| (*sku, 99_999, (*sku < "d").then_some(9))).collect();
        harness.store.apply_catalogue(&catalogue(&terms)).await.expect("applies");
        let one = StoreConfig { writers_max: NonZeroU32::MIN, ..config() };
        let (relay, store) = behind_relay(harness, one).await;
        commit_all_sizes(&store, 1).await;
        assert_eq!(relay.statements_closed(), 0);
        store.close().await;

        let few = StoreConfig { statements_max: NonZeroU32::MIN.saturating_add(63), ..one };
        let (relay, store) = behind_relay(harness, few).await;
        commit_all_sizes(&store, 100_001).await;
        assert!(relay.statements_closed() > 0, "the relay would count it");
        store.close().await;
    })
    .await;
}
