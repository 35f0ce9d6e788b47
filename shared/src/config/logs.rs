//! Log settings.

use std::ffi::OsString;
use std::fmt;

use clap::ValueEnum as _;
use clap::error::ErrorKind;
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
    /// The log settings of a command line that is faulty as a whole: the default where they are faulty too.
    #[must_use]
    pub fn from_faulty(arguments: &[OsString]) -> Self {
        let format = setting(arguments, "--log-format", "SPILLWAY_LOG_FORMAT");
        Self {
            log_format: format.and_then(|text| LogFormat::from_str(&text, true).ok()).unwrap_or_default(),
            log: setting(arguments, "--log", "SPILLWAY_LOG").unwrap_or_else(|| "info".to_owned()),
        }
    }

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

/// The value of a flag, or of its environment variable.
fn setting(arguments: &[OsString], flag: &str, variable: &str) -> Option<String> {
    let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy());
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix(flag) {
            Some("") => return arguments.next().map(Into::into),
            Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_owned()),
            _ => {}
        }
    }
    std::env::var(variable).ok()
}

/// A faulty command line or environment, on one line.
#[derive(Debug)]
pub struct UsageError(clap::Error);

impl From<clap::Error> for UsageError {
    fn from(error: clap::Error) -> Self {
        Self(error)
    }
}

impl std::error::Error for UsageError {}

impl fmt::Display for UsageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The argument may be a secret without its flag.
        if self.0.kind() == ErrorKind::UnknownArgument {
            return formatter.write_str("an argument is unknown, see --help");
        }
        let text = self.0.to_string();
        let fault = text.split("\n\n").next().unwrap_or_default();
        for (index, word) in fault.trim_start_matches("error: ").split_whitespace().enumerate() {
            write!(formatter, "{}{word}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}
