//! What is logged while a test holds on to this.

use shared::telemetry::Capture;

/// Captures every line that this thread logs, most verbose levels of our own crates included.
pub(crate) struct Logs(Capture);

impl Logs {
    pub(crate) fn capture() -> Self {
        Self::capture_at("info,ingest_fn=trace,shared=trace,spillway_rocketmq=trace")
    }

    /// What `filter` lets through.
    pub(crate) fn capture_at(filter: &str) -> Self {
        Self(Capture::current_thread(filter).expect("a filter"))
    }

    pub(crate) fn text(&self) -> String {
        self.0.text()
    }

    /// Lines that are JSON.
    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        self.0.lines()
    }
}
