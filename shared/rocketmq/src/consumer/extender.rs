//! Extends the invisible duration of messages that the client holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::held::HeldReceipts;
use super::receipt::{Receipt, SettleError};
use super::settle::SettleCalls;
use crate::config::ConsumerConfig;
use crate::route::BrokerKey;

/// Maximum extensions in flight to one broker.
const EXTENSIONS_MAX: usize = 16;

/// Starts the task that extends the held receipts until `closed`, if the configuration wants them extended.
pub(super) fn start(
    config: &ConsumerConfig,
    held: Arc<HeldReceipts>,
    calls: Arc<SettleCalls>,
    closed: &CancellationToken,
) {
    let Some(extend_max) = config.extend_max else { return };
    let (invisible, closed) = (config.invisible_duration, closed.clone());
    tokio::spawn(async move {
        // Six rounds in each duration, and an extension below half of it: several rounds may fail.
        let mut rounds = tokio::time::interval(invisible / 6);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running: HashMap<Arc<BrokerKey>, JoinHandle<()>> = HashMap::new();
        while closed.run_until_cancelled(rounds.tick()).await.is_some() {
            running.retain(|_, round| !round.is_finished());
            for (broker, due) in due(&held, invisible, extend_max) {
                // A broker that does not answer delays its own messages only.
                running.entry(broker).or_insert_with(|| tokio::spawn(extend(calls.clone(), due, invisible)));
            }
        }
    });
}

/// Returns the receipts to extend now, by broker.
fn due(
    held: &HeldReceipts,
    invisible: Duration,
    extend_max: Duration,
) -> HashMap<Arc<BrokerKey>, Vec<Arc<Receipt>>> {
    let now = Instant::now();
    let mut due: HashMap<_, Vec<_>> = HashMap::new();
    held.for_each(|receipt| {
        if receipt.hidden_until() < now + invisible / 2 && receipt.received_at + extend_max > now {
            due.entry(receipt.broker.clone()).or_default().push(receipt.clone());
        }
    });
    due
}

/// Extends the receipts of one broker.
async fn extend(calls: Arc<SettleCalls>, due: Vec<Arc<Receipt>>, invisible: Duration) {
    let calls = &calls;
    stream::iter(due)
        .for_each_concurrent(EXTENSIONS_MAX, |receipt| async move {
            let mut handle = receipt.handle().await;
            // Checked while the handle is locked: a settlement marks the receipt first, then reads the handle.
            if receipt.is_settled() {
                return;
            }
            match calls.extend(&receipt, &mut handle, invisible).await {
                Ok(()) => calls.counters.extended.add(1),
                Err(error) => {
                    calls.counters.extend_failures.add(1);
                    if let SettleError::Client(error) = error {
                        calls.context.error(&error, &receipt.origin("extending a message"));
                    }
                }
            }
        })
        .await;
}
