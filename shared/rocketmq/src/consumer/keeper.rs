//! Keeps held messages hidden: extends each before its invisibility lapses.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::lease::{Lease, SettleError};
use super::settle::Wire;
use crate::config::ConsumerConfig;

/// Most extensions under way at once.
const EXTENSIONS_MAX: usize = 16;

/// The messages held, and the task that looks after them.
#[derive(Default)]
pub(super) struct Keeper {
    /// Settled and dropped ones are swept out at each round.
    held: Mutex<Vec<Weak<Lease>>>,
    enabled: bool,
}

impl Keeper {
    pub(super) fn start(config: &ConsumerConfig, wire: Arc<Wire>, closed: &CancellationToken) -> Arc<Self> {
        let keeper = Arc::new(Self { held: Mutex::default(), enabled: config.extend_max.is_some() });
        if let Some(extend_max) = config.extend_max {
            let invisible = config.invisible_duration;
            let (keeper, closed) = (keeper.clone(), closed.clone());
            tokio::spawn(async move {
                // Six rounds in each duration, and an extension at less than half: several rounds may fail.
                let mut rounds = tokio::time::interval(invisible / 6);
                rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while closed.run_until_cancelled(rounds.tick()).await.is_some() {
                    keeper.round(&wire, invisible, extend_max).await;
                }
            });
        }
        keeper
    }

    pub(super) fn watch(&self, lease: &Arc<Lease>) {
        if self.enabled {
            self.held.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(lease));
        }
    }

    async fn round(&self, wire: &Wire, invisible: Duration, extend_max: Duration) {
        let now = Instant::now();
        let mut due = Vec::new();
        self.held.lock().unwrap_or_else(PoisonError::into_inner).retain(|held| {
            let Some(lease) = held.upgrade().filter(|lease| !lease.is_settled()) else { return false };
            if lease.hidden_until() < now + invisible / 2 && lease.received_at + extend_max > now {
                due.push(lease);
            }
            true
        });
        stream::iter(due)
            .for_each_concurrent(EXTENSIONS_MAX, |lease| async move {
                if lease.is_settled() {
                    return;
                }
                match wire.extend(&lease, invisible).await {
                    Ok(()) => wire.counters.extended.add(1),
                    Err(error) => {
                        wire.counters.extend_failures.add(1);
                        if let SettleError::Client(error) = error {
                            wire.context.error(&error, "extending a message");
                        }
                    }
                }
            })
            .await;
    }
}
