//! A batch's cost in round trips and prepared statements, by the server's own counters of the session.

use std::num::NonZeroU32;

use drain_worker::store::{
    CommitResult, DeadLetter, DeadLetterReason, Fence, OrderStore, Store, StoreConfig,
};
use shared::order::AcceptedOrder;

use crate::harness::{Harness, config, on_mysql};
use crate::orders::{CONFIRMED, SOLD_OUT, catalogue, order, outcomes_of};
use crate::relay::{Relay, behind_relay};

const SKUS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// `a` to `c` have a limit.
async fn apply(harness: &Harness) {
    let terms: Vec<_> = SKUS.iter().map(|sku| (*sku, 99_999, (*sku < "d").then_some(9))).collect();
    harness.store.apply_catalogue(&catalogue(&terms)).await.expect("applies");
}

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

fn of_sku(first: u64, orders: u64, sku: &str) -> Vec<AcceptedOrder> {
    (first..first + orders).map(|number| order(number, &format!("buyer-{number}"), &[(sku, 1)])).collect()
}

fn one_writer() -> StoreConfig {
    StoreConfig { writers_max: NonZeroU32::MIN, ..config() }
}

/// A session's statements for `orders`. The question is a statement of its own.
async fn statements(relay: &Relay, store: &Store, orders: &[AcceptedOrder]) -> (u64, Vec<CommitResult>) {
    let total = async || relay.session_status("Questions").await.iter().sum::<u64>();
    let before = total().await;
    let results = store.commit(Fence::Open, orders).await.expect("commits");
    (total().await - before - 1, results)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_takes_five_round_trips_and_six_with_limits() {
    on_mysql(async |harness| {
        apply(harness).await;
        let (relay, store) = behind_relay(harness, one_writer()).await;
        store.commit(Fence::Open, &batch(1, 50)).await.expect("commits");
        let mut next = 1_000;
        for (orders, sku, expected) in [
            (1, "d", 5),
            (2, "d", 5),
            (37, "d", 5),
            (64, "d", 5),
            (200, "d", 5),
            // 128 rows, and the rest.
            (192, "d", 6),
            (1, "a", 6),
            (37, "a", 6),
            (200, "a", 6),
        ] {
            // Prepares the texts of this size.
            store.commit(Fence::Open, &of_sku(next + 100_000, orders, sku)).await.expect("commits");
            let (count, results) = statements(&relay, &store, &of_sku(next, orders, sku)).await;
            assert_eq!(count, expected, "{orders} orders of {sku}");
            assert!(outcomes_of(&results).iter().all(|outcome| *outcome == CONFIRMED));
            next += orders;
        }
        // Redelivered: the first batch hits its key and is rolled back, the next ones read before they write.
        let again = of_sku(1_000, 1, "d");
        store.commit(Fence::Open, &again).await.expect("commits");
        assert_eq!(statements(&relay, &store, &again).await.0, 4);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sold_out_batch_takes_five_round_trips() {
    on_mysql(async |harness| {
        harness.store.apply_catalogue(&catalogue(&[("a", 0, None)])).await.expect("applies");
        let (relay, store) = behind_relay(harness, one_writer()).await;
        store.commit(Fence::Open, &of_sku(1, 3, "a")).await.expect("commits");
        let (count, results) = statements(&relay, &store, &of_sku(10, 20, "a")).await;
        assert_eq!((count, outcomes_of(&results)), (5, vec![SOLD_OUT; 20]));
        store.close().await;
    })
    .await;
}

/// An order's letter costs the batches that have this order, not the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_of_other_orders_cost_a_batch_nothing() {
    on_mysql(async |harness| {
        apply(harness).await;
        let (relay, store) = behind_relay(harness, one_writer()).await;
        store.commit(Fence::Open, &of_sku(1, 3, "d")).await.expect("commits");
        let lettered = order(7_000, "eve", &[("d", 1)]);
        let letter = DeadLetter::of_order(&lettered, DeadLetterReason::InvalidOrder, "");
        harness.store.upsert_dead_letters(Fence::Open, &[letter]).await.expect("stores");
        harness.run("UPDATE dead_letters SET discarded_at = UTC_TIMESTAMP(6), payload = ''").await;

        let counted = async |first| statements(&relay, &store, &of_sku(first, 3, "d")).await.0;
        assert_eq!(counted(100).await, 6, "reads the ids once");
        assert_eq!(counted(200).await, 5);
        let results = store.commit(Fence::Open, &[lettered]).await.expect("commits");
        let discarded =
            drain_worker::store::CommitOutcome::DeadLettered { reason: DeadLetterReason::InvalidOrder };
        assert_eq!(outcomes_of(&results), [discarded]);
        store.close().await;
    })
    .await;
}

/// Batches of all sizes up to about fifty, and large ones; each twice, as redeliveries are. Some orders are rejected, some
/// become letters.
async fn commit_all_sizes(store: &Store, mut first: u64) {
    for orders in (1..=52).chain([64, 80, 111, 128, 192, 200, 250, 500, 700]) {
        let mut orders = batch(first, orders);
        orders.push(order(first + 10_000, "greedy", &[("a", 10)]));
        orders.push(order(first + 20_000, "lost", &[("unknown", 1)]));
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
        apply(harness).await;
        let one = one_writer();
        let (relay, store) = behind_relay(harness, one).await;
        commit_all_sizes(&store, 1).await;
        assert_eq!(relay.statements_closed(), 0);
        let prepared = relay.session_status("Com_stmt_prepare").await;
        assert!(
            prepared.iter().all(|texts| *texts <= 40) && prepared.iter().max() > Some(&20),
            "{prepared:?}"
        );
        store.close().await;

        let few = StoreConfig { statements_max: NonZeroU32::MIN.saturating_add(15), ..one };
        let (relay, store) = behind_relay(harness, few).await;
        commit_all_sizes(&store, 100_001).await;
        assert!(relay.statements_closed() > 0, "the relay would count it");
        store.close().await;
    })
    .await;
}
