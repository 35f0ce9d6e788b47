//! A worker's report to the pool.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::limit::{LimitSigns, LimitedBy};
use crate::adaptive_limit::AdaptiveLimit;
use crate::pipeline::{
    BreakerState, BrokerHealth, CircuitBreaker, Cordon, InFlightOrders, LatencyHistogram, OutcomeTotals,
    StatsDelta, WriterStats,
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    #[default]
    Joining,
    Draining,
    Idle,
    /// The pool is paused.
    Paused,
    /// Receives nothing, because an operator cordoned it; the orders that it holds are committed.
    Cordoned,
    /// Commits less than its share, because the database is slow.
    BackingOff,
    /// The circuit breaker is open; one of the writers retries.
    DatabaseDown,
    /// Receives fail; the orders that the worker holds are committed.
    BrokerDown,
    Stopping,
    /// The lease expired without a heartbeat; the worker may not commit. Set by the other workers.
    LeaseExpired,
    /// Not known, because the worker that is asked has not reached the database for some time. Set by that worker.
    Stale,
}

impl WorkerState {
    /// The name used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Draining => "draining",
            Self::Idle => "idle",
            Self::Paused => "paused",
            Self::Cordoned => "cordoned",
            Self::BackingOff => "backing_off",
            Self::DatabaseDown => "database_down",
            Self::BrokerDown => "broker_down",
            Self::Stopping => "stopping",
            Self::LeaseExpired => "lease_expired",
            Self::Stale => "stale",
        }
    }
}

/// The report that each heartbeat stores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerReport {
    /// The time of the report, milliseconds since 1970 by the worker's clock.
    pub at_ms: i64,
    pub state: WorkerState,
    /// The reason of the state, if it has one; without personal data.
    pub reason: Option<String>,
    /// Orders a second, over about the last two seconds.
    pub settled_per_second: f64,
    /// Since the worker started, by outcome.
    pub totals: OutcomeTotals,
    /// Covers about the last ten seconds.
    pub latencies: LatencyHistogram,
    pub held_orders: u64,
    /// Age of the oldest received order since its acceptance, seconds.
    pub oldest_held_s: Option<f64>,
    /// Since the worker started.
    pub messages_received: u64,
    /// In those messages.
    pub orders_received: u64,
    /// Receives a second that failed, over about the last two seconds.
    pub receive_failures_per_second: f64,
    /// The worker's own view, without the lag.
    pub limited_by: Option<LimitedBy>,
    /// The adaptive limit, orders a second.
    pub limit: Option<u32>,
    /// From the one worker that scrapes for all.
    pub lag: Option<LagReport>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LagReport {
    pub messages_ready: Option<u64>,
    /// Messages delivered and not settled, where the broker reports them.
    pub messages_in_flight: Option<u64>,
    /// Seconds.
    pub oldest_age_s: Option<f64>,
    pub source: String,
    /// Milliseconds since 1970 by the worker's clock; 0: not known.
    pub as_of_ms: i64,
    pub error: Option<String>,
}

/// Holds the lag that this worker scraped, for its next heartbeat. Clones share one slot.
#[derive(Clone, Debug, Default)]
pub struct LagSlot(Arc<Mutex<Option<LagReport>>>);

impl LagSlot {
    pub fn set(&self, lag: Option<LagReport>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lag;
    }

    fn get(&self) -> Option<LagReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl WorkerReport {
    /// Parses a report, possibly another version's: unknown parts get their defaults. `None`: there is none yet, or it
    /// cannot be read.
    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok().filter(|report: &Self| report.at_ms > 0)
    }

    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

#[derive(Clone, Debug, Default)]
pub struct WorkerSignals {
    pub stats: WriterStats,
    pub in_flight: InFlightOrders,
    pub breaker: CircuitBreaker,
    pub broker: BrokerHealth,
    pub cordon: Cordon,
    /// The lag, if this worker scrapes for all.
    pub lag: LagSlot,
}

/// Time over which settled orders, failed receives and busy writers are averaged.
const RATE_OVER: Duration = Duration::from_secs(2);

const LATENCIES_OVER: Duration = Duration::from_secs(10);

/// Counters since the worker started, at one instant.
#[derive(Clone, Copy, Debug)]
struct Counted {
    at: Instant,
    settled: u64,
    receive_failures: u64,
    committing: Duration,
    lock_wait: Duration,
}

#[derive(Debug)]
pub(super) struct Reporter {
    signals: WorkerSignals,
    counted: VecDeque<Counted>,
    latencies: VecDeque<(Instant, LatencyHistogram)>,
}

impl Reporter {
    pub(super) const fn new(signals: WorkerSignals) -> Self {
        Self { signals, counted: VecDeque::new(), latencies: VecDeque::new() }
    }

    /// True if the worker is cordoned and has finished.
    pub(super) fn is_out(&self) -> bool {
        self.signals.cordon.is_set() && self.signals.in_flight.orders() == 0
    }

    /// Reads the statistics; each delta must be reported.
    pub(super) fn read(&mut self) -> StatsDelta {
        let (delta, now) = (self.signals.stats.take_delta(), Instant::now());
        self.counted.push_back(Counted {
            at: now,
            settled: delta.settled,
            receive_failures: self.signals.broker.receive_failures(),
            committing: delta.committing,
            lock_wait: delta.lock_wait,
        });
        // One entry older than the window stays, so that the average covers the whole window.
        while self.counted.get(1).is_some_and(|counted| now - counted.at >= RATE_OVER) {
            self.counted.pop_front();
        }
        self.latencies.push_back((now, delta.latencies.clone()));
        while self.latencies.front().is_some_and(|(at, _)| now - *at > LATENCIES_OVER) {
            self.latencies.pop_front();
        }
        delta
    }

    /// The change of a counter a second, over about the last two seconds.
    fn per_second(&self, counter: impl Fn(&Counted) -> f64) -> f64 {
        match (self.counted.front(), self.counted.back()) {
            (Some(first), Some(last)) if last.at > first.at => {
                (counter(last) - counter(first)) / (last.at - first.at).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    /// `is_starved`: the worker was short of credits recently.
    pub(super) fn report(
        &self,
        delta: &StatsDelta,
        adaptive_limit: &AdaptiveLimit,
        is_starved: bool,
        is_paused: bool,
        is_stopping: bool,
    ) -> WorkerReport {
        let mut latencies = LatencyHistogram::default();
        self.latencies.iter().for_each(|(_, some)| latencies.add(some));
        let settled_per_second = self.per_second(|counted| counted.settled as f64);
        let held_orders = self.signals.in_flight.orders();
        let broker_outage = self.signals.broker.outage();
        let (state, reason) = match self.signals.breaker.state() {
            _ if is_stopping => (WorkerState::Stopping, None),
            BreakerState::Open { reason } => (WorkerState::DatabaseDown, Some(reason)),
            BreakerState::Closed if self.signals.cordon.is_set() => (WorkerState::Cordoned, None),
            BreakerState::Closed if broker_outage.is_some() => (WorkerState::BrokerDown, broker_outage),
            BreakerState::Closed if is_paused => (WorkerState::Paused, None),
            BreakerState::Closed if adaptive_limit.reason().is_some() => {
                (WorkerState::BackingOff, adaptive_limit.reason().map(str::to_owned))
            }
            BreakerState::Closed if held_orders == 0 && settled_per_second == 0.0 => {
                (WorkerState::Idle, None)
            }
            BreakerState::Closed => (WorkerState::Draining, None),
        };
        let limited_by = LimitSigns {
            is_slow: state == WorkerState::DatabaseDown || adaptive_limit.reason().is_some(),
            is_broker_down: self.signals.broker.outage().is_some(),
            is_starved: is_starved || is_paused,
            writers: delta.writers,
            // By Little's law the average number of transactions in flight.
            committing: self.per_second(|counted| counted.committing.as_secs_f64()),
            waiting_for_locks: self.per_second(|counted| counted.lock_wait.as_secs_f64()),
        }
        .limited_by();
        let (messages_received, orders_received) = self.signals.in_flight.received();
        let now_ms = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        WorkerReport {
            at_ms: i64::try_from(now_ms).unwrap_or(i64::MAX),
            state,
            reason,
            settled_per_second,
            totals: delta.by_outcome.clone(),
            latencies,
            held_orders,
            oldest_held_s: self.signals.in_flight.oldest_age().map(|age| age.as_secs_f64()),
            messages_received,
            orders_received,
            receive_failures_per_second: self.per_second(|counted| counted.receive_failures as f64),
            limited_by: Some(limited_by),
            limit: adaptive_limit.reason().map(|_| adaptive_limit.limit()),
            lag: self.signals.lag.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_round_trips_and_unknown_fields_are_ignored() {
        let report = WorkerReport {
            at_ms: 1,
            state: WorkerState::BackingOff,
            held_orders: 7,
            ..WorkerReport::default()
        };
        assert_eq!(WorkerReport::parse(&report.to_json()), Some(report));
        for text in ["", "{}", "[]", r#"{"at_ms": 1, "state": "levitating"}"#, r#"{"news": 1}"#] {
            assert_eq!(WorkerReport::parse(text), None, "{text}");
        }
        let newer = WorkerReport { at_ms: 1, ..WorkerReport::default() };
        assert_eq!(WorkerReport::parse(r#"{"at_ms": 1, "news": 1}"#), Some(newer));
    }
}
