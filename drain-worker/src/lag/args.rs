use serde::Serialize;

use super::ScrapeUrl;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LagChoice {
    /// The named metrics, else those of the embedded broker if it answers
    #[default]
    Auto,
    /// The named metrics
    Metrics,
    /// No lag
    None,
}

#[derive(Clone, Debug, Default, clap::Args, Serialize)]
#[command(next_help_heading = "Lag")]
pub struct LagArgs {
    /// Source of lag and oldest age
    #[arg(long, env = "SPILLWAY_LAG_SOURCE", value_name = "SOURCE", value_enum, default_value_t)]
    pub lag_source: LagChoice,

    /// URLs of each broker's metrics in Prometheus' text format, separated by commas: http://broker:5557/metrics
    #[arg(long, env = "SPILLWAY_LAG_METRICS_URL", value_name = "URL", value_delimiter = ',')]
    pub lag_metrics_url: Vec<ScrapeUrl>,
}
