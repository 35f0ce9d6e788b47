//! Concurrent committers.

use std::collections::HashMap;

use drain_worker::store::{CommitOutcome, Fence, OrderStore};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use shared::order::{AcceptedOrder, Outcome};

use crate::harness::Harness;
use crate::orders::{catalogue, order};

const COMMITTERS: usize = 8;
const ORDERS: u64 = 800;
const STOCK: [(&str, u32, Option<u32>); 4] =
    [("hot-a", 150, None), ("hot-b", 120, Some(3)), ("hot-c", 90, Some(2)), ("hot-d", 400, None)];

/// Orders of one to three lines, the SKUs in any order, over few buyers.
fn orders(random: &mut StdRng) -> Vec<AcceptedOrder> {
    let mut skus = STOCK.map(|(sku, _, _)| sku);
    (0..ORDERS)
        .map(|number| {
            skus.shuffle(random);
            let count = random.random_range(1..=3);
            let lines: Vec<_> = skus[..count].iter().map(|sku| (*sku, random.random_range(1..=2))).collect();
            order(number, &format!("user{}", random.random_range(0..60)), &lines)
        })
        .collect()
}

pub(crate) async fn concurrent_committers_neither_oversell_nor_lose(harness: &Harness) {
    harness.store.apply_catalogue(&catalogue(&STOCK)).await.expect("applies");
    let mut random = StdRng::seed_from_u64(20_261_111);
    let orders = orders(&mut random);
    // Each order is delivered to two or three committers, each with its own sequence and batch sizes.
    let deliveries: Vec<Vec<AcceptedOrder>> = (0..COMMITTERS)
        .map(|committer| {
            let mut mine: Vec<_> = orders
                .iter()
                .enumerate()
                .filter(|(place, _)| (place + committer) % 3 == 0)
                .map(|(_, order)| order.clone())
                .collect();
            mine.shuffle(&mut random);
            mine
        })
        .collect();

    let results = join_all(deliveries.iter().map(async |mine| {
        let mut results = Vec::new();
        for batch in mine.chunks(17) {
            results.extend(harness.store.commit(Fence::Open, batch).await.expect("no deadlock is returned"));
        }
        results
    }))
    .await;

    let mut outcomes: HashMap<_, Outcome> = HashMap::new();
    let mut new = 0;
    for result in results.iter().flatten() {
        let outcome = match result.outcome {
            CommitOutcome::New(outcome) => {
                new += 1;
                outcome
            }
            CommitOutcome::Duplicate(outcome) => outcome,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            *outcomes.entry(result.order_id).or_insert(outcome),
            outcome,
            "every committer gets the same result"
        );
    }
    assert_eq!((new, outcomes.len()), (orders.len(), orders.len()), "each order is decided once");
    examine(harness, &orders, &outcomes).await;
}

async fn examine(
    harness: &Harness,
    orders: &[AcceptedOrder],
    outcomes: &HashMap<shared::order::OrderId, Outcome>,
) {
    let mut sold: HashMap<&str, i64> = HashMap::new();
    let mut bought: HashMap<(&str, &str), i64> = HashMap::new();
    for order in orders.iter().filter(|order| outcomes[&order.order_id] == Outcome::Confirmed) {
        for item in &order.items {
            let quantity = i64::from(item.quantity.get());
            *sold.entry(item.sku.as_str()).or_default() += quantity;
            *bought.entry((order.user_id.as_str(), item.sku.as_str())).or_default() += quantity;
        }
    }
    let mut tracked = 0;
    for ((user, sku), quantity) in &bought {
        let limit = STOCK.iter().find(|terms| terms.0 == *sku).and_then(|terms| terms.2);
        if let Some(limit) = limit {
            tracked += 1;
            assert!(*quantity <= i64::from(limit), "{user} has {quantity} of {sku}");
            let query =
                format!("SELECT quantity FROM user_purchases WHERE user_id = '{user}' AND sku = '{sku}'");
            assert_eq!(harness.number(&query).await, *quantity, "{query}");
        }
    }
    assert_eq!(harness.number("SELECT COUNT(*) FROM user_purchases").await, tracked);
    for stock in harness.store.stock().await.expect("reads") {
        assert!(stock.reserved <= stock.total, "{stock:?} is oversold");
        assert_eq!(stock.reserved, sold[stock.sku.as_str()], "{stock:?}");
        // Quantities are 1 and 2.
        let of = |quantity| {
            format!(
                "(SELECT COUNT(*) FROM orders WHERE state = 1 AND items LIKE '%\"{}\":[{quantity},%')",
                stock.sku
            )
        };
        let lines = format!("SELECT {} + 2 * {}", of(1), of(2));
        assert_eq!(harness.number(&lines).await, stock.reserved, "{stock:?}");
    }
    let counts = harness.store.counts().await.expect("counts");
    assert_eq!(counts.orders(), orders.len() as u64);
    assert!(counts.rejected.len() == 2 && counts.confirmed > 0, "the test reaches every outcome: {counts:?}");
}
