//! Log lines about single orders, by which an order can be traced from the buyer's request to the database.
//!
//! A decided order is logged at `debug` only: at the cap that would be thousands of lines a second. Dead letters and
//! conflicts are logged at every level, a few lines a second; the others are counted.

use std::time::SystemTime;

use shared::order::{AcceptedOrder, TraceParent};
use shared::telemetry::LogBudget;

use crate::store::CommitOutcome;

/// Lines a second of each kind; the database and the metrics have the others.
const LINES_MAX: u64 = 10;

static CONFLICTS: LogBudget = LogBudget::new(LINES_MAX, |orders| {
    tracing::info!(
        event = "orders_settled_suppressed",
        orders,
        outcome = "conflict",
        "more than ten settled orders a second; lines suppressed"
    );
});

static DEAD_LETTERS: LogBudget = LogBudget::new(LINES_MAX, |orders| {
    tracing::warn!(
        event = "orders_settled_suppressed",
        orders,
        outcome = "dead_lettered",
        "more than ten settled orders a second; lines suppressed"
    );
});

/// This machine's clock, microseconds since 1970.
pub(super) fn now_us() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX)
}

/// Logs the outcome of an order. `answered_us` is when the database had answered, by [`now_us`]. The commit was no
/// later, so `decided_at` and `answered_us` bound it from both sides.
pub(super) fn log_settled(order: &AcceptedOrder, kind: CommitOutcome, answered_us: u64) {
    let order_id = order.order_id;
    let traceparent = order.traceparent.as_ref().map(TraceParent::as_str);
    let outcome = kind.as_str();
    match kind {
        CommitOutcome::New(_) | CommitOutcome::Duplicate(_) => {
            tracing::debug!(event = "order_settled", %order_id, traceparent, outcome, answered_us, "order settled");
        }
        CommitOutcome::Conflict { .. } => CONFLICTS.record(|| {
            tracing::info!(event = "order_settled", %order_id, traceparent, outcome, "order settled");
        }),
        CommitOutcome::DeadLettered { reason } => DEAD_LETTERS.record(|| {
            let reason = reason.as_str();
            tracing::warn!(event = "order_settled", %order_id, traceparent, outcome, reason, "order settled");
        }),
    }
}
