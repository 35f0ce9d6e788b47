//! Log lines of requests: a line for a failure, at most ten a second; the metrics as a line at an interval; Function
//! Compute's markers around them. A successful request costs one comparison.
//!
//! Lines are written when a request completes, never by a timer: an instance is frozen between requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use shared::telemetry::{FcLogMarker, LogRateLimiter};

use crate::error::{ApiError, Rejection};
use crate::request_context::RequestId;
use crate::{log_limits, metrics};

/// Lines a second for failed requests; further failures are counted.
const FAILURE_LINES_MAX: u64 = 10;

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
    /// Minimum time between two lines with the metrics; zero: no lines.
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
    metrics_interval_ms: u64,
    /// Time of the last metrics line, milliseconds since 1970; zero before the first request completes.
    metrics_logged_ms: AtomicU64,
    failures: LogRateLimiter,
    /// Random id that separates the counters of this process from those of others.
    instance: String,
}

impl RequestLogger {
    #[must_use]
    pub fn new(settings: RequestLogSettings) -> Self {
        Self {
            framing: settings.framing,
            metrics_interval_ms: settings.metrics_interval.as_millis() as u64,
            metrics_logged_ms: AtomicU64::new(0),
            failures: LogRateLimiter::new(FAILURE_LINES_MAX, Duration::from_secs(1)),
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
        let lines = failure.map(|_| self.failures.check_at(completed.now_ms)).unwrap_or_default();
        let metrics_are_due = self.metrics_are_due(completed.now_ms);
        let id = completed.id.as_str();
        let logs = lines.emit || lines.suppressed > 0 || metrics_are_due;
        let frames_here = self.framing == FcLogFraming::Auto && completed.id.is_from_platform() && logs;
        if frames_here {
            FcLogMarker::Invoke.start(id);
        }
        if let Some(failure) = failure.filter(|_| lines.emit) {
            log_failure(id, failure);
        }
        log_suppressed(lines.suppressed);
        if metrics_are_due {
            log_limits::flush_expired(completed.now_ms);
            self.log_metrics(Some(id), requests_in_flight());
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
        log_suppressed(self.failures.take_suppressed());
        log_limits::flush_all();
        if self.metrics_interval_ms > 0 {
            self.log_metrics(id.map(RequestId::as_str), requests_in_flight);
        }
    }

    /// True for one request per interval. The first request only starts the interval.
    fn metrics_are_due(&self, now_ms: u64) -> bool {
        let logged_ms = self.metrics_logged_ms.load(Ordering::Relaxed);
        // The wall clock may be set in either direction.
        if self.metrics_interval_ms == 0 || now_ms.abs_diff(logged_ms) < self.metrics_interval_ms {
            return false;
        }
        let order = Ordering::Relaxed;
        let is_mine = self.metrics_logged_ms.compare_exchange(logged_ms, now_ms, order, order).is_ok();
        is_mine && logged_ms != 0
    }

    fn log_metrics(&self, request_id: Option<&str>, requests_in_flight: usize) {
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

fn log_suppressed(requests: u64) {
    if requests > 0 {
        tracing::warn!(
            event = "request_failures_suppressed",
            requests,
            "request failures suppressed: more than {FAILURE_LINES_MAX} a second"
        );
    }
}
