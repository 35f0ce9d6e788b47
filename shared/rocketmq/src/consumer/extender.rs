//! Extends the invisible duration of messages that the client holds.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::receipt::{Receipt, SettleError};
use super::settle::SettleClient;
use crate::config::ConsumerConfig;

/// Maximum extensions in flight.
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
        client: Arc<SettleClient>,
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
                while closed.run_until_cancelled(rounds.tick()).await.is_some() {
                    extender.round(&client, invisible, extend_max).await;
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

    async fn round(&self, client: &SettleClient, invisible: Duration, extend_max: Duration) {
        let now = Instant::now();
        let mut due = Vec::new();
        self.held.lock().unwrap_or_else(PoisonError::into_inner).retain(|held| {
            let Some(receipt) = held.upgrade().filter(|receipt| !receipt.is_settled()) else { return false };
            if receipt.hidden_until() < now + invisible / 2 && receipt.received_at + extend_max > now {
                due.push(receipt);
            }
            true
        });
        stream::iter(due)
            .for_each_concurrent(EXTENSIONS_MAX, |receipt| async move {
                if receipt.is_settled() {
                    return;
                }
                match client.extend(&receipt, invisible).await {
                    Ok(()) => client.counters.extended.add(1),
                    Err(error) => {
                        client.counters.extend_failures.add(1);
                        if let SettleError::Client(error) = error {
                            client.context.error(&error, "extending a message");
                        }
                    }
                }
            })
            .await;
    }
}
