//! The report's shape. Its JSON Schema is made from these types and published beside the code.
//!
//! Units stand last in each name: `_us` microseconds, `_ms` milliseconds, `_s` seconds, `_bytes` bytes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::LedgerVerdict;
use crate::scenario::Scenario;

/// Version of this shape: raised when a reader of the old one would misread the new one.
pub const FORMAT: u32 = 1;

/// Everything about one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunReport {
    /// Version of this shape.
    #[schemars(extend("const" = FORMAT))]
    pub format: u32,
    /// When, where, and with what.
    pub run: RunInfo,
    /// The scenario as it was played, every flag applied.
    pub scenario: Scenario,
    /// How the requests ended.
    pub totals: RequestTotals,
    /// Time to the answer, from the *planned* send time.
    pub latency: LatencyReport,
    /// What happened in each interval, in order.
    pub timeline: Vec<Interval>,
    /// CPU and memory of each process.
    pub processes: Vec<ProcessUse>,
    /// Whether the generator kept to its plan.
    pub generator: GeneratorHealth,
    /// The ledger's verdict; absent where the database could not be read.
    pub ledger: Option<LedgerVerdict>,
    /// The scenario's expected ranges against what came.
    pub expectations: Vec<Expectation>,
    /// Answers that no rule allows, the first few of each.
    pub surprises: Vec<String>,
}

impl RunReport {
    /// Whether the run passed: the ledger adds up, every expectation holds, nothing surprised.
    pub fn passed(&self) -> bool {
        self.ledger.as_ref().is_none_or(LedgerVerdict::adds_up)
            && self.expectations.iter().all(|expectation| expectation.holds)
            && self.surprises.is_empty()
    }
}

/// When, where, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunInfo {
    /// RFC 3339, UTC.
    pub started_at: String,
    /// From the first planned request to the last answer, milliseconds.
    pub played_ms: u64,
    /// From the last answer until everything accepted was settled, milliseconds.
    pub drained_ms: u64,
    /// What stood behind the address.
    pub stack: TestedStack,
    /// Whether someone ended it early: what follows is about the part that was played.
    pub interrupted: bool,
    /// Version of Spillway.
    pub version: String,
    /// Versions of the parts, where they tell: `broker`, `database`.
    pub parts: BTreeMap<String, String>,
    /// The machine.
    pub machine: Machine,
}

/// What stands behind the address that the orders went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestedStack {
    /// The embedded broker and SQLite.
    Embedded,
    /// RocketMQ and MariaDB.
    Real,
    /// RocketMQ and MariaDB behind the database proxy.
    RealProxy,
    /// Something that was there already.
    External,
}

/// The machine that everything ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Machine {
    /// Processors.
    pub cpus: usize,
    /// Model of the processor, or empty.
    pub cpu_model: String,
    /// Memory, bytes; 0 if unknown.
    pub memory_bytes: u64,
    /// Kernel and its version.
    pub kernel: String,
}

/// How the requests ended. Retries count as requests of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RequestTotals {
    /// Requests that the scenario planned.
    pub planned: u64,
    /// Requests put on a connection, retries included.
    pub sent: u64,
    /// Of these, retries.
    pub retries: u64,
    /// 202, and nothing else.
    pub accepted: u64,
    /// 429 and 503: shed, to be sent again.
    pub shed: u64,
    /// Any other answer.
    pub refused: u64,
    /// Refusals, shed ones included, by the problem's code, or `status_NNN` where there is none.
    pub refused_by_code: BTreeMap<String, u64>,
    /// No answer: a time-out, a reset, a hang-up of the scenario's own. The order may be there, or not.
    pub unknown: u64,
    /// Unknown ones, by cause: `timeout`, `reset`, `hang_up`, `protocol`.
    pub unknown_by_cause: BTreeMap<String, u64>,
    /// Requests that never got a connection in time; the server never saw them.
    pub unsent: u64,
}

/// Time to the answer, from the planned send time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LatencyReport {
    /// Of requests answered 202.
    pub accepted: Quantiles,
    /// Of requests that were shed.
    pub shed: Quantiles,
    /// Of every answered request of the plan.
    pub all: Quantiles,
}

/// A distribution of times, nothing sampled away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Quantiles {
    /// How many values.
    pub count: u64,
    /// Mean, microseconds.
    pub mean_us: f64,
    /// Median.
    pub p50_us: u64,
    /// 90 in 100 are not above it.
    pub p90_us: u64,
    /// 99 in 100.
    pub p99_us: u64,
    /// 999 in 1,000.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
    /// The whole curve for a plot, ascending; empty where there were no values.
    pub curve: Vec<CurvePoint>,
}

/// A point of a distribution's curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CurvePoint {
    /// Share of values that are not above `value_us`, 0 to 1.
    pub quantile: f64,
    /// Microseconds.
    pub value_us: u64,
}

/// What happened in one interval of the timeline. Requests and latencies are filed under the interval in which
/// they were *planned*, queue and drain under the one in which they were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Interval {
    /// Its beginning, since the first planned request, milliseconds.
    pub at_ms: u64,
    /// Its length, milliseconds.
    pub length_ms: u64,
    /// Requests planned for it.
    pub planned: u64,
    /// Requests put on a connection.
    pub sent: u64,
    /// 202.
    pub accepted: u64,
    /// 429 and 503.
    pub shed: u64,
    /// Other refusals.
    pub refused: u64,
    /// No answer.
    pub unknown: u64,
    /// Latency of what was answered.
    pub p50_us: u64,
    /// The same.
    pub p90_us: u64,
    /// The same.
    pub p99_us: u64,
    /// The same.
    pub max_us: u64,
    /// Accepted orders not yet in the database at its end.
    pub queued: u64,
    /// Orders that the database decided in it, by the database's clock.
    pub committed: u64,
}

/// CPU and memory of one process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ProcessUse {
    /// `ingest-fn`, `drain-worker`, `broker`, `database`, `loadtest`, …
    pub name: String,
    /// CPU time while the sale was played, seconds.
    pub cpu_s: f64,
    /// The most memory held at once (resident), bytes.
    pub rss_max_bytes: u64,
    /// In order; empty where the system does not tell.
    pub samples: Vec<ProcessSample>,
}

/// One look at a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ProcessSample {
    /// Since the first planned request, milliseconds.
    pub at_ms: u64,
    /// CPU since the look before, 1.0 is one processor.
    pub cpus: f64,
    /// Memory held (resident), bytes.
    pub rss_bytes: u64,
}

/// Whether the generator kept to its plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GeneratorHealth {
    /// Threads that sent.
    pub threads: usize,
    /// Processors that they were pinned to; empty if they were not.
    pub pinned_to: Vec<usize>,
    /// Connections opened in all.
    pub connections_opened: u64,
    /// The most open at once.
    pub connections_max: u64,
    /// CPU time of the sending threads for each request sent, microseconds.
    pub cpu_us_per_request: f64,
    /// How late the generator itself took up a request: its own fault, never the server's.
    pub slip: Quantiles,
    /// How much later than it came an answer may have been read, microseconds: a thread with 20,000 requests a
    /// second or more reads by the beat. 0: at once.
    #[serde(default)]
    pub resolution_us: u64,
    /// The bound on the slip's 999th of 1,000, microseconds.
    pub slip_p999_us_max: u64,
    /// Whether the latencies may be read as the server's. The ledger counts either way.
    pub latencies_valid: bool,
    /// Why not, for people.
    pub void_because: Option<String>,
}

/// An expected range against what came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Expectation {
    /// What was measured, by its name in the scenario's `[expect]`.
    pub name: String,
    /// Least; absent: no bound.
    pub min: Option<f64>,
    /// Most; absent: no bound.
    pub max: Option<f64>,
    /// What came.
    pub actual: f64,
    /// Whether it is within. Ranges of latencies are not judged (and hold) while the latencies are void.
    pub holds: bool,
}
