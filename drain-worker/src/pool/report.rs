//! What a worker tells the pool about itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::pipeline::{DatabaseHealth, Health, Held, Latencies, Meter, Reading, Totals};

/// What a worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It has just come.
    #[default]
    Joining,
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
pub struct Report {
    /// What it is doing.
    pub state: WorkerState,
    /// Why, if that needs a reason; without personal data.
    pub reason: Option<String>,
    /// Orders settled a second, over the last two or so.
    pub settled_per_second: f64,
    /// Orders settled since it started, by outcome.
    pub totals: Totals,
    /// Commit latencies of the last ten seconds or so.
    pub latencies: Latencies,
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

impl Report {
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
pub struct Signals {
    /// What the writers did.
    pub meter: Meter,
    /// What is held.
    pub held: Held,
    /// Whether the database answers.
    pub health: Health,
    /// What waits on the broker, if this worker asks for all.
    pub lag: LagSlot,
}

/// Over how long settled orders are averaged.
const RATE_OVER: Duration = Duration::from_secs(2);

/// Over how long latencies are told.
const LATENCIES_OVER: Duration = Duration::from_secs(10);

/// Makes reports out of readings.
#[derive(Debug)]
pub(super) struct Reporter {
    signals: Signals,
    settled: VecDeque<(Instant, u64)>,
    latencies: VecDeque<(Instant, Latencies)>,
}

impl Reporter {
    pub(super) const fn new(signals: Signals) -> Self {
        Self { signals, settled: VecDeque::new(), latencies: VecDeque::new() }
    }

    /// Reads the meter; each reading must be reported.
    pub(super) fn read(&mut self) -> Reading {
        let (reading, now) = (self.signals.meter.take(), Instant::now());
        self.settled.push_back((now, reading.settled));
        // One older than the window stays: the rate is over the whole of it.
        while self.settled.get(1).is_some_and(|(at, _)| now - *at >= RATE_OVER) {
            self.settled.pop_front();
        }
        self.latencies.push_back((now, reading.latencies.clone()));
        while self.latencies.front().is_some_and(|(at, _)| now - *at > LATENCIES_OVER) {
            self.latencies.pop_front();
        }
        reading
    }

    pub(super) fn report(
        &self,
        reading: &Reading,
        backoff: &Backoff,
        is_paused: bool,
        is_stopping: bool,
    ) -> Report {
        let mut latencies = Latencies::default();
        self.latencies.iter().for_each(|(_, some)| latencies.add(some));
        let settled_per_second = match (self.settled.front(), self.settled.back()) {
            (Some((from, before)), Some((to, after))) if to > from => {
                (after - before) as f64 / (*to - *from).as_secs_f64()
            }
            _ => 0.0,
        };
        let held_orders = self.signals.held.orders();
        let (state, reason) = match self.signals.health.database() {
            _ if is_stopping => (WorkerState::Stopping, None),
            DatabaseHealth::Down { reason } => (WorkerState::DatabaseDown, Some(reason)),
            DatabaseHealth::Up if is_paused => (WorkerState::Paused, None),
            DatabaseHealth::Up if backoff.reason().is_some() => {
                (WorkerState::BackingOff, backoff.reason().map(str::to_owned))
            }
            DatabaseHealth::Up if held_orders == 0 && settled_per_second == 0.0 => (WorkerState::Idle, None),
            DatabaseHealth::Up => (WorkerState::Draining, None),
        };
        Report {
            state,
            reason,
            settled_per_second,
            totals: reading.by_outcome.clone(),
            latencies,
            held_orders,
            oldest_held_s: self.signals.held.oldest_age().map(|age| age.as_secs_f64()),
            orders_per_message: self.signals.held.orders_per_message(),
            limit: backoff.reason().map(|_| backoff.limit()),
            lag: self.signals.lag.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back_and_a_stranger_does_no_harm() {
        let report = Report { state: WorkerState::BackingOff, held_orders: 7, ..Report::default() };
        assert_eq!(Report::parse(&report.to_json()), report);
        for text in ["", "{}", "[]", r#"{"state": "levitating"}"#, r#"{"news": 1}"#] {
            assert_eq!(Report::parse(text), Report::default(), "{text}");
        }
    }
}
