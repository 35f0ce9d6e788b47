//! Log settings.

use serde::Serialize;

use crate::telemetry::{self, LogFormat};

/// Flags and environment variables for logs.
#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// Format of log lines
    #[arg(long, env = "SPILLWAY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto)]
    pub log_format: LogFormat,

    /// Log filter: a level, or targets with levels such as info,drain_worker=debug
    #[arg(long, env = "SPILLWAY_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

impl LogArgs {
    /// True if lines are JSON. Then a failed start must be logged as a line too, not only printed.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.log_format.is_json()
    }

    /// Installs the process's subscriber.
    ///
    /// # Errors
    /// If the filter is malformed.
    pub fn init(&self) -> Result<(), super::ConfigErrors> {
        telemetry::init(self.log_format, &self.log).map_err(|error| {
            let mut errors = super::ConfigErrors::default();
            errors.push(format_args!("--log: {error}"));
            errors
        })
    }
}
