//! Orders published one at a time, and the time until each is committed.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::ensure;
use drain_worker::tune::orders::Orders;
use loadtest::environment::Environment;
use loadtest::ledger::DecidedOrder;
use shared::envelope::{EncodedOrder, encode_batch};
use shared::order::OrderId;
use shared::rocketmq::{DefaultContext, FutureProducer, FutureRecord, ProducerConfig};
use tokio::time::sleep;

use super::wall_clock_us;
use crate::harness::Spread;

const ORDERS: u64 = 40;

/// Long enough that each order finds an idle worker.
const PAUSE: Duration = Duration::from_millis(150);

/// Order numbers that the backlog does not use.
const FIRST_NUMBER: u64 = 1 << 40;

const BOUND: Duration = Duration::from_secs(30);

/// Publish times, microseconds since 1970.
pub(super) struct PublishedOrders(HashMap<OrderId, i64>);

/// Publishes the orders and waits a second for the last one.
pub(super) async fn publish(environment: &Environment) -> anyhow::Result<PublishedOrders> {
    let producer =
        FutureProducer::new(environment.client.clone(), ProducerConfig::default(), DefaultContext)?;
    let source = Orders::over(1)?;
    let mut published = HashMap::new();
    for number in FIRST_NUMBER..FIRST_NUMBER + ORDERS {
        let order = source.make(number)?;
        let payload = encode_batch(std::iter::once(&EncodedOrder::new(&order))).to_vec();
        published.insert(order.order_id, wall_clock_us()?);
        let sent = producer.send(FutureRecord::to(&environment.topic).payload(payload), BOUND).await;
        sent.map_err(|(error, _record)| anyhow::Error::from(error))?;
        sleep(PAUSE).await;
    }
    producer.close(BOUND).await;
    sleep(Duration::from_secs(1)).await;
    Ok(PublishedOrders(published))
}

impl PublishedOrders {
    pub(super) fn contains(&self, row: &DecidedOrder) -> bool {
        self.0.contains_key(&row.order_id)
    }

    /// # Errors
    /// If an order is missing in `rows`.
    pub(super) fn latencies_ms(&self, rows: &[DecidedOrder]) -> anyhow::Result<Option<Spread>> {
        let latencies: Vec<f64> = rows
            .iter()
            .filter_map(|row| Some((row.decided_at_us - self.0.get(&row.order_id)?) as f64 / 1_000.0))
            .collect();
        ensure!(latencies.len() as u64 == ORDERS, "{} of {ORDERS} single orders committed", latencies.len());
        Ok(Spread::compute(latencies.into_iter()))
    }
}
