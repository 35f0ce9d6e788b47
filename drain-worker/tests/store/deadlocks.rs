//! The store's own transactions never deadlock, with any orders and buyers that they share.

use std::num::NonZeroU32;

use drain_worker::store::{CommitOutcome, Fence, OrderStore, StoreConfig};
use shared::order::AcceptedOrder;

use crate::harness::{Harness, config, on_mysql};
use crate::orders::{catalogue, order};
use crate::relay::behind_relay;

const ROUNDS: u64 = 40;
const ORDERS: u64 = 50;

/// Orders of the same buyers for each `first`, two lines each.
fn orders(first: u64) -> Vec<AcceptedOrder> {
    (first..first + ORDERS)
        .map(|number| order(number, &format!("buyer-{}", number % ORDERS), &[("a", 1), ("b", 1)]))
        .collect()
}

/// Commits `pair` concurrently, by two workers that have just started, and returns the deadlocks that the server
/// reported to them.
async fn deadlocks_of(harness: &Harness, pair: [&[AcceptedOrder]; 2]) -> usize {
    let one = StoreConfig { writers_max: NonZeroU32::MIN, ..config() };
    let (left_relay, left) = behind_relay(harness, one).await;
    let (right_relay, right) = behind_relay(harness, one).await;
    // Both have their connection before the race.
    for store in [&left, &right] {
        store.commit(Fence::Open, &pair[0][..0]).await.expect("connects");
        store.stock().await.expect("reads");
    }
    let results = tokio::join!(left.commit(Fence::Open, pair[0]), right.commit(Fence::Open, pair[1]));
    for results in [results.0, results.1] {
        let settled = |outcome| matches!(outcome, CommitOutcome::New(_) | CommitOutcome::Duplicate(_));
        assert!(results.expect("commits").iter().all(|result| settled(result.outcome)));
    }
    left.close().await;
    right.close().await;
    left_relay.deadlocks() + right_relay.deadlocks()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_with_the_same_orders_do_not_deadlock() {
    on_mysql(async |harness| {
        let terms = [("a", 999_999, Some(9_999)), ("b", 999_999, Some(9_999))];
        harness.store.apply_catalogue(&catalogue(&terms)).await.expect("applies");
        let mut deadlocks = 0;
        for round in 0..ROUNDS {
            let batch = orders(round * ORDERS);
            deadlocks += deadlocks_of(harness, [&batch, &batch]).await;
        }
        assert_eq!(deadlocks, 0, "in {ROUNDS} rounds");
        assert_eq!(harness.number("SELECT COUNT(*) FROM orders").await, (ROUNDS * ORDERS).cast_signed());
        let bought = "SELECT CAST(MIN(quantity) AS SIGNED) FROM user_purchases";
        assert_eq!(harness.number(bought).await, ROUNDS.cast_signed());
    })
    .await;
}

/// Each buyer has purchases already, so both workers find their rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_with_the_same_buyers_do_not_deadlock() {
    on_mysql(async |harness| {
        let terms = [("a", 999_999, Some(9_999)), ("b", 999_999, Some(9_999))];
        harness.store.apply_catalogue(&catalogue(&terms)).await.expect("applies");
        harness.store.commit(Fence::Open, &orders(0)).await.expect("commits");
        let mut deadlocks = 0;
        for round in 1..=ROUNDS {
            let pair = [orders(2 * round * ORDERS), orders((2 * round + 1) * ORDERS)];
            deadlocks += deadlocks_of(harness, [&pair[0], &pair[1]]).await;
        }
        assert_eq!(deadlocks, 0, "in {ROUNDS} rounds");
        let bought = "SELECT CAST(MIN(quantity) AS SIGNED) FROM user_purchases";
        assert_eq!(harness.number(bought).await, (2 * ROUNDS + 1).cast_signed());
    })
    .await;
}
