//! Flags of the lag.

use serde::Serialize;

use super::ScrapeUrl;

/// Where the lag comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LagChoice {
    /// The named metrics, else the embedded broker's if that is what answers
    #[default]
    Auto,
    /// The named metrics
    Metrics,
    /// Nowhere
    None,
}

/// Flags for the lag.
#[derive(Clone, Debug, Default, clap::Args, Serialize)]
#[command(next_help_heading = "Lag")]
pub struct LagArgs {
    /// Where lag and oldest age come from
    #[arg(long, env = "SPILLWAY_LAG_SOURCE", value_name = "SOURCE", value_enum, default_value_t)]
    pub lag_source: LagChoice,

    /// Metrics of each broker, Prometheus' text over HTTP, separated by commas: http://broker:5557/metrics
    #[arg(long, env = "SPILLWAY_LAG_METRICS_URL", value_name = "URL", value_delimiter = ',')]
    pub lag_metrics_url: Vec<ScrapeUrl>,
}
