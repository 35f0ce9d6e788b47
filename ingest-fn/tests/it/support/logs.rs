//! Captures log lines until it is dropped.

use shared::telemetry::Capture;

/// The lines of this thread, including the most verbose levels of the workspace's crates.
pub(crate) struct Logs(Capture);

impl Logs {
    pub(crate) fn capture() -> Self {
        Self::capture_at("info,ingest_fn=trace,shared=trace,spillway_rocketmq=trace")
    }

    /// Captures the lines that `filter` accepts.
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
