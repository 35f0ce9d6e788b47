//! Keeps the metrics of the letters that wait for somebody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::store::LetterStore;

/// How often the letters are counted. The count reads an index only.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Counts the letters every `every`, until `shutdown`. What cannot be counted keeps its last value.
pub async fn keep<S: LetterStore>(store: Arc<S>, every: Duration, shutdown: CancellationToken) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = BTreeSet::new();
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        match store.letter_totals().await {
            Ok(totals) => {
                seen.extend(totals.by_reason.keys().cloned());
                metrics::dead_letters(&totals, &seen);
            }
            Err(error) => tracing::debug!(%error, "dead letters cannot be counted"),
        }
    }
}
