//! What happens by the thousand under overload and failure: one line a second tells of it all.

use std::time::Duration;

use shared::rocketmq::SendError;
use shared::telemetry::LogRateLimiter;

const SECOND: Duration = Duration::from_secs(1);

/// The first event of a second has its line; the others are counted and told with the next one's.
static PUBLISH_FAILURES: LogRateLimiter = LogRateLimiter::new(1, SECOND);
static SHED: LogRateLimiter = LogRateLimiter::new(1, SECOND);
static CONNECTIONS_SHED: LogRateLimiter = LogRateLimiter::new(1, SECOND);
static ACCEPT_FAILURES: LogRateLimiter = LogRateLimiter::new(1, SECOND);

/// Tells of messages that did not get to the broker.
pub fn publish_failure(error: &SendError) {
    if let Some(messages) = PUBLISH_FAILURES.count_due() {
        tracing::warn!(messages, %error, "publishing fails");
    }
}

/// Tells of requests refused for want of room.
pub fn shed() {
    if let Some(requests) = SHED.count_due() {
        log_shed(requests);
    }
}

/// Tells of connections closed for want of room.
pub fn connections_shed() {
    if let Some(connections) = CONNECTIONS_SHED.count_due() {
        log_connections_shed(connections);
    }
}

/// Tells of connections that could not be taken.
pub fn accept_failure(error: &std::io::Error) {
    if let Some(times) = ACCEPT_FAILURES.count_due() {
        tracing::warn!(times, %error, "a connection could not be taken");
    }
}

/// Tells of what was only counted and whose second is over, `now_ms` milliseconds since 1970: when it stops, no next
/// event tells of it.
pub fn flush_expired(now_ms: u64) {
    tell(|budget| budget.kept_at(now_ms));
}

/// Tells of everything that was only counted: the end is near.
pub fn flush_all() {
    tell(LineBudget::rest);
}

fn tell(kept: impl Fn(&LogRateLimiter) -> u64) {
    for (budget, log) in [
        (&PUBLISH_FAILURES, log_publish_failures as fn(u64)),
        (&SHED, log_shed),
        (&CONNECTIONS_SHED, log_connections_shed),
        (&ACCEPT_FAILURES, log_accept_failures),
    ] {
        let events = kept(budget);
        if events > 0 {
            log(events);
        }
    }
}

fn log_publish_failures(messages: u64) {
    tracing::warn!(messages, "publishing failed");
}

fn log_shed(requests: u64) {
    tracing::warn!(requests, "requests shed: too many under way");
}

fn log_connections_shed(connections: u64) {
    tracing::warn!(connections, "connections shed: too many open");
}

fn log_accept_failures(times: u64) {
    tracing::warn!(times, "connections could not be taken");
}
