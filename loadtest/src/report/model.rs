//! The report's types. The published JSON Schema is generated from them.
//!
//! Each name ends with its unit: `_us` microseconds, `_ms` milliseconds, `_s` seconds, `_bytes` bytes.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::LedgerVerdict;
use crate::scenario::{ExpectedRange, Scenario};

/// Version of this format; raised when a reader of the old one would misread the new one.
pub const FORMAT: u32 = 1;

/// The report of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunReport {
    /// Version of this format.
    #[schemars(extend("const" = FORMAT))]
    pub format: u32,
    /// Time, system and machine of the run.
    pub run: RunInfo,
    /// The scenario as played, all flags applied.
    pub scenario: Scenario,
    /// Outcomes of all requests.
    pub totals: RequestTotals,
    /// Time to the response, from the *planned* send time.
    pub latency: LatencyReport,
    /// The timeline, one entry per interval.
    pub timeline: Vec<Interval>,
    /// CPU and memory of each process.
    pub processes: Vec<ProcessUse>,
    /// The generator's own punctuality.
    pub generator: GeneratorHealth,
    /// The machines that played the run together; empty if one process did.
    #[serde(default)]
    pub shards: Vec<ShardReport>,
    /// The ledger's verdict; absent if the database was not read.
    pub ledger: Option<LedgerVerdict>,
    /// The reason why a ledger that was asked for is absent.
    pub ledger_error: Option<String>,
    /// The scenario's expected ranges and the actual values.
    pub expectations: Vec<Expectation>,
    /// Responses that no rule allows, the first few of each kind.
    pub surprises: Vec<String>,
    /// The verdict on the whole run.
    pub verdict: RunVerdict,
    /// Everything that could not be judged, and why.
    pub not_judged: Vec<String>,
}

/// The verdict on a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunVerdict {
    /// Everything was judged, and all of it holds.
    Passed,
    /// The ledger does not add up, an expectation fails, a response is surprising, or the run was aborted.
    Failed,
    /// Nothing failed, but something could not be judged.
    #[default]
    NotJudged,
}

impl RunReport {
    /// Derives verdict and reasons from the rest of the report.
    pub fn conclude(&mut self) {
        self.not_judged = self.unjudged();
        let failed = self.ledger.as_ref().is_some_and(|ledger| !ledger.adds_up())
            || self.expectations.iter().any(|each| each.result == ExpectationResult::Fails)
            || !self.surprises.is_empty()
            || self.run.aborted.is_some();
        self.verdict = match (failed, self.not_judged.is_empty()) {
            (true, _) => RunVerdict::Failed,
            (false, true) => RunVerdict::Passed,
            (false, false) => RunVerdict::NotJudged,
        };
    }

    fn unjudged(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        reasons.extend(self.totals.unjudged().map(str::to_owned));
        match &self.ledger {
            Some(ledger) => reasons.extend(ledger.not_judged.iter().map(|check| format!("ledger: {check}"))),
            None if self.ledger_error.is_some() => {
                reasons.extend(self.ledger_error.iter().map(|error| format!("ledger: {error}")));
            }
            None if self.expectations.is_empty() => {
                reasons.push("there is neither a ledger nor an expectation".to_owned());
            }
            None => {}
        }
        for each in &self.expectations {
            reasons.extend(each.unjudged().map(|reason| format!("{}: {reason}", each.name)));
        }
        reasons
    }

    /// True if only a part of the scenario was played.
    pub const fn is_cut(&self) -> bool {
        self.run.interrupted || self.run.aborted.is_some()
    }

    pub fn passed(&self) -> bool {
        self.verdict == RunVerdict::Passed
    }
}

/// Time, system and machine of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunInfo {
    /// RFC 3339, UTC.
    pub started_at: String,
    /// From the first planned request to the last response, milliseconds.
    pub played_ms: u64,
    /// From the last response until every accepted order was settled, milliseconds.
    pub drained_ms: u64,
    /// The system behind the address.
    pub stack: TestedStack,
    /// True if the run was interrupted: the report covers the part that was played.
    pub interrupted: bool,
    /// The breach that ended the sending; absent: the scenario was not aborted.
    pub aborted: Option<AbortedRun>,
    /// Version of Spillway.
    pub version: String,
    /// Versions of components, where known: `broker`, `database`.
    pub parts: BTreeMap<String, String>,
    /// The machine of the run.
    pub machine: Machine,
}

/// A live metric that was outside its range for too long, so that the run was aborted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AbortedRun {
    /// Name of the metric in the scenario's `[abort]`.
    pub metric: String,
    /// Minimum; absent: no bound.
    pub min: Option<f64>,
    /// Maximum; absent: no bound.
    pub max: Option<f64>,
    /// The value in the last window, of about a second.
    pub value: f64,
    /// Time outside the range, seconds.
    pub breached_s: f64,
    /// End of the last window, since the first planned request, milliseconds.
    pub at_ms: u64,
}

impl fmt::Display for AbortedRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, min, max, value, breached_s, at_ms } = self;
        let range = ExpectedRange { min: *min, max: *max };
        let at_s = *at_ms as f64 / 1_000.0;
        write!(formatter, "{metric} was {value:.4} at {at_s:.1} s, outside {range} for {breached_s:.1} s")
    }
}

/// The system behind the address that the orders went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestedStack {
    /// The embedded broker and SQLite.
    Embedded,
    /// RocketMQ and MariaDB.
    Real,
    /// RocketMQ and MariaDB behind the database proxy.
    RealProxy,
    /// A system that was already running.
    External,
}

/// The machine that everything ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Machine {
    /// Number of processors.
    pub cpus: usize,
    /// Processor model, or empty.
    pub cpu_model: String,
    /// Memory, bytes; 0 if unknown.
    pub memory_bytes: u64,
    /// Kernel name and version.
    pub kernel: String,
}

/// Outcomes of all requests. A retry counts as a further request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RequestTotals {
    /// Requests that the scenario planned.
    pub planned: u64,
    /// Requests written to a connection, retries included.
    pub sent: u64,
    /// Retries among the sent requests.
    pub retries: u64,
    /// Requests with the response 202.
    pub accepted: u64,
    /// Requests with the response 429 or 503, which clients may retry.
    pub shed: u64,
    /// Requests with any other response.
    pub refused: u64,
    /// Refused requests, shed ones included, by problem code, or `status_NNN` without one.
    pub refused_by_code: BTreeMap<String, u64>,
    /// Requests without a response: a time-out, a reset, a disconnect of the scenario's own. The order may or may not
    /// exist.
    pub unknown: u64,
    /// Unknown requests by cause: `timeout`, `reset`, `hang_up`, `protocol`.
    pub unknown_by_cause: BTreeMap<String, u64>,
    /// Requests that got no connection in time; the server never saw them.
    pub unsent: u64,
}

impl RequestTotals {
    /// The reason why the requests prove nothing.
    pub fn unjudged(&self) -> Option<&'static str> {
        match (self.sent, self.accepted) {
            (0, _) => Some("nothing was sent"),
            (_, 0) => Some("nothing was accepted"),
            _ => None,
        }
    }
}

/// Time to the response, from the planned send time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LatencyReport {
    /// Requests with the response 202.
    pub accepted: Quantiles,
    /// Shed requests.
    pub shed: Quantiles,
    /// Every planned request with a response.
    pub all: Quantiles,
    /// Accepted requests, and as censored values those without a response or connection: each percentile is a lower
    /// bound.
    pub accepted_or_censored: Quantiles,
    /// From the planned time of an order's first request to its acceptance, retries included; censored if it was never
    /// accepted.
    pub to_acceptance: Quantiles,
}

/// A distribution of times, complete and not sampled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Quantiles {
    /// Number of values.
    pub count: u64,
    /// Values that are lower bounds: the time until the request ended without a response.
    pub censored: u64,
    /// Mean, microseconds.
    pub mean_us: f64,
    /// Median.
    pub p50_us: u64,
    /// 90th percentile.
    pub p90_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// 99.9th percentile.
    pub p999_us: u64,
    /// Maximum.
    pub max_us: u64,
    /// The complete curve for a plot, ascending; empty without values.
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

/// One interval of the timeline. Requests and latencies belong to the interval in which they were *planned*, queue and
/// drain to the one in which they were observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Interval {
    /// Start, since the first planned request, milliseconds.
    pub at_ms: u64,
    /// Length, milliseconds.
    pub length_ms: u64,
    /// Requests planned for this interval.
    pub planned: u64,
    /// Requests written to a connection.
    pub sent: u64,
    /// Requests with the response 202.
    pub accepted: u64,
    /// Requests with the response 429 or 503.
    pub shed: u64,
    /// Requests with any other response.
    pub refused: u64,
    /// Requests without a response.
    pub unknown: u64,
    /// Requests that got no connection in time.
    pub unsent: u64,
    /// Latencies that are lower bounds, because the request had no response.
    pub censored: u64,
    /// Median latency of accepted and censored requests.
    pub p50_us: u64,
    /// 90th percentile.
    pub p90_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// Maximum.
    pub max_us: u64,
    /// Median latency of shed and refused requests.
    pub rejected_p50_us: u64,
    /// 99th percentile of it.
    pub rejected_p99_us: u64,
    /// Accepted orders not yet in the database at the end of the interval.
    pub queued: u64,
    /// Orders decided in this interval, by the database's clock.
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
    /// Maximum resident memory, bytes.
    pub rss_max_bytes: u64,
    /// In order; empty where the system provides none.
    pub samples: Vec<ProcessSample>,
}

/// One sample of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ProcessSample {
    /// Since the first planned request, milliseconds.
    pub at_ms: u64,
    /// CPU since the previous sample; 1.0 is one processor.
    pub cpus: f64,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
}

/// The generator's own punctuality.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GeneratorHealth {
    /// Sending threads.
    pub threads: usize,
    /// Processors that the threads were pinned to; empty without pinning.
    pub pinned_to: Vec<usize>,
    /// Connections opened in total.
    pub connections_opened: u64,
    /// Maximum open connections at one time.
    pub connections_max: u64,
    /// CPU time of the sending threads per request, microseconds.
    pub cpu_us_per_request: f64,
    /// Send delay: the generator's own lateness, never the server's.
    pub send_delay: Quantiles,
    /// Maximum delay of reading a response, microseconds: a thread with 20,000 requests a second or more reads once per
    /// tick. 0: immediately.
    #[serde(default)]
    pub resolution_us: u64,
    /// Bound on the 99.9th percentile of the send delay, microseconds.
    pub send_delay_p999_us_max: u64,
    /// True if the latencies are the server's. The ledger is valid in any case.
    pub latencies_valid: bool,
    /// The reason if not.
    pub void_because: Option<String>,
}

/// One of the machines that played a run together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ShardReport {
    /// Share of the scenario, such as `2/3`.
    pub shard: String,
    /// Name of the machine in its network.
    pub host: String,
    /// The machine.
    pub machine: Machine,
    /// Requests written to a connection, retries included.
    pub sent: u64,
    /// True if its sending was interrupted.
    pub interrupted: bool,
    /// Punctuality of its generator.
    pub generator: GeneratorHealth,
}

/// An expected range and the actual value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Expectation {
    /// Name of the metric in the scenario's `expect`; `METRIC@PHASE` if the range is a phase's.
    pub name: String,
    /// Minimum; absent: no bound.
    pub min: Option<f64>,
    /// Maximum; absent: no bound.
    pub max: Option<f64>,
    /// Actual value; absent: not measured.
    pub actual: Option<f64>,
    /// The value against the range.
    pub result: ExpectationResult,
}

impl Expectation {
    /// The reason why it was not judged.
    pub fn unjudged(&self) -> Option<&'static str> {
        let reason = if self.actual.is_some() { "latencies are void" } else { "it was not measured" };
        (self.result == ExpectationResult::NotJudged).then_some(reason)
    }
}

/// A value against its expected range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpectationResult {
    /// The value is within the range, ends included.
    Holds,
    /// The value is outside.
    Fails,
    /// There is no value, or it is a latency while latencies are void.
    NotJudged,
}
