//! Offers orders to a store at a fixed rate, independent of its speed, and measures the commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shared::order::AcceptedOrder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::knee::Step;
use super::orders::{Orders, OrdersError};
use crate::store::{Fence, OrderStore, Store, StoreError};

/// Minimum batches a second: a batch has at most the orders of a fiftieth of a second, as in the worker.
const BATCHES_PER_S_MIN: f64 = 50.0;

#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// Orders a second.
    pub per_s: f64,
    pub length: Duration,
    pub writers: u32,
    pub batch_orders_max: u32,
    /// Number of the first order; the others follow.
    pub first_order: u64,
}

impl Offer {
    fn batch_orders(&self) -> u64 {
        (self.per_s / BATCHES_PER_S_MIN).clamp(1.0, f64::from(self.batch_orders_max)) as u64
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Orders(#[from] OrdersError),
    #[error("a writer panicked, which is a bug: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Offers orders for the duration of `offer`. Returns the measured step, and the number after the last order.
///
/// Batches are due at fixed instants. A late writer commits the next one at once, so one slow commit does not lower
/// the result of a store that keeps up.
///
/// # Errors
/// [`LoadError`].
pub async fn offer(
    store: &Arc<Store>,
    orders: &Orders,
    fence: Fence,
    offer: Offer,
) -> Result<(Step, u64), LoadError> {
    let batch = offer.batch_orders();
    let interval = Duration::from_secs_f64(batch as f64 / offer.per_s);
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut writers = JoinSet::new();
    for _ in 0..offer.writers.max(1) {
        let (store, orders, next) = (store.clone(), orders.clone(), next.clone());
        writers.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = began + interval.mul_f64(number as f64);
                // Batches that are due after the end, or too late for it, are not started.
                if due.max(Instant::now()) >= began + offer.length {
                    return Ok::<_, LoadError>(latencies);
                }
                let first = offer.first_order + number * batch;
                let orders: Vec<AcceptedOrder> = orders.batch(first..first + batch)?;
                sleep_until(due).await;
                let sent = Instant::now();
                store.commit(fence, &orders).await?;
                latencies.push(sent.elapsed());
            }
        });
    }
    let mut latencies = Vec::new();
    while let Some(ended) = writers.join_next().await {
        latencies.extend(ended??);
    }
    // The last commits may end after the duration; they count, and so does their time.
    let elapsed = began.elapsed().max(offer.length).as_secs_f64();
    latencies.sort_unstable();
    let quantile_ms = |quantile: f64| {
        let rank = (latencies.len() as f64 * quantile).ceil() as usize;
        latencies.get(rank.max(1) - 1).map_or(0.0, |latency: &Duration| latency.as_secs_f64() * 1e3)
    };
    let step = Step {
        offered_per_s: offer.per_s,
        committed_per_s: latencies.len() as f64 * batch as f64 / elapsed,
        p50_ms: quantile_ms(0.5),
        p99_ms: quantile_ms(0.99),
    };
    Ok((step, offer.first_order + next.load(Ordering::Relaxed) * batch))
}
