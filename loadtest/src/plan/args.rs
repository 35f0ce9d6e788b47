use std::path::PathBuf;

use super::broker::BrokerMessageType;
use super::cost::PriceCurrency;
use super::span::Seconds;
use crate::quota_args::QuotaArgs;

/// Size a sale: instances, broker, gateway, queue, price. Every figure names its source.
///
/// The command contacts nothing. Measurements and documents supply what the flags do not; the output names source and
/// certainty of each figure.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 planned, 1 a file could not be read or written, 2 invalid flags (all are listed)."
)]
pub struct PlanArgs {
    /// Orders a second at the peak
    #[arg(long, value_name = "RPS")]
    pub peak_rps: f64,

    /// Orders of the whole sale [default: a minute at the peak, or --duration]
    #[arg(long, value_name = "COUNT")]
    pub orders: Option<f64>,

    /// Length of the sale, such as 60s or 10m
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Seconds>,

    /// Orders a second that the drain may commit
    #[arg(long, value_name = "RPS")]
    pub drain_rate: Option<f64>,

    /// Time to publish an order, milliseconds
    #[arg(long, value_name = "MS")]
    pub latency_ms: Option<f64>,

    /// CPU of ingest-fn per order, microseconds
    #[arg(long, value_name = "US")]
    pub ingest_us_per_order: Option<f64>,

    /// An order's share of a message, key included, bytes
    #[arg(long, value_name = "BYTES")]
    pub order_bytes: Option<f64>,

    /// Orders in a message; 1: no coalescing [default: as many as gather]
    #[arg(long, value_name = "COUNT")]
    pub orders_per_message: Option<f64>,

    /// Maximum concurrent requests of an instance
    #[arg(long, value_name = "COUNT")]
    pub concurrency: Option<f64>,

    /// Share of CPU and request slots to keep free, 0 to 0.9
    #[arg(long, value_name = "SHARE")]
    pub headroom: Option<f64>,

    /// Goal for the p99 latency, milliseconds
    #[arg(long, value_name = "MS")]
    pub p99_ms: Option<f64>,

    /// Lead time of the pre-warm before the sale, such as 10m
    #[arg(long, value_name = "TIME")]
    pub lead: Option<Seconds>,

    #[command(flatten)]
    pub quota: QuotaArgs,

    /// vCPUs of an instance [default: the recommended size]
    #[arg(long, value_name = "VCPU")]
    pub vcpu: Option<f64>,

    /// Memory of an instance, MB [default: the minimum for its vCPUs]
    #[arg(long, value_name = "MB")]
    pub memory_mb: Option<f64>,

    /// RocketMQ message type
    #[arg(long, value_enum, default_value = "normal")]
    pub message_type: BrokerMessageType,

    /// Currency of prices
    #[arg(long, value_enum, default_value = "usd")]
    pub currency: PriceCurrency,

    /// A price table, in the format of loadtest/data/prices.toml
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,

    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub format: PlanFormat,

    /// Also write the plan to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PlanFormat {
    /// For a terminal
    Text,
    /// For a document
    Markdown,
}
