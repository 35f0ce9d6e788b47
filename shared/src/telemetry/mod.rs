//! What a service tells of itself: log lines, JSON for machines or text for people, and metrics.

mod capture;
mod cut;
mod framing;
mod json_lines;
mod limit;
mod metrics;

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

pub use capture::Capture;
pub use framing::Framed;
pub use json_lines::{JsonLines, LINE_BYTES_MAX};
pub use limit::{LineBudget, Lines};
pub use metrics::{Metrics, metrics};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// JSON unless standard output is a terminal.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// Text.
    Text,
}

impl LogFormat {
    /// Whether lines are JSON.
    #[must_use]
    pub fn is_json(self) -> bool {
        match self {
            Self::Json => true,
            Self::Text => false,
            Self::Auto => !io::stdout().is_terminal(),
        }
    }
}

/// Starts logging. A second call in one process changes nothing.
///
/// `filter` is in the syntax of `RUST_LOG`, such as `info` or `info,drain_worker=debug`.
///
/// # Errors
/// If `filter` cannot be read.
pub fn init(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    // Fails only where a subscriber is set already: a test process with several services.
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

/// What [`init`] writes JSON with, to `writer` instead of standard output.
///
/// # Errors
/// If `filter` cannot be read.
pub fn json_subscriber<W>(filter: &str, writer: W) -> Result<impl Subscriber + Send + Sync, ParseError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = env_filter(filter)?;
    Ok(tracing_subscriber::fmt().with_env_filter(filter).event_format(JsonLines).with_writer(writer).finish())
}

/// Framing has a switch of its own: a higher log level does not take it away.
fn env_filter(filter: &str) -> Result<EnvFilter, ParseError> {
    Ok(EnvFilter::try_new(filter)?.add_directive(format!("{}=info", framing::TARGET).parse()?))
}

/// A panic is a line like any other, not text on standard error. It tells where, and not what: the message may quote
/// what a client sent.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(error_code = "panic", place, "a panic, which is a bug");
    }));
}
