//! Receives messages and decodes them.

use std::sync::Arc;
use std::time::Duration;

use shared::retry::Backoff;
use shared::rocketmq::StreamConsumer;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::receive_budget::ReceiveBudget;
use super::receive_pacer::ReceivePacer;
use super::{BrokerHealth, CircuitBreaker, DecodedMessage};
use crate::message;
use crate::metrics;

const RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// Receives until `shutdown`. A receive in flight is awaited: otherwise its messages would stay hidden for their
/// invisible duration.
pub(super) async fn receive_loop(
    consumer: StreamConsumer,
    budget: Arc<ReceiveBudget>,
    pacer: Arc<ReceivePacer>,
    breaker: CircuitBreaker,
    broker: BrokerHealth,
    received: mpsc::Sender<DecodedMessage>,
    shutdown: CancellationToken,
) {
    let mut failures = 0_u32;
    let next = async || {
        // Nothing is received while the database is down, so no delivery attempt is spent.
        breaker.until_closed().await;
        pacer.begin(consumer.brokers()).await;
        budget.acquire().await
    };
    while let Some(permit) = shutdown.run_until_cancelled(next()).await {
        let messages = match consumer.receive(permit.messages).await {
            Ok(messages) => {
                failures = 0;
                pacer.end(messages.len() >= permit.messages);
                broker.record_success();
                messages
            }
            Err(error) => {
                pacer.end(false);
                budget.record_received(permit, &[]);
                failures += 1;
                broker.record_failure(error.to_string());
                metrics::receive_failed();
                // The first failure may be a short interruption that the next receive survives.
                if failures > 1 {
                    tracing::warn!(event = "receive_failed", %error, failures, "cannot receive messages; retrying");
                }
                shutdown.run_until_cancelled(sleep(RETRY.delay(failures))).await;
                continue;
            }
        };
        let work: Vec<_> = messages
            .into_iter()
            .map(|message| {
                let content = message::decode(&message);
                DecodedMessage { message, content }
            })
            .collect();
        let orders: Vec<_> = work.iter().map(DecodedMessage::orders).collect();
        metrics::received(work.len(), orders.iter().sum());
        let accepted = work
            .iter()
            .filter_map(|work| work.content.as_ref().ok())
            .flatten()
            .map(|order| order.accepted_at);
        if let Some(oldest) = accepted.min() {
            budget.record_oldest(oldest);
        }
        budget.record_received(permit, &orders);
        for work in work {
            // Closed only when the pipeline has failed; dropping the message nacks it.
            if received.send(work).await.is_err() {
                return;
            }
        }
    }
}
