//! Extends the invisible duration of messages that the client holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::receipt::{Receipt, SettleError};
use super::settle::SettleCalls;
use crate::config::ConsumerConfig;
use crate::route::BrokerKey;

/// Maximum extensions in flight to one broker.
const EXTENSIONS_MAX: usize = 16;

/// The held messages, and the task that extends them.
#[derive(Default)]
pub(super) struct InvisibilityExtender {
    /// Each round removes the settled and dropped ones.
    held: Mutex<Vec<Weak<Receipt>>>,
    enabled: bool,
}

impl InvisibilityExtender {
    pub(super) fn start(
        config: &ConsumerConfig,
        calls: Arc<SettleCalls>,
        closed: &CancellationToken,
    ) -> Arc<Self> {
        let extender = Arc::new(Self { held: Mutex::default(), enabled: config.extend_max.is_some() });
        if let Some(extend_max) = config.extend_max {
            let invisible = config.invisible_duration;
            let (extender, closed) = (extender.clone(), closed.clone());
            tokio::spawn(async move {
                // Six rounds in each duration, and an extension below half of it: several rounds may fail.
                let mut rounds = tokio::time::interval(invisible / 6);
                rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut running: HashMap<Arc<BrokerKey>, JoinHandle<()>> = HashMap::new();
                while closed.run_until_cancelled(rounds.tick()).await.is_some() {
                    running.retain(|_, round| !round.is_finished());
                    for (broker, due) in extender.due(invisible, extend_max) {
                        // A broker that does not answer delays its own messages only.
                        running
                            .entry(broker)
                            .or_insert_with(|| tokio::spawn(extend(calls.clone(), due, invisible)));
                    }
                }
            });
        }
        extender
    }

    pub(super) fn watch(&self, receipt: &Arc<Receipt>) {
        if self.enabled {
            self.held.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(receipt));
        }
    }

    /// Returns the receipts to extend now, by broker.
    fn due(&self, invisible: Duration, extend_max: Duration) -> HashMap<Arc<BrokerKey>, Vec<Arc<Receipt>>> {
        let now = Instant::now();
        let mut due: HashMap<_, Vec<_>> = HashMap::new();
        self.held.lock().unwrap_or_else(PoisonError::into_inner).retain(|held| {
            let Some(receipt) = held.upgrade().filter(|receipt| !receipt.is_settled()) else { return false };
            if receipt.hidden_until() < now + invisible / 2 && receipt.received_at + extend_max > now {
                due.entry(receipt.broker.clone()).or_default().push(receipt);
            }
            true
        });
        due
    }
}

/// Extends the receipts of one broker.
async fn extend(calls: Arc<SettleCalls>, due: Vec<Arc<Receipt>>, invisible: Duration) {
    let calls = &calls;
    stream::iter(due)
        .for_each_concurrent(EXTENSIONS_MAX, |receipt| async move {
            if receipt.is_settled() {
                return;
            }
            match calls.extend(&receipt, invisible).await {
                Ok(()) => calls.counters.extended.add(1),
                Err(error) => {
                    calls.counters.extend_failures.add(1);
                    if let SettleError::Client(error) = error {
                        calls.context.error(&error, "extending a message");
                    }
                }
            }
        })
        .await;
}
