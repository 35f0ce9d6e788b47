//! What an instance tells of its requests.

use serde::Serialize;

use crate::observer::{FcLogFraming, RequestLogSettings};

/// Flags for what is told of requests.
#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Logs")]
pub struct ObserveArgs {
    /// Lines by which Function Compute finds a request's log: around what is logged for it, around all, or none
    #[arg(long, env = "SPILLWAY_FC_LOG_FRAMING", value_enum, default_value_t = FcLogFraming::Auto)]
    pub fc_log_framing: FcLogFraming,

    /// Metrics as a log line, at most once in this time, by the request that ends next, seconds; 0: never
    #[arg(long, env = "SPILLWAY_METRICS_LOG_INTERVAL_S", value_name = "S", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub metrics_log_interval_s: u64,
}

impl ObserveArgs {
    /// As the observer has them.
    #[must_use]
    pub const fn settings(&self) -> RequestLogSettings {
        RequestLogSettings {
            framing: self.fc_log_framing,
            metrics_interval: std::time::Duration::from_secs(self.metrics_log_interval_s),
        }
    }
}
