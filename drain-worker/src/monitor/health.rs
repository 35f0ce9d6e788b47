//! A worker's own state, as far as it knows without the database.

use std::time::Duration;

use crate::pipeline::BreakerState;
use crate::pool::{PoolSnapshot, WorkerSignals, WorkerState};

/// Age from which on a snapshot does not describe the current state: several heartbeats failed, or take too long.
pub(super) const STALE: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub state: WorkerState,
    /// Without personal data.
    pub reason: Option<String>,
}

impl Health {
    pub(super) fn of(snapshot: Option<&PoolSnapshot>, signals: &WorkerSignals, is_stopping: bool) -> Self {
        let is = |state, reason| Self { state, reason };
        if is_stopping {
            return is(WorkerState::Stopping, None);
        }
        if let BreakerState::Open { reason } = signals.breaker.state() {
            return is(WorkerState::DatabaseDown, Some(reason));
        }
        let Some(snapshot) = snapshot else {
            return is(WorkerState::Joining, Some("the worker has not joined the pool yet".to_owned()));
        };
        let silent = snapshot.at.elapsed();
        if silent > STALE {
            let reason = format!("no heartbeat was answered for {} s", silent.as_secs());
            return is(WorkerState::DatabaseDown, Some(reason));
        }
        if signals.cordon.is_set() {
            return is(WorkerState::Cordoned, None);
        }
        if let Some(reason) = signals.broker.outage() {
            return is(WorkerState::BrokerDown, Some(reason));
        }
        // The first snapshot is that of the first heartbeat, before its report.
        snapshot
            .reports
            .get(&snapshot.lease)
            .map_or_else(|| is(WorkerState::Joining, None), |report| is(report.state, report.reason.clone()))
    }

    /// True if the worker has joined the pool and can drain. A paused, cordoned or slow one can.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(
            self.state,
            WorkerState::Draining
                | WorkerState::Idle
                | WorkerState::Paused
                | WorkerState::Cordoned
                | WorkerState::BackingOff
        )
    }
}
