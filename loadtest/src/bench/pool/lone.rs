//! Orders that come one at a time: how long until each is committed.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use drain_worker::tune::orders::Orders;
use shared::envelope::{EncodedOrder, encode_batch};
use shared::order::OrderId;
use shared::rocketmq::{DefaultContext, FutureProducer, FutureRecord, ProducerConfig};
use tokio::time::sleep;

use super::wall_clock_us;
use crate::bench::figures::Spread;
use crate::ledger::OrderRow;
use crate::stage::Stage;

const ORDERS: u64 = 40;

/// Apart enough that each finds an idle worker.
const APART: Duration = Duration::from_millis(150);

/// Numbers that the backlog's orders do not have.
const FIRST: u64 = 1 << 40;

const BOUND: Duration = Duration::from_secs(30);

/// When each was about to be published, microseconds since 1970.
pub(super) struct Alone(HashMap<OrderId, i64>);

/// Publishes them, and waits a moment for the last.
pub(super) async fn publish(stage: &Stage) -> anyhow::Result<Alone> {
    let producer = FutureProducer::new(stage.client.clone(), ProducerConfig::default(), DefaultContext)?;
    let made = Orders::over(1)?;
    let mut published = HashMap::new();
    for number in FIRST..FIRST + ORDERS {
        let order = made.make(number)?;
        let body = encode_batch(std::iter::once(&EncodedOrder::new(&order))).to_vec();
        published.insert(order.order_id, wall_clock_us()?);
        let sent = producer.send(FutureRecord::to(&stage.topic).payload(body), BOUND).await;
        sent.map_err(|(error, _record)| anyhow::Error::from(error))?;
        sleep(APART).await;
    }
    producer.close(BOUND).await;
    sleep(Duration::from_secs(1)).await;
    Ok(Alone(published))
}

impl Alone {
    pub(super) fn is_of(&self, row: &OrderRow) -> bool {
        self.0.contains_key(&row.order_id)
    }

    /// How long each took, ms.
    pub(super) fn waits_ms(&self, rows: &[OrderRow]) -> anyhow::Result<Option<Spread>> {
        let waits: Vec<f64> = rows
            .iter()
            .filter_map(|row| Some((row.decided_at_us - self.0.get(&row.order_id)?) as f64 / 1_000.0))
            .collect();
        (waits.len() as u64 == ORDERS).then_some(()).context("a lone order is missing")?;
        Ok(Spread::of(waits.into_iter()))
    }
}
