//! Log lines, as JSON for machines or text for people, and metrics.

mod capture;
mod fc_log_markers;
mod json_lines;
mod log_budget;
mod metrics;
mod truncate;

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

pub use capture::Capture;
pub use fc_log_markers::FcLogMarker;
pub use json_lines::{JsonLines, LINE_BYTES_MAX};
pub use log_budget::{LogBudget, LogDecision, log_suppressed};
pub use metrics::{MetricSample, Metrics, metric_samples, metrics};

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// JSON, or text if standard output is a terminal
    #[default]
    Auto,
    /// One JSON object per line
    Json,
    /// Text for people
    Text,
}

impl LogFormat {
    /// True if lines are JSON.
    #[must_use]
    pub fn is_json(self) -> bool {
        match self {
            Self::Json => true,
            Self::Text => false,
            Self::Auto => !io::stdout().is_terminal(),
        }
    }
}

/// Installs the global subscriber. A second call in one process has no effect.
///
/// `filter` has the syntax of `RUST_LOG`, such as `info` or `info,drain_worker=debug`.
///
/// # Errors
/// If `filter` is malformed.
pub fn init(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    // Fails only if a subscriber is installed already, as in a test process with several services.
    if format.is_json() {
        if tracing::subscriber::set_global_default(json_subscriber(filter, io::stdout)?).is_ok() {
            log_panics();
        }
    } else {
        let builder = tracing_subscriber::fmt().with_env_filter(env_filter(filter)?);
        let text = builder.with_ansi(io::stdout().is_terminal()).finish();
        let _already_set = tracing::subscriber::set_global_default(text);
    }
    Ok(())
}

/// The JSON subscriber of [`init`], with `writer` in place of standard output.
///
/// # Errors
/// If `filter` is malformed.
pub fn json_subscriber<W>(filter: &str, writer: W) -> Result<impl Subscriber + Send + Sync, ParseError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = env_filter(filter)?;
    Ok(tracing_subscriber::fmt().with_env_filter(filter).event_format(JsonLines).with_writer(writer).finish())
}

/// Marker lines have a flag of their own, so a stricter filter does not remove them.
fn env_filter(filter: &str) -> Result<EnvFilter, ParseError> {
    Ok(EnvFilter::try_new(filter)?.add_directive(format!("{}=info", fc_log_markers::TARGET).parse()?))
}

/// Logs a panic as a JSON line with its location. The panic message is left out: it may quote a client's data.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(event = "panic", error_code = "panic", location, "panicked; this is a bug");
    }));
}
