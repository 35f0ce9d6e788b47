//! How a service logs.

use serde::Serialize;

use crate::telemetry::{self, LogFormat};

/// Flags and environment variables for logs.
#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// How log lines look
    #[arg(long, env = "SPILLWAY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto)]
    pub log_format: LogFormat,

    /// What is logged: a level, or targets with levels such as info,drain_worker=debug
    #[arg(long, env = "SPILLWAY_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

impl LogArgs {
    /// Whether lines are for machines: then everything that matters must be one, the reason of a failed start too.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.log_format.is_json()
    }

    /// Starts logging.
    ///
    /// # Errors
    /// If the filter cannot be read.
    pub fn init(&self) -> Result<(), super::ConfigErrors> {
        telemetry::init(self.log_format, &self.log).map_err(|error| {
            let mut errors = super::ConfigErrors::default();
            errors.push(format_args!("--log: {error}"));
            errors
        })
    }
}
