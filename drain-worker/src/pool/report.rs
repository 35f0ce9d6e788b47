//! What a worker tells the pool about itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::adaptive_limit::AdaptiveLimit;
use crate::pipeline::{
    BreakerState, CircuitBreaker, InFlightOrders, LatencyHistogram, OutcomeTotals, StatsDelta, WriterStats,
};

/// What a worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It has just come.
    #[default]
    JoinRequest,
    /// Commits what it may.
    Draining,
    /// Has nothing to commit.
    Idle,
    /// Holds still, for the pool is paused.
    Paused,
    /// Commits less than it may, for the database labours.
    BackingOff,
    /// The database does not take orders; one of its writers tries now and then.
    DatabaseDown,
    /// Finishes and goes.
    Stopping,
    /// Sent no heartbeat in time and may not commit. Told by the others.
    Lapsed,
}

/// What a worker tells the pool with every heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerReport {
    /// What it is doing.
    pub state: WorkerState,
    /// Why, if that needs a reason; without personal data.
    pub reason: Option<String>,
    /// Orders settled a second, over the last two or so.
    pub settled_per_second: f64,
    /// Orders settled since it started, by outcome.
    pub totals: OutcomeTotals,
    /// Commit latencies of the last ten seconds or so.
    pub latencies: LatencyHistogram,
    /// Orders received and not settled.
    pub held_orders: u64,
    /// Age of the oldest order held, seconds, from its acceptance on.
    pub oldest_held_s: Option<f64>,
    /// Orders a message has, on a moving average.
    pub orders_per_message: Option<f64>,
    /// What its back-off limits it to, orders a second.
    pub limit: Option<u32>,
    /// What waits on the broker, from the one worker that asks for all.
    pub lag: Option<LagReport>,
}

/// What waits on the broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LagReport {
    /// Messages that could be handed out.
    pub messages_ready: Option<u64>,
    /// Messages handed out and not settled, if the broker tells.
    pub messages_in_flight: Option<u64>,
    /// Age of the oldest, seconds.
    pub oldest_age_s: Option<f64>,
    /// Who told.
    pub source: String,
    /// When, RFC 3339.
    pub as_of: String,
    /// Why it is not known.
    pub error: Option<String>,
}

/// Where a worker puts the lag that it learnt; the next heartbeat tells it. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub struct LagSlot(Arc<Mutex<Option<LagReport>>>);

impl LagSlot {
    /// Puts it there.
    pub fn set(&self, lag: Option<LagReport>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lag;
    }

    fn get(&self) -> Option<LagReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl WorkerReport {
    /// Reads what another version of this program may have written: what is not understood is left at its default.
    #[must_use]
    pub fn parse(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// As it is kept.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

/// What a member tells and minds.
#[derive(Clone, Debug, Default)]
pub struct WorkerSignals {
    /// What the writers did.
    pub stats: WriterStats,
    /// What is held.
    pub in_flight: InFlightOrders,
    /// Whether the database answers.
    pub breaker: CircuitBreaker,
    /// What waits on the broker, if this worker asks for all.
    pub lag: LagSlot,
}

/// Over how long settled orders are averaged.
const RATE_OVER: Duration = Duration::from_secs(2);

/// Over how long latencies are told.
const LATENCIES_OVER: Duration = Duration::from_secs(10);

/// Makes reports out of deltas.
#[derive(Debug)]
pub(super) struct Reporter {
    signals: WorkerSignals,
    settled: VecDeque<(Instant, u64)>,
    latencies: VecDeque<(Instant, LatencyHistogram)>,
}

impl Reporter {
    pub(super) const fn new(signals: WorkerSignals) -> Self {
        Self { signals, settled: VecDeque::new(), latencies: VecDeque::new() }
    }

    /// Reads the stats; each delta must be reported.
    pub(super) fn read(&mut self) -> StatsDelta {
        let (delta, now) = (self.signals.stats.take_delta(), Instant::now());
        self.settled.push_back((now, delta.settled));
        // One older than the window stays: the rate is over the whole of it.
        while self.settled.get(1).is_some_and(|(at, _)| now - *at >= RATE_OVER) {
            self.settled.pop_front();
        }
        self.latencies.push_back((now, delta.latencies.clone()));
        while self.latencies.front().is_some_and(|(at, _)| now - *at > LATENCIES_OVER) {
            self.latencies.pop_front();
        }
        delta
    }

    pub(super) fn report(
        &self,
        delta: &StatsDelta,
        adaptive_limit: &AdaptiveLimit,
        is_paused: bool,
        is_stopping: bool,
    ) -> WorkerReport {
        let mut latencies = LatencyHistogram::default();
        self.latencies.iter().for_each(|(_, some)| latencies.add(some));
        let settled_per_second = match (self.settled.front(), self.settled.back()) {
            (Some((from, before)), Some((to, after))) if to > from => {
                (after - before) as f64 / (*to - *from).as_secs_f64()
            }
            _ => 0.0,
        };
        let held_orders = self.signals.in_flight.orders();
        let (state, reason) = match self.signals.breaker.state() {
            _ if is_stopping => (WorkerState::Stopping, None),
            BreakerState::Open { reason } => (WorkerState::DatabaseDown, Some(reason)),
            BreakerState::Closed if is_paused => (WorkerState::Paused, None),
            BreakerState::Closed if adaptive_limit.reason().is_some() => {
                (WorkerState::BackingOff, adaptive_limit.reason().map(str::to_owned))
            }
            BreakerState::Closed if held_orders == 0 && settled_per_second == 0.0 => {
                (WorkerState::Idle, None)
            }
            BreakerState::Closed => (WorkerState::Draining, None),
        };
        WorkerReport {
            state,
            reason,
            settled_per_second,
            totals: delta.by_outcome.clone(),
            latencies,
            held_orders,
            oldest_held_s: self.signals.in_flight.oldest_age().map(|age| age.as_secs_f64()),
            orders_per_message: self.signals.in_flight.orders_per_message(),
            limit: adaptive_limit.reason().map(|_| adaptive_limit.limit()),
            lag: self.signals.lag.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back_and_a_stranger_does_no_harm() {
        let report =
            WorkerReport { state: WorkerState::BackingOff, held_orders: 7, ..WorkerReport::default() };
        assert_eq!(WorkerReport::parse(&report.to_json()), report);
        for text in ["", "{}", "[]", r#"{"state": "levitating"}"#, r#"{"news": 1}"#] {
            assert_eq!(WorkerReport::parse(text), WorkerReport::default(), "{text}");
        }
    }
}
