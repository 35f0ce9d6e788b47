//! Log lines of requests: a line for a failure, at most ten a second; the metrics and the counts of suppressed lines at
//! an interval; Function Compute's markers around them. A successful request costs one comparison.
//!
//! Lines are written when a request completes, never by a timer: an instance is frozen between requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use shared::telemetry::{FcLogMarker, LogBudget, log_suppressed};

use crate::error::{ApiError, Rejection};
use crate::metrics;
use crate::request_context::RequestId;

/// Lines a second for failed requests; further failures are counted.
const FAILURE_LINES_MAX: u64 = 10;

/// Interval of the counts of suppressed lines if no metrics are logged.
const COUNTS_INTERVAL: Duration = Duration::from_secs(10);

/// Requests that get Function Compute's log markers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FcLogFraming {
    /// Invocations by the platform that log a line, and lifecycle hooks.
    #[default]
    Auto,
    /// Every request: two lines each.
    All,
    /// No request.
    Off,
}

#[derive(Clone, Copy, Debug)]
pub struct RequestLogSettings {
    pub framing: FcLogFraming,
    /// Minimum time between two lines with the metrics; zero: no such lines, and [`COUNTS_INTERVAL`] for the counts of
    /// suppressed lines.
    pub metrics_interval: Duration,
}

impl Default for RequestLogSettings {
    fn default() -> Self {
        Self { framing: FcLogFraming::default(), metrics_interval: Duration::from_secs(10) }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct CompletedRequest<'a> {
    pub(crate) id: &'a RequestId,
    /// `None` for an accepted order.
    pub(crate) rejection: Option<&'a Rejection>,
    /// Milliseconds since 1970.
    pub(crate) now_ms: u64,
}

/// One per instance.
#[derive(Debug)]
pub struct RequestLogger {
    framing: FcLogFraming,
    metrics_interval: Duration,
    /// Time of the last lines of an interval, milliseconds since 1970; zero before the first request completes.
    logged_ms: AtomicU64,
    failures: &'static LogBudget,
    /// The budget of lines of `POST /initialize`.
    pub(crate) initializations: &'static LogBudget,
    /// Random id that separates the counters of this process from those of others.
    instance: String,
}

impl RequestLogger {
    #[must_use]
    pub fn new(settings: RequestLogSettings) -> Self {
        Self {
            framing: settings.framing,
            metrics_interval: settings.metrics_interval,
            logged_ms: AtomicU64::new(0),
            failures: LogBudget::leaked(FAILURE_LINES_MAX, |requests| {
                tracing::warn!(
                    event = "request_failures_suppressed",
                    requests,
                    "request failures suppressed: more than {FAILURE_LINES_MAX} a second"
                );
            }),
            initializations: LogBudget::leaked(1, |times| {
                tracing::warn!(
                    event = "initializations_suppressed",
                    times,
                    "initialize called more than once a second"
                );
            }),
            instance: format!("{:016x}", rand::random::<u64>()),
        }
    }

    pub(crate) fn on_request(&self, id: &RequestId) {
        if self.framing == FcLogFraming::All {
            FcLogMarker::Invoke.start(id.as_str());
        }
    }

    /// `requests_in_flight` is called only if its value is logged.
    pub(crate) fn on_response(
        &self,
        completed: &CompletedRequest<'_>,
        requests_in_flight: impl FnOnce() -> usize,
    ) {
        let failure = completed.rejection.filter(|rejection| rejection.code.status().is_server_error());
        let lines = failure.map(|_| self.failures.admit()).unwrap_or_default();
        let is_due = self.is_due(completed.now_ms);
        let id = completed.id.as_str();
        let logs = lines.emit || lines.suppressed > 0 || is_due;
        let frames_here = self.framing == FcLogFraming::Auto && completed.id.is_from_platform() && logs;
        if frames_here {
            FcLogMarker::Invoke.start(id);
        }
        if let Some(failure) = failure.filter(|_| lines.emit) {
            log_failure(id, failure);
        }
        self.failures.log_count(lines.suppressed);
        if is_due {
            self.log_interval(Some(id), requests_in_flight());
        }
        if frames_here || self.framing == FcLogFraming::All {
            FcLogMarker::Invoke.end(id);
        }
    }

    /// Runs a lifecycle hook between its markers.
    pub(crate) async fn framed<T>(
        &self,
        hook: FcLogMarker,
        id: &RequestId,
        work: impl Future<Output = T>,
    ) -> T {
        let frames = match self.framing {
            FcLogFraming::Auto => id.is_from_platform(),
            FcLogFraming::All => true,
            FcLogFraming::Off => false,
        };
        if frames {
            hook.start(id.as_str());
        }
        let done = work.await;
        if frames {
            hook.end(id.as_str());
        }
        done
    }

    /// Logs suppressed counts and the metrics before the process ends.
    pub(crate) fn flush(&self, id: Option<&RequestId>, requests_in_flight: usize) {
        self.log_interval(id.map(RequestId::as_str), requests_in_flight);
    }

    /// True for one request per interval. The first request only starts the interval.
    fn is_due(&self, now_ms: u64) -> bool {
        let interval = Some(self.metrics_interval).filter(|interval| !interval.is_zero());
        let interval_ms = interval.unwrap_or(COUNTS_INTERVAL).as_millis() as u64;
        let logged_ms = self.logged_ms.load(Ordering::Relaxed);
        // The wall clock may be set in either direction.
        if now_ms.abs_diff(logged_ms) < interval_ms {
            return false;
        }
        let order = Ordering::Relaxed;
        let is_mine = self.logged_ms.compare_exchange(logged_ms, now_ms, order, order).is_ok();
        is_mine && logged_ms != 0
    }

    fn log_interval(&self, request_id: Option<&str>, requests_in_flight: usize) {
        log_suppressed();
        if self.metrics_interval.is_zero() {
            return;
        }
        metrics::requests_in_flight(requests_in_flight);
        let metrics_json = shared::telemetry::metrics().to_json().to_string();
        tracing::info!(
            target: "metrics",
            event = "metrics",
            request_id,
            instance = self.instance,
            metrics_json,
            "metrics"
        );
    }
}

fn log_failure(request_id: &str, failure: &Rejection) {
    let order_id = match &*failure.error {
        ApiError::Publish { order_id, .. } => Some(order_id.to_string()),
        _ => None,
    };
    tracing::error!(
        event = "request_failed",
        request_id,
        error_code = failure.code.as_str(),
        error = %failure.error,
        order_id,
        "request failed"
    );
}
