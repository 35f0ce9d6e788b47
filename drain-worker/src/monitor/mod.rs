//! Collects the pool's state once a second: for the status, the history behind the plots, and the metrics.
//!
//! Every worker knows the whole pool, because its heartbeats return the other workers' reports. Only the lag comes
//! from elsewhere: one worker of the pool scrapes it and puts it into its report.

mod flow;
mod forecast;
mod health;
mod history;
mod status;
mod view;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

pub use forecast::Trend;
pub use health::Health;
use history::History;
pub use history::{HistorySample, HistoryStep, MINUTES_MAX, SECONDS_MAX};
pub(crate) use view::instant_us as rfc3339_us;
pub use view::{
    CapView, DeadLetterTotalsView, EtaView, HoldView, LagView, LatencyView, SettingsView, StatusView,
    WarningView, WorkerView,
};

use crate::lag::LagSource;
use crate::metrics::{self, PoolGauges};
use crate::pipeline::Cordon;
use crate::pool::{LagReport, LagSlot, LimitedBy, PoolSnapshot, WorkerSignals};
use crate::store::{DeadLetterTotals, Store};

const STEP: Duration = Duration::from_secs(1);

/// Interval of counting dead letters, in steps. The count reads an index only.
const LETTERS_EVERY: u64 = 5;

/// Interval of the retention warning, in steps.
const WARN_EVERY: u64 = 60;

/// Interval of the `pool_status` log line, in steps. Where metrics are not collected, alerts use this line: if it is
/// missing, no worker is running.
const LINE_EVERY: u64 = 60;

/// Maximum duration of a lag query, and of a query to the database.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
struct MonitorState {
    flow: flow::Flow,
    history: History,
    /// `None`: the last count failed.
    letters: Option<DeadLetterTotals>,
}

/// Clones share one state.
#[derive(Clone, Debug)]
pub struct Monitor {
    state: Arc<Mutex<MonitorState>>,
    snapshot: watch::Receiver<Option<Arc<PoolSnapshot>>>,
    signals: WorkerSignals,
    stopping: CancellationToken,
    retention_h: NonZeroU32,
}

impl Monitor {
    /// Observes the pool through a member's `snapshot` and this worker's own `signals`: without the database there is no
    /// new snapshot. `stopping` is cancelled when the worker is asked to stop. The broker stores messages for
    /// `retention_h` hours.
    #[must_use]
    pub fn new(
        snapshot: watch::Receiver<Option<Arc<PoolSnapshot>>>,
        signals: WorkerSignals,
        stopping: CancellationToken,
        retention_h: NonZeroU32,
    ) -> Self {
        Self { state: Arc::default(), snapshot, signals, stopping, retention_h }
    }

    /// This worker's state at this moment.
    #[must_use]
    pub fn health(&self) -> Health {
        let snapshot = self.snapshot.borrow().clone();
        Health::of(snapshot.as_deref(), &self.signals, self.stopping.is_cancelled())
    }

    /// Sets the gauges of worker and pool to the values of this moment. Unknown ones are left out.
    pub fn publish(&self) {
        metrics::ready(self.health().is_ready());
        metrics::pool(&self.status().map_or_else(PoolGauges::default, |status| status.gauges()));
    }

    fn lock(&self) -> MutexGuard<'_, MonitorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current status. `None`: this worker has not joined yet.
    #[must_use]
    pub fn status(&self) -> Option<StatusView> {
        let snapshot = self.snapshot.borrow().clone()?;
        let health = self.health();
        let state = self.lock();
        let is_cordoned = self.signals.cordon.is_set();
        let (flow, letters) = (&state.flow, state.letters.as_ref());
        Some(StatusView::new(&snapshot, flow, letters, &health, is_cordoned, self.retention_h))
    }

    /// The cordon of this worker.
    #[must_use]
    pub const fn cordon(&self) -> &Cordon {
        &self.signals.cordon
    }

    /// Records the current snapshot, for [`Self::status`] and [`Self::history`]; once a second.
    pub fn sample(&self) {
        let Some(snapshot) = self.snapshot.borrow().clone() else { return };
        self.lock().flow.observe(&snapshot);
        let Some(status) = self.status() else { return };
        // A plot shows a gap where nothing is known.
        if !status.is_stale() {
            self.lock().history.push(&snapshot, &status, Instant::now());
        }
    }

    /// The last quarter of an hour by second, or the last day by minute: the samples after `since_us`, µs by the
    /// database's clock, or all, oldest first.
    #[must_use]
    pub fn history(&self, step: HistoryStep, since_us: Option<i64>) -> Vec<HistorySample> {
        self.lock().history.samples(step, since_us)
    }

    /// True if the pool is paused, by `store`: the last snapshot may be a heartbeat older than a pause or a resume that an
    /// operator has just made. If the store does not answer within 3 s, by that snapshot.
    pub async fn is_paused(&self, store: &Store) -> bool {
        let Some(snapshot) = self.snapshot.borrow().clone() else { return false };
        let answer = timeout(ASK_TIMEOUT, store.read_group(&snapshot.group_id)).await;
        let read = answer.ok().and_then(Result::ok).flatten();
        let group = read.as_ref().unwrap_or(&snapshot.group);
        group.settings.cap_at(group.now_us).orders_per_second == 0
    }

    /// Collects once a second until `shutdown`.
    pub async fn run<L: LagSource>(
        self,
        store: Arc<Store>,
        lag: L,
        slot: LagSlot,
        shutdown: CancellationToken,
    ) {
        let mut ticks = interval(STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reasons = std::collections::BTreeSet::new();
        let mut step = 0_u64;
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(snapshot) = self.snapshot.borrow().clone() else { continue };
            // One worker scrapes for the whole pool.
            slot.set(if leads(&snapshot) { Some(ask(&lag).await) } else { None });
            self.sample();
            let Some(status) = self.status() else { continue };
            let gauges = status.gauges();
            if step.is_multiple_of(LINE_EVERY) {
                let limited_by = status.limited_by.map(LimitedBy::as_str);
                tracing::info!(
                    event = "pool_status",
                    cap = gauges.cap,
                    workers = gauges.workers,
                    share = gauges.share,
                    adaptive_limit = gauges.limit,
                    committed_per_second = status.committed_per_second,
                    arriving_per_second = status.arriving_per_second,
                    limited_by,
                    messages_waiting = gauges.lag_messages,
                    oldest_age_s = gauges.oldest_s,
                    "pool status"
                );
                shared::telemetry::log_suppressed();
            }
            if step.is_multiple_of(WARN_EVERY)
                && let Some(warning) = status.retention_warning(self.retention_h)
            {
                warning.log();
            }
            if step.is_multiple_of(LETTERS_EVERY) {
                let totals = count_letters(&store).await;
                reasons.extend(totals.iter().flat_map(|totals| totals.by_reason.keys().cloned()));
                metrics::dead_letters(totals.as_ref(), &reasons);
                self.lock().letters = totals;
            }
            step += 1;
        }
    }
}

async fn count_letters(store: &Store) -> Option<DeadLetterTotals> {
    match timeout(ASK_TIMEOUT, store.dead_letter_totals()).await {
        Ok(Ok(totals)) => return Some(totals),
        Ok(Err(error)) => {
            tracing::debug!(event = "dead_letter_count_failed", %error, "cannot count dead letters; retrying");
        }
        Err(_elapsed) => {
            tracing::debug!(
                event = "dead_letter_count_failed",
                "counting dead letters takes too long; retrying"
            );
        }
    }
    None
}

/// True if this worker has the first of the live leases.
fn leads(snapshot: &PoolSnapshot) -> bool {
    let live = snapshot.group.leases.iter().filter(|lease| lease.is_live(snapshot.group.now_us));
    live.map(|lease| lease.id).min().is_none_or(|first| first == snapshot.lease)
}

async fn ask(lag: &impl LagSource) -> LagReport {
    match timeout(ASK_TIMEOUT, lag.lag()).await {
        Ok(Ok(lag)) => LagReport {
            messages_ready: Some(lag.messages_ready),
            messages_in_flight: lag.messages_in_flight,
            oldest_age_s: lag.oldest_age.map(|age| age.as_secs_f64()),
            source: lag.kind.name().to_owned(),
            as_of_ms: i64::try_from(lag.as_of.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX),
            error: None,
        },
        Ok(Err(error)) => LagReport { error: Some(error.to_string()), ..LagReport::default() },
        Err(_elapsed) => LagReport { error: Some("lag query timed out".to_owned()), ..LagReport::default() },
    }
}
