//! What is told of requests, and when: a line for a failure, a few a second; metrics as a line now and then; the frame
//! around them. A request that ends as it should costs a comparison.
//!
//! Everything happens when a request ends, nothing by a timer: an instance is frozen between requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use shared::telemetry::{FcLogMarker, LogRateLimiter};

use crate::error::{ApiError, Rejection};
use crate::request_context::RequestId;
use crate::{metrics, summary};

/// Lines a second for requests that failed, one each; what is beyond is counted.
const FAILURE_LINES_MAX: u64 = 10;

/// Which requests are framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FcLogFraming {
    /// Those of the platform that log something, and what it asks in the course of an instance's life.
    #[default]
    Auto,
    /// Every one: two lines a request.
    All,
    /// None.
    Off,
}

/// What the flags come to.
#[derive(Clone, Copy, Debug)]
pub struct RequestLogSettings {
    /// Which requests are framed.
    pub framing: FcLogFraming,
    /// Between two lines of metrics; zero: none.
    pub metrics_interval: Duration,
}

impl Default for RequestLogSettings {
    fn default() -> Self {
        Self { framing: FcLogFraming::default(), metrics_interval: Duration::from_secs(10) }
    }
}

/// A request that has its answer.
#[derive(Clone, Copy, Debug)]
pub struct CompletedRequest<'a> {
    /// Its id.
    pub id: &'a RequestId,
    /// Why it was refused, if it was.
    pub refusal: Option<&'a Rejection>,
    /// Now, milliseconds since 1970.
    pub now_ms: u64,
}

/// Sees every request's end. One an instance.
#[derive(Debug)]
pub struct RequestLogger {
    framing: FcLogFraming,
    metrics_interval_ms: u64,
    /// When metrics were last logged, milliseconds since 1970; zero: no request has ended yet.
    metrics_logged_ms: AtomicU64,
    failures: LogRateLimiter,
    /// Tells this process's counts from another's.
    instance: String,
}

impl Default for RequestLogger {
    fn default() -> Self {
        Self::new(RequestLogSettings::default())
    }
}

impl RequestLogger {
    /// A new one.
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

    /// A request has come.
    pub fn on_request(&self, id: &RequestId) {
        if self.framing == FcLogFraming::All {
            Framed::Invoke.start(id.as_str());
        }
    }

    /// A request has its answer. `requests_in_flight` is asked only if it is told.
    pub fn on_response(&self, ended: &CompletedRequest<'_>, requests_in_flight: impl FnOnce() -> usize) {
        let failure = ended.refusal.filter(|refusal| refusal.code.status().is_server_error());
        let lines = failure.map(|_| self.failures.check_at(ended.now_ms)).unwrap_or_default();
        let metrics_are_due = self.metrics_are_due(ended.now_ms);
        let id = ended.id.as_str();
        let logs = lines.own || lines.kept > 0 || metrics_are_due;
        let frames_here = self.framing == FcLogFraming::Auto && ended.id.is_from_platform() && logs;
        if frames_here {
            FcLogMarker::Invoke.start(id);
        }
        if let Some(failure) = failure.filter(|_| lines.emit) {
            log_failure(id, failure);
        }
        log_kept(lines.suppressed);
        if metrics_are_due {
            summary::flush_expired(ended.now_ms);
            self.log_metrics(Some(id), requests_in_flight());
        }
        if frames_here || self.framing == FcLogFraming::All {
            Framed::Invoke.end(id);
        }
    }

    /// Runs what the platform asks in the course of an instance's life, framed.
    pub async fn framed<T>(&self, what: FcLogMarker, id: &RequestId, work: impl Future<Output = T>) -> T {
        let frames = match self.framing {
            FcLogFraming::Auto => id.is_from_platform(),
            FcLogFraming::All => true,
            FcLogFraming::Off => false,
        };
        if frames {
            what.start(id.as_str());
        }
        let done = work.await;
        if frames {
            what.end(id.as_str());
        }
        done
    }

    /// Before an end: what was only counted so far, and the metrics once more.
    pub fn flush(&self, id: Option<&RequestId>, requests_in_flight: usize) {
        log_kept(self.failures.rest());
        summary::flush_all();
        if self.metrics_interval_ms > 0 {
            self.log_metrics(id.map(RequestId::as_str), requests_in_flight);
        }
    }

    /// Whether this request is the one to log the metrics.
    fn metrics_are_due(&self, now_ms: u64) -> bool {
        let logged_ms = self.metrics_logged_ms.load(Ordering::Relaxed);
        // Whichever way the clock was set.
        if self.metrics_interval_ms == 0 || now_ms.abs_diff(logged_ms) < self.metrics_interval_ms {
            return false;
        }
        let order = Ordering::Relaxed;
        let is_mine = self.metrics_logged_ms.compare_exchange(logged_ms, now_ms, order, order).is_ok();
        // The first request begins the time and has nothing to tell yet.
        is_mine && logged_ms != 0
    }

    fn log_metrics(&self, request_id: Option<&str>, requests_in_flight: usize) {
        metrics::in_flight(requests_in_flight);
        let metrics_json = shared::telemetry::metrics().to_json().to_string();
        tracing::info!(target: "metrics", request_id, instance = self.instance, metrics_json, "metrics");
    }
}

fn log_failure(request_id: &str, failure: &Rejection) {
    let order_id = match &*failure.error {
        ApiError::Publish { order_id, .. } => Some(order_id.to_string()),
        _ => None,
    };
    tracing::error!(
        request_id,
        error_code = failure.code.as_str(),
        error = %failure.error,
        order_id,
        "request failed"
    );
}

fn log_kept(requests: u64) {
    if requests > 0 {
        tracing::warn!(requests, "more requests failed, without a line each");
    }
}
