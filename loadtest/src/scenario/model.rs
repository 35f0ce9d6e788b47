//! A scenario's shape, as its TOML file and the report hold it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A flash sale to play.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it is for, a sentence or two.
    #[serde(default)]
    pub about: String,
    /// Seed of every choice: the same seed asks for the same.
    #[serde(default)]
    pub seed: u64,
    /// Stretches of rate, one after the other.
    pub phases: Vec<RatePhase>,
    /// What is on sale.
    #[serde(default)]
    pub sale: ScenarioSale,
    /// Who asks for what.
    #[serde(default)]
    pub buyers: Buyers,
    /// How many of the requests are no plain orders.
    #[serde(default)]
    pub mix: RequestMix,
    /// How clients behave.
    #[serde(default)]
    pub clients: ClientBehaviour,
    /// The drain's cap.
    #[serde(default)]
    pub drain: DrainSettings,
    /// The generator's own bounds.
    #[serde(default)]
    pub generator: GeneratorSettings,
    /// Expected ranges, by the name of what is measured.
    #[serde(default)]
    pub expect: BTreeMap<String, ExpectedRange>,
}

/// A stretch of rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "shape", rename_all = "snake_case", deny_unknown_fields)]
pub enum RatePhase {
    /// The same rate throughout.
    Constant {
        /// Requests a second.
        rps: f64,
        /// How long, seconds.
        seconds: f64,
    },
    /// Rises or falls by the same amount each second.
    Linear {
        /// Requests a second at its beginning.
        from_rps: f64,
        /// Requests a second at its end.
        to_rps: f64,
        /// How long, seconds.
        seconds: f64,
    },
    /// Rises or falls by the same factor each second.
    Exponential {
        /// Requests a second at its beginning; above 0.
        from_rps: f64,
        /// Requests a second at its end; above 0.
        to_rps: f64,
        /// How long, seconds.
        seconds: f64,
    },
    /// Up to the peak in the first half and back in the second, linearly.
    Spike {
        /// Requests a second at its beginning and end.
        base_rps: f64,
        /// Requests a second in the middle.
        peak_rps: f64,
        /// How long, seconds.
        seconds: f64,
    },
}

/// What is on sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScenarioSale {
    /// Different SKUs.
    pub skus: u32,
    /// Units of each, except for the hot ones.
    pub stock: u32,
    /// SKUs that everybody wants: the first ones in the buyers' Zipf order.
    pub hot_skus: u32,
    /// Units of each hot SKU.
    pub hot_stock: u32,
    /// Most units of a hot SKU that one buyer may have; 0: no limit.
    pub hot_limit: u32,
}

/// Who asks for what.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Buyers {
    /// Different buyers.
    pub users: u32,
    /// Exponent of the Zipf law over buyers; 0: all alike.
    pub user_zipf: f64,
    /// Exponent of the Zipf law over SKUs; 0: all alike.
    pub sku_zipf: f64,
    /// Most lines of an order, 1 to 20; each number of lines is as likely.
    pub lines_max: u32,
    /// Most units of a line, 1 to 10,000; each number is as likely.
    pub quantity_max: u32,
}

/// Shares of requests that are no plain orders, each 0 to 1, together at most 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestMix {
    /// An earlier order, sent again as it was.
    pub replays: f64,
    /// An earlier order's key with another body.
    pub changed: f64,
    /// Requests that must be refused: broken JSON, unknown SKUs, missing keys, bodies too large, …
    pub invalid: f64,
    /// Orders whose client hangs up before the answer.
    pub hang_ups: f64,
    /// Orders whose body trickles in.
    pub slow_bodies: f64,
}

/// How clients behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientBehaviour {
    /// Most connections open at once, over all threads.
    pub connections_max: u32,
    /// Requests after which a connection is closed and another opened; 0: never.
    pub requests_per_connection: u32,
    /// Longest wait for an answer, milliseconds.
    pub timeout_ms: u32,
    /// How often a client tries again with the same key after a shed or unknown request.
    pub retries_max: u32,
    /// Least wait before a retry, milliseconds; doubles with each, jittered; a `Retry-After` that asks for more wins.
    pub retry_backoff_ms: u32,
    /// When a client that hangs up does so, milliseconds after it sent.
    pub hang_up_after_ms: u32,
    /// How long a slow body takes, milliseconds.
    pub slow_body_ms: u32,
}

/// The drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrainSettings {
    /// Most orders committed in any one second.
    pub rate: u32,
}

/// The generator's own bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GeneratorSettings {
    /// Threads that send; 0: one for each 40,000 requests a second at the peak, at most the processors.
    pub threads: u32,
    /// Latencies are void if more than one in 1,000 requests was taken up later than this, microseconds.
    pub slip_p999_us_max: u32,
    /// Length of the timeline's intervals, milliseconds.
    pub interval_ms: u32,
}

/// An expected range; both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRange {
    /// Least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
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
        Self { threads: 0, slip_p999_us_max: 2_000, interval_ms: 1_000 }
    }
}
