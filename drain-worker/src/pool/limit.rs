//! The limit of the drain, in one word.

use serde::{Deserialize, Serialize};

/// The resource that the pool, or one worker, would need more of to commit more orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitedBy {
    /// The cap, which operators set; also while it is 0, in a pause.
    Cap,
    /// Commits are slow or fail, or wait for locks of other transactions.
    DatabaseLatency,
    /// All connections that write are busy with quick commits: more of them would commit more.
    Connections,
    /// Receives fail, or messages wait while the workers have none.
    Broker,
    /// The workers commit what arrives.
    NothingWaits,
}

impl LimitedBy {
    pub const ALL: [Self; 5] =
        [Self::Cap, Self::DatabaseLatency, Self::Connections, Self::Broker, Self::NothingWaits];

    /// The name used in the API and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::DatabaseLatency => "database_latency",
            Self::Connections => "connections",
            Self::Broker => "broker",
            Self::NothingWaits => "nothing_waits",
        }
    }
}

/// Part of the writers that is busy from which on they limit the worker. The rest is the time between two transactions.
const BUSY: f64 = 0.8;

/// A worker's own signs, over about the last two seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct LimitSigns {
    /// True while the circuit breaker is open or the adaptive limit is in force.
    pub(super) is_slow: bool,
    pub(super) is_broker_down: bool,
    /// True if the worker was short of credits, or the pool is paused.
    pub(super) is_starved: bool,
    /// Connections that write; 0: not known.
    pub(super) writers: u32,
    /// Average number of transactions in flight.
    pub(super) committing: f64,
    /// Average number of transactions that wait for locks.
    pub(super) waiting_for_locks: f64,
}

impl LimitSigns {
    pub(super) fn limited_by(self) -> LimitedBy {
        let is_busy = self.writers > 0 && self.committing >= BUSY * f64::from(self.writers);
        if self.is_slow {
            LimitedBy::DatabaseLatency
        } else if self.is_starved {
            LimitedBy::Cap
        } else if is_busy && self.waiting_for_locks * 2.0 >= self.committing {
            LimitedBy::DatabaseLatency
        } else if is_busy {
            LimitedBy::Connections
        } else if self.is_broker_down {
            LimitedBy::Broker
        } else {
            LimitedBy::NothingWaits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: LimitSigns = LimitSigns {
        is_slow: false,
        is_broker_down: false,
        is_starved: false,
        writers: 4,
        committing: 0.0,
        waiting_for_locks: 0.0,
    };

    #[test]
    fn a_worker_names_what_it_waits_for() {
        for (signs, limited_by) in [
            (IDLE, "nothing_waits"),
            (LimitSigns { is_starved: true, committing: 1.0, ..IDLE }, "cap"),
            (LimitSigns { committing: 3.9, ..IDLE }, "connections"),
            (LimitSigns { committing: 2.0, ..IDLE }, "nothing_waits"),
            // Credits that run out while all writers are busy: more connections would not help.
            (LimitSigns { is_starved: true, committing: 3.9, ..IDLE }, "cap"),
            (LimitSigns { committing: 3.9, waiting_for_locks: 3.0, ..IDLE }, "database_latency"),
            (LimitSigns { is_slow: true, is_starved: true, ..IDLE }, "database_latency"),
            (LimitSigns { is_broker_down: true, ..IDLE }, "broker"),
            (LimitSigns { is_broker_down: true, is_starved: true, ..IDLE }, "cap"),
            (LimitSigns { writers: 0, committing: 3.9, ..IDLE }, "nothing_waits"),
        ] {
            assert_eq!(signs.limited_by().as_str(), limited_by, "{signs:?}");
            let json = serde_json::to_value(signs.limited_by()).expect("serialises");
            assert_eq!(json, limited_by, "the same name in reports");
        }
    }
}
