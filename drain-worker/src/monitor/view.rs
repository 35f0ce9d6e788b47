//! The pool's status as the API returns it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;
use shared::time::rfc3339_millis;
use time::OffsetDateTime;

use super::flow::Flow;
use super::forecast::{self, Pace, Trend};
use super::health::{Health, STALE};
use crate::control::{Cap, CapSource, Hold, ManualRate, Rate, ScheduleEntry};
use crate::dead_letters::retention;
use crate::metrics::PoolGauges;
use crate::pipeline::LatencyHistogram;
use crate::pool::{LagReport, LimitedBy, PoolSnapshot, WorkerReport, WorkerState};
use crate::store::{DeadLetterTotals, GroupSnapshot, Lease};

/// The names of outcomes, as in [`crate::store::CommitOutcome::as_str`].
pub(super) const OUTCOMES: [&str; 6] =
    ["confirmed", "sold_out", "limit_exceeded", "duplicate", "conflict", "dead_lettered"];

/// RFC 3339 with milliseconds, from microseconds since 1970.
pub(super) fn instant_us(us: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1_000).map(rfc3339_millis).unwrap_or_default()
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CapView {
    /// Maximum orders that the pool commits in any second.
    pub orders_per_second: u32,
    pub source: CapSource,
    pub ramp: Option<ManualView>,
    /// The end of the last hold; `None`: not paused, or until resumed.
    pub paused_until: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
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

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingsView {
    pub revision: i64,
    /// Orders a second.
    pub default: u32,
    pub manual: Option<ManualView>,
    /// Orders a second; `None`: no ceiling.
    pub ceiling: Option<u32>,
    /// The holds in force, oldest first.
    pub holds: Vec<HoldView>,
    pub schedule: Option<ScheduleView>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
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

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScheduleView {
    pub time_zone: String,
    pub entries: Vec<ScheduleEntry>,
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
            schedule: settings.schedule.as_ref().map(|schedule| ScheduleView {
                time_zone: schedule.time_zone().to_owned(),
                entries: schedule.entries().cloned().collect(),
            }),
        }
    }
}

/// Commit latency, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LatencyView {
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

impl LatencyView {
    fn new(latencies: &LatencyHistogram) -> Self {
        Self { p50: latencies.quantile_ms(0.5), p99: latencies.quantile_ms(0.99) }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// When the lag is drained, with the arrivals of this moment and the cap of each moment to come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EtaView {
    pub trend: Trend,
    /// `None`: not within a week.
    pub seconds: Option<f64>,
    pub drained_at: Option<String>,
}

impl EtaView {
    fn new(snapshot: &PoolSnapshot, orders: u64, pace: Pace) -> Self {
        let (settings, now_us) = (&snapshot.group.settings, snapshot.group.now_us);
        let (trend, seconds) = forecast::drained_in(settings, now_us, orders as f64, pace);
        let at = |seconds: f64| instant_us(now_us.saturating_add((seconds * 1_000_000.0) as i64));
        Self { trend, seconds, drained_at: seconds.map(at) }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeadLetterTotalsView {
    pub total: u64,
    pub by_reason: BTreeMap<String, u64>,
    /// Time since the oldest first failed, seconds.
    pub oldest_age_s: Option<f64>,
}

impl DeadLetterTotalsView {
    fn new(totals: &DeadLetterTotals) -> Self {
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

#[derive(Clone, Debug, PartialEq, Serialize)]
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

impl WorkerView {
    fn new(lease: &Lease, report: &WorkerReport, now_us: i64) -> Self {
        let lives = lease.fenced_us.is_none() && lease.expires_us > now_us;
        // The first heartbeat comes before the first report.
        let is_known = lives && report.state != WorkerState::Joining;
        let (state, reason) = if lives {
            (report.state, report.reason.clone())
        } else {
            let why = match lease.fenced_us {
                Some(_) => "no heartbeat in time; its share is released",
                None => "no heartbeat in time; a transaction may still be in flight",
            };
            (WorkerState::LeaseExpired, Some(why.to_owned()))
        };
        Self {
            lease: lease.id.to_string(),
            name: lease.worker.clone(),
            share: if lease.fenced_us.is_some() { 0 } else { lease.share },
            wanted: lease.wanted,
            committed_per_second: if lives {
                is_known.then_some(report.settled_per_second)
            } else {
                Some(0.0)
            },
            commit_ms: if is_known { LatencyView::new(&report.latencies) } else { LatencyView::default() },
            state,
            reason,
            limit: report.limit,
            held_orders: is_known.then_some(report.held_orders),
            joined_at: instant_us(lease.joined_us),
            expires_in_ms: (lease.expires_us - now_us) / 1_000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatusView {
    pub group: String,
    pub worker: String,
    /// The lease, because names may be shared and survive a rejoin.
    #[serde(skip)]
    lease: String,
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
    pub totals: Option<BTreeMap<&'static str, u64>>,
    pub lag: LagView,
    pub eta: Option<EtaView>,
    /// `None`: not known.
    pub dead_letters: Option<DeadLetterTotalsView>,
    pub workers: Vec<WorkerView>,
    pub warnings: Vec<String>,
}

impl StatusView {
    pub(super) fn new(
        snapshot: &PoolSnapshot,
        flow: &Flow,
        letters: Option<&DeadLetterTotals>,
        health: &Health,
        retention_h: NonZeroU32,
    ) -> Self {
        let now_us = snapshot.group.now_us;
        let reports: Vec<WorkerReport> =
            snapshot.group.leases.iter().map(|lease| WorkerReport::parse(&lease.report)).collect();
        let workers: Vec<WorkerView> = snapshot
            .group
            .leases
            .iter()
            .zip(&reports)
            .map(|(lease, report)| WorkerView::new(lease, report, now_us))
            .collect();
        let live = || {
            let pairs = reports.iter().zip(&workers);
            pairs.filter(|(_, worker)| worker.state != WorkerState::LeaseExpired)
        };
        let mut latencies = LatencyHistogram::default();
        live().for_each(|(report, _)| latencies.add(&report.latencies));
        let total = |outcome: &str| {
            reports.iter().map(|report| report.totals.get(outcome).copied().unwrap_or(0)).sum()
        };
        let committed_per_second: f64 = workers.iter().filter_map(|worker| worker.committed_per_second).sum();
        let lag = lag(live().map(|(report, _)| report), flow.orders_per_message());
        let cap = snapshot.group.settings.cap_at(now_us);
        let waiting = lag.messages.zip(lag.orders_per_message).map(|(messages, size)| messages as f64 * size);
        let shares = live().map(|(report, worker)| (worker.share, report));
        let limited_by = forecast::limited_by(&cap, committed_per_second, waiting, shares);
        let arriving_per_second = flow.arriving_per_second();
        let pace = limited_by.zip(arriving_per_second).map(|(limited_by, arriving)| Pace {
            limited_by,
            committed: committed_per_second,
            arriving,
        });
        let eta = pace.zip(lag.orders).map(|(pace, orders)| EtaView::new(snapshot, orders, pace));
        let mut status = Self {
            group: String::new(),
            worker: snapshot.name.clone(),
            lease: snapshot.lease.to_string(),
            now: instant_us(now_us),
            age_s: snapshot.at.elapsed().as_secs_f64(),
            cap: CapView::new(&cap),
            settings: SettingsView::new(&snapshot.group),
            committed_per_second: Some(committed_per_second),
            arriving_per_second,
            receive_failures_per_second: Some(
                live().map(|(report, _)| report.receive_failures_per_second).sum(),
            ),
            limited_by,
            commit_ms: LatencyView::new(&latencies),
            totals: Some(OUTCOMES.iter().map(|&outcome| (outcome, total(outcome))).collect()),
            lag,
            eta,
            dead_letters: letters.map(DeadLetterTotalsView::new),
            workers,
            warnings: Vec::new(),
        };
        status.group.clone_from(&snapshot.group_id);
        status.correct(health);
        status.warnings = status.warn(retention_h);
        status
    }

    /// True if the figures are not known, because this worker does not reach the database.
    pub(super) fn is_stale(&self) -> bool {
        self.age_s > STALE.as_secs_f64()
    }

    pub(super) fn gauges(&self) -> PoolGauges {
        if self.is_stale() {
            return PoolGauges::default();
        }
        let own = self.workers.iter().find(|worker| worker.lease == self.lease);
        let live = self.workers.iter().filter(|worker| worker.state != WorkerState::LeaseExpired).count();
        PoolGauges {
            cap: Some(self.cap.orders_per_second),
            workers: Some(live),
            share: own.map(|worker| worker.share),
            limit: own.map(|worker| worker.limit.map_or(f64::INFINITY, f64::from)),
            lag_messages: self.lag.messages,
            lag_orders: self.lag.orders,
            oldest_s: self.lag.oldest_age_s,
            eta_s: self.eta.as_ref().map(|eta| eta.seconds.unwrap_or(f64::INFINITY)),
            arriving: self.arriving_per_second,
            limited_by: self.limited_by,
        }
    }

    /// Corrects what the last heartbeat could not know, because heartbeats need the database themselves.
    fn correct(&mut self, health: &Health) {
        let is_stale = self.is_stale();
        for worker in &mut self.workers {
            if worker.lease == self.lease {
                (worker.state, worker.reason) = (health.state, health.reason.clone());
            } else if is_stale {
                (worker.state, worker.reason) = (WorkerState::Stale, None);
                worker.held_orders = None;
            }
            if is_stale {
                worker.committed_per_second = None;
                worker.commit_ms = LatencyView::default();
            }
        }
        if is_stale {
            let error = format!("this worker has not reached the database for {} s", self.age_s as u64);
            self.lag = LagView { error: Some(error), ..LagView::default() };
            (self.committed_per_second, self.eta, self.dead_letters) = (None, None, None);
            (self.arriving_per_second, self.receive_failures_per_second) = (None, None);
            (self.limited_by, self.totals) = (None, None);
            self.commit_ms = LatencyView::default();
        }
    }

    /// Seconds.
    #[must_use]
    pub const fn oldest_age_s(&self) -> Option<f64> {
        self.lag.oldest_age_s
    }

    fn warn(&self, retention_h: NonZeroU32) -> Vec<String> {
        let mut warnings = Vec::new();
        let age =
            self.oldest_age_s().filter(|age| age.is_finite() && *age >= 0.0).map(Duration::from_secs_f64);
        warnings.extend(
            age.and_then(|age| retention::warning(age, retention_h)).map(|warning| warning.to_string()),
        );
        if self.is_stale() {
            warnings.push(format!(
                "this worker has not reached the database for {} s; cap and shares are that old",
                self.age_s as u64
            ));
        }
        let of = |state| self.workers.iter().filter(move |worker| worker.state == state).count();
        for (state, text) in [
            (WorkerState::DatabaseDown, "database unavailable for"),
            (WorkerState::BrokerDown, "broker unavailable for"),
            (WorkerState::BackingOff, "database slow; backing off:"),
            (WorkerState::LeaseExpired, "lease expired of"),
            (WorkerState::Cordoned, "cordoned:"),
        ] {
            let workers = of(state);
            if workers > 0 {
                warnings.push(format!("{text} {workers} of {} workers", self.workers.len()));
            }
        }
        warnings
    }
}

/// The lag: the broker's, as one worker scraped it, plus the orders in all workers.
fn lag<'a>(
    reports: impl Iterator<Item = &'a WorkerReport> + Clone,
    orders_per_message: Option<f64>,
) -> LagView {
    let told: Option<&LagReport> = reports.clone().find_map(|report| report.lag.as_ref());
    let held: u64 = reports.clone().map(|report| report.held_orders).sum();
    let held_age = reports.filter_map(|report| report.oldest_held_s).reduce(f64::max);
    let Some(told) = told else {
        let error = Some("no worker has asked the broker yet".to_owned());
        return LagView { error, oldest_age_s: held_age, ..LagView::default() };
    };
    let ready = told.messages_ready;
    let waiting = match ready {
        Some(0) => Some(0.0),
        _ => ready.zip(orders_per_message).map(|(messages, orders)| messages as f64 * orders),
    };
    LagView {
        messages: ready.map(|ready| ready + told.messages_in_flight.unwrap_or(0)),
        orders: waiting.map(|orders| orders.round() as u64 + held),
        orders_per_message,
        oldest_age_s: told.oldest_age_s.or(held_age),
        source: ready.map(|_| told.source.clone()),
        as_of: ready.map(|_| instant_us(told.as_of_ms.saturating_mul(1_000))),
        error: told.error.clone(),
    }
}
