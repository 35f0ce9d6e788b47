//! The lines that Function Compute finds a request's log by: `FC Invoke Start RequestId: …` and its `End`.
//!
//! Vendor documentation of custom runtimes (certain for 2.0, likely for 3.0): without them neither the tail of a log
//! in an answer (`X-Fc-Log-Type: Tail`) nor the console's view of one request shows a line.

/// Their target: [`super::JsonLines`] writes the message of such an event as it is.
pub(super) const TARGET: &str = "fc_framing";

/// What a frame is around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed {
    /// `POST /initialize`.
    Initialize,
    /// A request.
    Invoke,
    /// `GET /pre-stop`.
    PreStop,
}

impl Framed {
    const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "Initialize",
            Self::Invoke => "Invoke",
            Self::PreStop => "PreStop",
        }
    }

    /// The line before.
    pub fn start(self, request_id: &str) {
        tracing::info!(target: TARGET, "FC {} Start RequestId: {request_id}", self.name());
    }

    /// The line after.
    pub fn end(self, request_id: &str) {
        tracing::info!(target: TARGET, "FC {} End RequestId: {request_id}", self.name());
    }
}
