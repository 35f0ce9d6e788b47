//! Log lines of events that occur by the thousand under overload: at most one line a second for each kind.

use std::time::Duration;

use shared::rocketmq::SendError;
use shared::telemetry::LogRateLimiter;

const SECOND: Duration = Duration::from_secs(1);

/// Each logs the first event of a second; further events are counted, and logged with the next line.
static PUBLISH_FAILURES: LogRateLimiter = LogRateLimiter::new(1, SECOND);
static REQUESTS_SHED: LogRateLimiter = LogRateLimiter::new(1, SECOND);
static CONNECTIONS_SHED: LogRateLimiter = LogRateLimiter::new(1, SECOND);
static HEADS_TIMED_OUT: LogRateLimiter = LogRateLimiter::new(1, SECOND);

pub(crate) fn publish_failed(error: &SendError) {
    if let Some(messages) = PUBLISH_FAILURES.count_due() {
        tracing::warn!(event = "publish_failed", messages, %error, "publish failed");
    }
}

pub(crate) fn request_shed() {
    if let Some(requests) = REQUESTS_SHED.count_due() {
        log_requests_shed(requests);
    }
}

pub(crate) fn connection_shed() {
    if let Some(connections) = CONNECTIONS_SHED.count_due() {
        log_connections_shed(connections);
    }
}

pub(crate) fn head_timed_out() {
    if let Some(connections) = HEADS_TIMED_OUT.count_due() {
        log_heads_timed_out(connections);
    }
}

/// Logs counts whose second ended before `now_ms`, milliseconds since 1970: without a further event of their kind they
/// would stay unlogged.
pub(crate) fn flush_expired(now_ms: u64) {
    flush(|limiter| limiter.take_due_at(now_ms));
}

/// Logs all counts before the process ends.
pub(crate) fn flush_all() {
    flush(LogRateLimiter::take_suppressed);
}

fn flush(take_count: impl Fn(&LogRateLimiter) -> u64) {
    for (limiter, log) in [
        (&PUBLISH_FAILURES, log_publish_failures as fn(u64)),
        (&REQUESTS_SHED, log_requests_shed),
        (&CONNECTIONS_SHED, log_connections_shed),
        (&HEADS_TIMED_OUT, log_heads_timed_out),
    ] {
        let events = take_count(limiter);
        if events > 0 {
            log(events);
        }
    }
}

fn log_publish_failures(messages: u64) {
    tracing::warn!(event = "publish_failed", messages, "publish failed");
}

fn log_requests_shed(requests: u64) {
    tracing::warn!(event = "requests_shed", requests, "requests shed: too many in flight");
}

fn log_heads_timed_out(connections: u64) {
    tracing::warn!(
        event = "heads_timed_out",
        connections,
        "connections closed: a request's head did not end"
    );
}

fn log_connections_shed(connections: u64) {
    tracing::warn!(event = "connections_shed", connections, "connections shed: too many open");
}
