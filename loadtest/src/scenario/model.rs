//! The scenario's types, for its TOML file and for the report.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A flash sale to play.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Name of the scenario.
    pub name: String,
    /// Purpose of the scenario, in one or two sentences.
    #[serde(default)]
    pub description: String,
    /// Seed of all random choices: the same seed sends the same requests.
    #[serde(default)]
    pub seed: u64,
    /// Phases of the request rate, one after the other.
    pub phases: Vec<ScenarioPhase>,
    /// Spacing of the requests under that rate, in phases without their own.
    #[serde(default)]
    pub arrivals: Spacing,
    /// SKUs on sale.
    #[serde(default)]
    pub sale: ScenarioSale,
    /// Distribution of buyers and orders.
    #[serde(default)]
    pub buyers: Buyers,
    /// Shares of requests that are not new orders.
    #[serde(default)]
    pub mix: RequestMix,
    /// Behaviour of the HTTP clients.
    #[serde(default)]
    pub clients: ClientBehaviour,
    /// The drain's cap.
    #[serde(default)]
    pub drain: DrainSettings,
    /// The generator's own bounds.
    #[serde(default)]
    pub generator: GeneratorSettings,
    /// Expected ranges by metric name.
    #[serde(default)]
    pub expect: BTreeMap<String, ExpectedRange>,
    /// Ranges by metric name that end the run when the metric leaves them.
    #[serde(default)]
    pub abort: BTreeMap<String, AbortRange>,
}

/// Spacing of arrivals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// As even as the rate allows.
    #[default]
    Even,
    /// Random (Poisson), as of many independent buyers.
    Poisson,
}

/// A phase of the scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("unevaluatedProperties" = false))]
pub struct ScenarioPhase {
    /// Name, unique in the scenario; required if the phase has expected ranges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The rate.
    #[serde(flatten)]
    pub rate: RatePhase,
    /// Spacing of this phase's requests; absent: the scenario's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Spacing>,
    /// Expected ranges by metric name, of the requests that were planned in this phase.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<String, ExpectedRange>,
}

/// A phase of the request rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "shape", rename_all = "snake_case", deny_unknown_fields)]
pub enum RatePhase {
    /// A constant rate.
    Constant {
        /// Requests a second.
        rps: f64,
        /// Length, seconds.
        seconds: f64,
    },
    /// Changes by the same amount each second.
    Linear {
        /// Requests a second at the start.
        from_rps: f64,
        /// Requests a second at the end.
        to_rps: f64,
        /// Length, seconds.
        seconds: f64,
    },
    /// Changes by the same factor each second.
    Exponential {
        /// Requests a second at the start; above 0.
        from_rps: f64,
        /// Requests a second at the end; above 0.
        to_rps: f64,
        /// Length, seconds.
        seconds: f64,
    },
    /// Rises linearly to the peak in the first half and falls in the second.
    Spike {
        /// Requests a second at start and end.
        base_rps: f64,
        /// Requests a second in the middle.
        peak_rps: f64,
        /// Length, seconds.
        seconds: f64,
    },
}

/// SKUs on sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScenarioSale {
    /// Number of SKUs.
    pub skus: u32,
    /// Units of each SKU, except the hot ones.
    pub stock: u32,
    /// SKUs with the highest demand: the first ones in the buyers' Zipf order.
    pub hot_skus: u32,
    /// Units of each hot SKU.
    pub hot_stock: u32,
    /// Maximum units of a hot SKU per buyer; 0: no limit.
    pub hot_limit: u32,
}

/// Distribution of buyers and orders.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Buyers {
    /// Number of buyers.
    pub users: u32,
    /// Exponent of the Zipf law over buyers; 0: uniform.
    pub user_zipf: f64,
    /// Exponent of the Zipf law over SKUs; 0: uniform.
    pub sku_zipf: f64,
    /// Maximum lines of an order, 1 to 20; uniform from 1.
    pub lines_max: u32,
    /// Maximum units of a line, 1 to 10,000; uniform from 1.
    pub quantity_max: u32,
}

/// Shares of requests that are not new orders, each 0 to 1, together at most 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestMix {
    /// An earlier order, sent again unchanged.
    pub replays: f64,
    /// An earlier order's key with another body.
    pub changed: f64,
    /// Requests that must be rejected: broken JSON, unknown SKUs, missing keys, oversized bodies, …
    pub invalid: f64,
    /// Orders whose client disconnects before the response.
    pub hang_ups: f64,
    /// Orders whose body arrives slowly.
    pub slow_bodies: f64,
}

/// Behaviour of the HTTP clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientBehaviour {
    /// Maximum open connections, over all threads.
    pub connections_max: u32,
    /// Requests after which a connection is closed and another one opened; 0: never.
    pub requests_per_connection: u32,
    /// A connection carries the requests of one buyer only.
    pub connection_per_buyer: bool,
    /// Time-out for a response, milliseconds.
    pub timeout_ms: u32,
    /// Maximum retries with the same key after a shed or unknown request.
    pub retries_max: u32,
    /// Minimum wait before a retry, milliseconds; doubles with each, with jitter; a larger `Retry-After` wins.
    pub retry_backoff_ms: u32,
    /// Time from the send to the disconnect of a client that hangs up, milliseconds.
    pub hang_up_after_ms: u32,
    /// Duration of a slow body, milliseconds.
    pub slow_body_ms: u32,
}

/// Settings of the drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrainSettings {
    /// Maximum orders committed in any one second.
    pub rate: u32,
}

/// Maximum requests a second that are planned for one sending thread.
pub const THREAD_RPS: u32 = 60_000;

/// The generator's own bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GeneratorSettings {
    /// Sending threads; 0: one per 60,000 requests a second at the peak, at most the number of processors.
    pub threads: u32,
    /// Latencies are void if more than one in 1,000 requests was sent later than this, microseconds.
    pub send_delay_p999_us_max: u32,
    /// Length of the timeline's intervals, milliseconds.
    pub interval_ms: u32,
}

/// An expected range; both ends are included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRange {
    /// Minimum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl Scenario {
    pub fn rates(&self) -> Vec<RatePhase> {
        self.phases.iter().map(|phase| phase.rate).collect()
    }

    /// The end of each phase, seconds since the start.
    pub(crate) fn phase_ends_s(&self) -> impl Iterator<Item = f64> {
        self.phases.iter().scan(0.0, |end_s, phase| {
            *end_s += phase.rate.seconds();
            Some(*end_s)
        })
    }
}

impl From<RatePhase> for ScenarioPhase {
    fn from(rate: RatePhase) -> Self {
        Self { name: None, rate, arrivals: None, expect: BTreeMap::new() }
    }
}

impl RatePhase {
    pub const fn seconds(&self) -> f64 {
        match self {
            Self::Constant { seconds, .. }
            | Self::Linear { seconds, .. }
            | Self::Exponential { seconds, .. }
            | Self::Spike { seconds, .. } => *seconds,
        }
    }
}

/// A range that a live metric must not leave for long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortRange {
    /// Minimum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Time outside the range after which the run is aborted, seconds; 0: at once.
    #[serde(default)]
    pub for_s: f64,
}

impl AbortRange {
    pub const fn range(&self) -> ExpectedRange {
        ExpectedRange { min: self.min, max: self.max }
    }
}

impl ExpectedRange {
    pub fn contains(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

/// `MIN..MAX`, an absent end empty.
impl fmt::Display for ExpectedRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |end: Option<f64>| end.map_or_else(String::new, |end| end.to_string());
        write!(formatter, "{}..{}", end(self.min), end(self.max))
    }
}

impl Default for ScenarioSale {
    fn default() -> Self {
        Self { skus: 100, stock: 1_000_000, hot_skus: 1, hot_stock: 2_000, hot_limit: 1 }
    }
}

impl Default for Buyers {
    fn default() -> Self {
        Self { users: 100_000, user_zipf: 0.0, sku_zipf: 1.0, lines_max: 2, quantity_max: 1 }
    }
}

impl Default for RequestMix {
    fn default() -> Self {
        Self { replays: 0.02, changed: 0.005, invalid: 0.005, hang_ups: 0.0, slow_bodies: 0.0 }
    }
}

impl Default for ClientBehaviour {
    fn default() -> Self {
        Self {
            connections_max: 512,
            requests_per_connection: 0,
            connection_per_buyer: false,
            timeout_ms: 10_000,
            retries_max: 0,
            retry_backoff_ms: 100,
            hang_up_after_ms: 1,
            slow_body_ms: 500,
        }
    }
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self { rate: 2_000 }
    }
}

impl Default for GeneratorSettings {
    fn default() -> Self {
        Self { threads: 0, send_delay_p999_us_max: 2_000, interval_ms: 1_000 }
    }
}
