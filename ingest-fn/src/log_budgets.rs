//! Log lines of events that occur by the thousand under overload or attack: a few lines a second for each kind, and the
//! number of the others.

use shared::rocketmq::SendError;
use shared::telemetry::LogBudget;

pub(crate) static REQUESTS_SHED: LogBudget = LogBudget::new(1, |requests| {
    tracing::warn!(event = "requests_shed", requests, "requests shed: too many in flight");
});

pub(crate) static CONNECTIONS_SHED: LogBudget = LogBudget::new(1, |connections| {
    tracing::warn!(event = "connections_shed", connections, "connections shed: too many open");
});

pub(crate) static HEADS_TIMED_OUT: LogBudget = LogBudget::new(1, |connections| {
    tracing::warn!(
        event = "heads_timed_out",
        connections,
        "connections closed: a request's head did not end"
    );
});

pub(crate) static REQUESTS_ABANDONED: LogBudget = LogBudget::new(1, |requests| {
    tracing::info!(event = "requests_abandoned", requests, "clients hung up before the answer");
});

pub(crate) static REQUESTS_UNAUTHENTICATED: LogBudget = LogBudget::new(1, |requests| {
    tracing::warn!(
        event = "requests_unauthenticated",
        requests,
        "requests rejected: not signed by the gateway"
    );
});

static PUBLISH_FAILURES: LogBudget = LogBudget::new(1, |messages| {
    tracing::warn!(event = "publish_failed", messages, "publish failed");
});

pub(crate) fn publish_failed(error: &SendError) {
    PUBLISH_FAILURES.record(|| {
        tracing::warn!(event = "publish_failed", messages = 1, %error, "publish failed");
    });
}
