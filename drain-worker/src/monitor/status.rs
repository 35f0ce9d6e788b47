//! The pool's status, computed from a snapshot.

use std::num::NonZeroU32;
use std::time::Duration;

use super::flow::Flow;
use super::forecast::{self, Pace};
use super::health::{Health, STALE};
use super::view::{
    CapView, DeadLetterTotalsView, EtaView, LagView, LatencyView, SettingsView, StatusView, WarningView,
    WorkerView, instant_us,
};
use crate::dead_letters::retention::{self, RetentionWarning};
use crate::metrics::PoolGauges;
use crate::pipeline::LatencyHistogram;
use crate::pool::{LagReport, PoolSnapshot, WorkerReport, WorkerState};
use crate::store::{DeadLetterTotals, Lease};

/// The names of outcomes, as in [`crate::store::CommitOutcome::as_str`].
pub(super) const OUTCOMES: [&str; 6] =
    ["confirmed", "sold_out", "limit_exceeded", "duplicate", "conflict", "dead_lettered"];

impl StatusView {
    pub(super) fn new(
        snapshot: &PoolSnapshot,
        flow: &Flow,
        letters: Option<&DeadLetterTotals>,
        health: &Health,
        is_cordoned: bool,
        retention_h: NonZeroU32,
    ) -> Self {
        let (group, age) = (&snapshot.group, snapshot.at.elapsed());
        let is_stale = age > STALE;
        let workers = group.leases.iter().map(|lease| worker(snapshot, lease, health, is_stale));
        let error = format!("this worker has not reached the database for {} s", age.as_secs());
        let unknown = Self {
            group: snapshot.group_id.clone(),
            worker: snapshot.name.clone(),
            is_cordoned,
            lease: snapshot.lease.to_string(),
            now: instant_us(group.now_us),
            age_s: age.as_secs_f64(),
            cap: CapView::new(&group.settings.cap_at(group.now_us)),
            settings: SettingsView::new(group),
            committed_per_second: None,
            arriving_per_second: None,
            receive_failures_per_second: None,
            limited_by: None,
            commit_ms: LatencyView::default(),
            totals: None,
            lag: LagView { error: Some(error), ..LagView::default() },
            eta: None,
            dead_letters: None,
            workers: workers.collect(),
            warnings: Vec::new(),
        };
        let status = if is_stale { unknown } else { unknown.with_figures(snapshot, flow, letters) };
        Self { warnings: status.warnings(retention_h), ..status }
    }

    /// Adds what is known while this worker reaches the database.
    fn with_figures(self, snapshot: &PoolSnapshot, flow: &Flow, letters: Option<&DeadLetterTotals>) -> Self {
        let group = &snapshot.group;
        let live = || {
            let live = group.leases.iter().filter(|lease| lease.is_live(group.now_us));
            live.filter_map(|lease| Some((lease.share, snapshot.reports.get(&lease.id)?.as_ref())))
        };
        let mut latencies = LatencyHistogram::default();
        live().for_each(|(_, report)| latencies.add(&report.latencies));
        let reports = || group.leases.iter().filter_map(|lease| snapshot.reports.get(&lease.id));
        let total = |outcome: &str| reports().filter_map(|report| report.totals.get(outcome)).sum();
        let committed: f64 = self.workers.iter().filter_map(|worker| worker.committed_per_second).sum();
        let lag = lag(live().map(|(_, report)| report), flow.orders_per_message());
        let waiting = lag.messages.zip(lag.orders_per_message).map(|(messages, size)| messages as f64 * size);
        let cap = group.settings.cap_at(group.now_us);
        let limited_by = forecast::limited_by(&cap, committed, waiting, live());
        let arriving_per_second = flow.arriving_per_second();
        let pace = limited_by.zip(arriving_per_second);
        let eta = pace.zip(lag.orders).map(|((limited_by, arriving), orders)| {
            let pace = Pace { limited_by, committed, arriving };
            let (trend, seconds) = forecast::drained_in(&group.settings, group.now_us, orders as f64, pace);
            let at = |seconds: f64| instant_us(group.now_us.saturating_add((seconds * 1_000_000.0) as i64));
            EtaView { trend, seconds, drained_at: seconds.map(at) }
        });
        Self {
            committed_per_second: Some(committed),
            arriving_per_second,
            receive_failures_per_second: Some(
                live().map(|(_, report)| report.receive_failures_per_second).sum(),
            ),
            limited_by,
            commit_ms: LatencyView::new(&latencies),
            totals: Some(OUTCOMES.iter().map(|&outcome| (outcome.to_owned(), total(outcome))).collect()),
            lag,
            eta,
            dead_letters: letters.map(DeadLetterTotalsView::new),
            ..self
        }
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

    /// The warning about messages that the broker may soon drop.
    pub(super) fn retention_warning(&self, retention_h: NonZeroU32) -> Option<RetentionWarning> {
        let age = Duration::try_from_secs_f64(self.lag.oldest_age_s?).ok()?;
        retention::warning(age, retention_h)
    }

    fn warnings(&self, retention_h: NonZeroU32) -> Vec<WarningView> {
        let mut warnings: Vec<_> = self
            .retention_warning(retention_h)
            .iter()
            .map(|warning| WarningView::new("retention_near", warning.to_string()))
            .collect();
        if self.is_stale() {
            let text = format!(
                "this worker has not reached the database for {} s; cap and shares are that old",
                self.age_s as u64
            );
            warnings.push(WarningView::new("stale", text));
        }
        let of = |state| self.workers.iter().filter(move |worker| worker.state == state).count();
        for (state, code, text) in [
            (WorkerState::DatabaseDown, "database_down", "database unavailable for"),
            (WorkerState::BrokerDown, "broker_down", "broker unavailable for"),
            (WorkerState::BackingOff, "backing_off", "database slow; backing off:"),
            (WorkerState::LeaseExpired, "lease_expired", "lease expired of"),
            (WorkerState::Cordoned, "cordoned", "cordoned:"),
        ] {
            let workers = of(state);
            if workers > 0 {
                let text = format!("{text} {workers} of {} workers", self.workers.len());
                warnings.push(WarningView::new(code, text));
            }
        }
        warnings
    }
}

/// A worker by its lease and its report. This worker's own state is known without the database (`health`).
fn worker(snapshot: &PoolSnapshot, lease: &Lease, health: &Health, is_stale: bool) -> WorkerView {
    let now_us = snapshot.group.now_us;
    let (is_own, is_live) = (lease.id == snapshot.lease, lease.is_live(now_us));
    let report = snapshot.reports.get(&lease.id).filter(|_| is_live);
    let (state, reason) = if is_own {
        (health.state, health.reason.clone())
    } else if is_stale {
        (WorkerState::Stale, None)
    } else if is_live {
        report.map_or((WorkerState::Joining, None), |report| (report.state, report.reason.clone()))
    } else {
        let why = match lease.fenced_us {
            Some(_) => "no heartbeat in time; its share is released",
            None => "no heartbeat in time; a transaction may still be in flight",
        };
        (WorkerState::LeaseExpired, Some(why.to_owned()))
    };
    let present = report.filter(|_| !is_stale);
    WorkerView {
        lease: lease.id.to_string(),
        name: lease.worker.clone(),
        share: if lease.fenced_us.is_some() { 0 } else { lease.share },
        wanted: lease.wanted,
        committed_per_second: match present {
            Some(report) => Some(report.settled_per_second),
            None => (!is_live && !is_stale).then_some(0.0),
        },
        commit_ms: present.map(|report| LatencyView::new(&report.latencies)).unwrap_or_default(),
        state,
        reason,
        limit: report.and_then(|report| report.limit),
        held_orders: report.filter(|_| is_own || !is_stale).map(|report| report.held_orders),
        joined_at: instant_us(lease.joined_us),
        expires_in_ms: (lease.expires_us - now_us) / 1_000,
    }
}

/// The lag: the broker's, as one worker scraped it, plus the orders in all workers.
fn lag<'a>(
    reports: impl Iterator<Item = &'a WorkerReport> + Clone,
    orders_per_message: Option<f64>,
) -> LagView {
    let report: Option<&LagReport> = reports.clone().find_map(|report| report.lag.as_ref());
    let held: u64 = reports.clone().map(|report| report.held_orders).sum();
    let held_age = reports.filter_map(|report| report.oldest_held_s).reduce(f64::max);
    let Some(report) = report else {
        let error = Some("no worker has asked the broker yet".to_owned());
        return LagView { error, oldest_age_s: held_age, ..LagView::default() };
    };
    let ready = report.messages_ready;
    let waiting = match ready {
        Some(0) => Some(0.0),
        _ => ready.zip(orders_per_message).map(|(messages, orders)| messages as f64 * orders),
    };
    LagView {
        messages: ready.map(|ready| ready + report.messages_in_flight.unwrap_or(0)),
        orders: waiting.map(|orders| orders.round() as u64 + held),
        orders_per_message,
        oldest_age_s: report.oldest_age_s.or(held_age),
        source: ready.map(|_| report.source.clone()),
        as_of: ready.map(|_| instant_us(report.as_of_ms.saturating_mul(1_000))),
        error: report.error.clone(),
    }
}
