//! The marker lines by which Function Compute groups a request's log: `FC Invoke Start RequestId: …` and its `End`.
//!
//! Without them neither a response's log tail (`X-Fc-Log-Type: Tail`) nor the console's view of one request shows a
//! line. Source: vendor documentation of custom runtimes (certain for 2.0, likely for 3.0).

/// Target of marker events: [`super::JsonLines`] writes their message without JSON.
pub(super) const TARGET: &str = "fc_log_marker";

/// The call that a pair of markers encloses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FcLogMarker {
    /// `POST /initialize`.
    Initialize,
    /// An order or an event.
    Invoke,
    /// `GET /pre-stop`.
    PreStop,
}

impl FcLogMarker {
    const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "Initialize",
            Self::Invoke => "Invoke",
            Self::PreStop => "PreStop",
        }
    }

    /// Logs the start marker.
    pub fn start(self, request_id: &str) {
        tracing::info!(target: TARGET, "FC {} Start RequestId: {request_id}", self.name());
    }

    /// Logs the end marker.
    pub fn end(self, request_id: &str) {
        tracing::info!(target: TARGET, "FC {} End RequestId: {request_id}", self.name());
    }
}
