use serde::Serialize;
use shared::config::Secret;

use super::ScrapeUrl;
use super::openapi::OpenApiUrl;
use super::promql::{AGE_QUERY, MESSAGES_QUERY};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LagChoice {
    /// The named metrics, else those of the embedded broker if it answers
    #[default]
    Auto,
    /// The named metrics
    Metrics,
    /// A server with Prometheus' HTTP API
    Promql,
    /// The management API of ApsaraMQ for RocketMQ 5.x
    Openapi,
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

    /// URL of the server for `--lag-source promql`: http://prometheus:9090
    #[arg(long, env = "SPILLWAY_LAG_PROMQL_URL", value_name = "URL", required_if_eq("lag_source", "promql"))]
    pub lag_promql_url: Option<ScrapeUrl>,

    /// Query for the messages that wait; $group and $topic stand for the names
    #[arg(long, env = "SPILLWAY_LAG_PROMQL_MESSAGES", value_name = "QUERY", default_value = MESSAGES_QUERY)]
    pub lag_promql_messages: String,

    /// Query for the age of the oldest, seconds
    #[arg(long, env = "SPILLWAY_LAG_PROMQL_AGE", value_name = "QUERY", default_value = AGE_QUERY)]
    pub lag_promql_age: String,

    /// URL of the management API for `--lag-source openapi`: https://rocketmq-vpc.cn-hangzhou.aliyuncs.com
    #[arg(
        long,
        env = "SPILLWAY_LAG_OPENAPI_URL",
        value_name = "URL",
        required_if_eq("lag_source", "openapi")
    )]
    pub lag_openapi_url: Option<OpenApiUrl>,

    /// Id of the broker's instance at the management API: rmq-cn-…
    #[arg(
        long,
        env = "SPILLWAY_LAG_OPENAPI_INSTANCE",
        value_name = "ID",
        required_if_eq("lag_source", "openapi")
    )]
    pub lag_openapi_instance: Option<String>,

    /// Access key of a RAM user that may only read the group's lag; prefer the environment variable
    #[arg(
        long,
        env = "SPILLWAY_LAG_OPENAPI_KEY",
        value_name = "ID:SECRET",
        hide_env_values = true,
        required_if_eq("lag_source", "openapi")
    )]
    pub lag_openapi_key: Option<Secret<String>>,
}
