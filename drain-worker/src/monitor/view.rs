//! The pool's status and settings as the API returns them and the command line reads them. Instants are RFC 3339.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::time::rfc3339_millis;
use time::OffsetDateTime;

use super::forecast::Trend;
use crate::control::{Cap, CapSource, Hold, ManualRate, Rate, Schedule};
use crate::pipeline::LatencyHistogram;
use crate::pool::{LimitedBy, WorkerState};
use crate::store::{DeadLetterTotals, GroupSnapshot};

/// RFC 3339 with milliseconds, from microseconds since 1970.
pub(crate) fn instant_us(us: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1_000).map(rfc3339_millis).unwrap_or_default()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapView {
    /// Maximum orders that the pool commits in any second.
    pub orders_per_second: u32,
    pub source: CapSource,
    pub ramp: Option<ManualView>,
    /// The end of the last hold; `None`: not paused, or until resumed.
    pub paused_until: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManualView {
    /// Orders a second.
    pub from: u32,
    /// Orders a second.
    pub to: u32,
    pub began_at: String,
    pub ends_at: String,
}

impl From<ManualRate> for ManualView {
    fn from(manual: ManualRate) -> Self {
        Self {
            from: manual.from.get(),
            to: manual.to.get(),
            began_at: instant_us(manual.began_us),
            ends_at: instant_us(manual.ends_us),
        }
    }
}

impl CapView {
    pub(crate) fn new(cap: &Cap) -> Self {
        Self {
            orders_per_second: cap.orders_per_second,
            source: cap.source,
            ramp: cap.ramp.map(ManualView::from),
            paused_until: cap.paused_until_us.map(instant_us),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettingsView {
    pub revision: i64,
    /// Orders a second.
    pub default: u32,
    pub manual: Option<ManualView>,
    /// Orders a second; `None`: no ceiling.
    pub ceiling: Option<u32>,
    /// The holds in force, oldest first.
    pub holds: Vec<HoldView>,
    pub schedule: Option<Schedule>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldView {
    pub id: i64,
    /// Empty: not stated.
    pub owner: String,
    /// Empty: not stated.
    pub reason: String,
    pub since: String,
    /// `None`: until it is removed.
    pub until: Option<String>,
}

impl From<&Hold> for HoldView {
    fn from(hold: &Hold) -> Self {
        Self {
            id: hold.id,
            owner: hold.owner.clone(),
            reason: hold.reason.clone(),
            since: instant_us(hold.since_us),
            until: hold.until_us.map(instant_us),
        }
    }
}

impl SettingsView {
    pub(crate) fn new(group: &GroupSnapshot) -> Self {
        let settings = &group.settings;
        Self {
            revision: group.revision,
            default: settings.default.get(),
            manual: settings.manual.map(ManualView::from),
            ceiling: settings.ceiling.map(Rate::get),
            holds: settings.holds_at(group.now_us).map(HoldView::from).collect(),
            schedule: settings.schedule.clone(),
        }
    }
}

/// Commit latency, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyView {
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

impl LatencyView {
    pub(super) fn new(latencies: &LatencyHistogram) -> Self {
        Self { p50: latencies.quantile_ms(0.5), p99: latencies.quantile_ms(0.99) }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LagView {
    /// Messages on the broker that are ready, plus those in flight where the broker reports them.
    pub messages: Option<u64>,
    /// Orders on the broker and in the workers, estimated by the orders per message. `None` also while messages wait
    /// and no worker has received any.
    pub orders: Option<u64>,
    /// The average of the messages that the pool received last.
    pub orders_per_message: Option<f64>,
    /// Age of the oldest, seconds: by the broker, else of the orders in the workers.
    pub oldest_age_s: Option<f64>,
    pub source: Option<String>,
    pub as_of: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// When the lag is drained, with the arrivals of this moment and the cap of each moment to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EtaView {
    pub trend: Trend,
    /// `None`: not within a week.
    pub seconds: Option<f64>,
    pub drained_at: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeadLetterTotalsView {
    pub total: u64,
    pub by_reason: BTreeMap<String, u64>,
    /// Time since the oldest first failed, seconds.
    pub oldest_age_s: Option<f64>,
}

impl DeadLetterTotalsView {
    pub(super) fn new(totals: &DeadLetterTotals) -> Self {
        let by_reason: BTreeMap<_, _> =
            totals.by_reason.iter().map(|(reason, total)| (reason.clone(), total.letters)).collect();
        let oldest = totals.by_reason.values().map(|total| total.oldest_age_ms).max();
        Self {
            total: by_reason.values().sum(),
            by_reason,
            oldest_age_s: oldest.map(|ms| ms as f64 / 1_000.0),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    pub lease: String,
    pub name: String,
    /// Orders a second.
    pub share: u32,
    /// Orders a second.
    pub wanted: u32,
    /// Orders a second; `None`: not known.
    pub committed_per_second: Option<f64>,
    pub commit_ms: LatencyView,
    pub state: WorkerState,
    pub reason: Option<String>,
    pub limit: Option<u32>,
    /// `None`: not known.
    pub held_orders: Option<u64>,
    pub joined_at: String,
    /// Time until the lease expires; negative: since then.
    pub expires_in_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    pub group: String,
    pub worker: String,
    /// True if the worker that answers is cordoned. Its state may be another one: a cordoned worker can lose the database.
    pub is_cordoned: bool,
    /// The lease, because names may be shared and survive a rejoin.
    #[serde(skip)]
    pub(super) lease: String,
    pub now: String,
    /// Time since this worker reached the database, seconds. After three seconds the figures are not known.
    pub age_s: f64,
    pub cap: CapView,
    pub settings: SettingsView,
    /// Orders a second of all workers, over about the last two seconds; `None`: not known.
    pub committed_per_second: Option<f64>,
    /// Orders that are published a second, over about the last quarter of a minute; `None`: not known.
    pub arriving_per_second: Option<f64>,
    /// Receives of all workers that failed a second; `None`: not known.
    pub receive_failures_per_second: Option<f64>,
    /// `None`: not known.
    pub limited_by: Option<LimitedBy>,
    /// Over all workers and about the last ten seconds.
    pub commit_ms: LatencyView,
    /// By outcome, since the live workers started; `None`: not known.
    pub totals: Option<BTreeMap<String, u64>>,
    pub lag: LagView,
    pub eta: Option<EtaView>,
    /// `None`: not known.
    pub dead_letters: Option<DeadLetterTotalsView>,
    pub workers: Vec<WorkerView>,
    pub warnings: Vec<WarningView>,
}

/// A state that needs an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningView {
    /// Stable, for programs and translations.
    pub code: String,
    pub text: String,
}

impl WarningView {
    pub(super) fn new(code: &str, text: String) -> Self {
        Self { code: code.to_owned(), text }
    }
}
