//! Receives messages and reads them.

use std::sync::Arc;
use std::time::Duration;

use shared::envelope::decode_batch;
use shared::rocketmq::StreamConsumer;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::demand::Demand;
use super::{Health, Work};
use crate::metrics;

const RETRY_MAX: Duration = Duration::from_secs(5);

/// Receives until `shutdown`. A receive under way is waited for: what it brings would otherwise stay hidden from
/// everybody until its time is over.
pub(super) async fn fetch(
    consumer: StreamConsumer,
    demand: Arc<Demand>,
    health: Health,
    fetched: mpsc::Sender<Work>,
    shutdown: CancellationToken,
) {
    let mut failures = 0_u32;
    let next = async || {
        // A database that is down takes nothing: nothing is received, so no attempt is burnt.
        health.until_up().await;
        demand.allow().await
    };
    while let Some(allowance) = shutdown.run_until_cancelled(next()).await {
        let messages = match consumer.receive(allowance.messages).await {
            Ok(messages) => {
                failures = 0;
                messages
            }
            Err(error) => {
                demand.received(allowance, &[]);
                failures += 1;
                metrics::receive_failed();
                // The first may be a passing break that the next receive mends.
                if failures > 1 {
                    tracing::warn!(%error, failures, "receiving fails; trying again");
                }
                let wait = Duration::from_millis(100 << failures.min(6)).min(RETRY_MAX);
                shutdown.run_until_cancelled(sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0))).await;
                continue;
            }
        };
        let work: Vec<_> = messages
            .into_iter()
            .map(|message| {
                let content = decode_batch(message.payload());
                Work { message, content }
            })
            .collect();
        let orders: Vec<_> = work.iter().map(Work::orders).collect();
        metrics::received(work.len(), orders.iter().sum());
        let accepted = work
            .iter()
            .filter_map(|work| work.content.as_ref().ok())
            .flatten()
            .map(|order| order.accepted_at);
        if let Some(oldest) = accepted.min() {
            demand.saw(oldest);
        }
        demand.received(allowance, &orders);
        for work in work {
            // Closed only when the drain has failed; the message is then given back by being dropped.
            if fetched.send(work).await.is_err() {
                return;
            }
        }
    }
}
