//! Log lines about one order, by which it can be followed from the buyer's request to the database.
//!
//! An order that is decided is logged at `debug` only: at the cap, and a flash sale rejects most of what it sells out,
//! a line each would be thousands a second. What somebody has to look into is logged whatever the level, a few lines a
//! second; the rest is counted.

use std::time::{Duration, SystemTime};

use shared::order::{AcceptedOrder, TraceParent};
use shared::telemetry::LogRateLimiter;

use crate::store::CommitOutcome;

/// Lines a second of each kind; what is beyond is on record in the database, and counted in metrics.
const LINES_MAX: u64 = 10;

const SECOND: Duration = Duration::from_secs(1);

/// This machine's clock, microseconds since 1970.
pub(super) fn now_us() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX)
}

/// Tells what became of an order. `answered_us`: when the database had answered for it, by [`now_us`]; its commit was no
/// later, so with `decided_at` a commit is known from both sides.
pub(super) fn log_settled(order: &AcceptedOrder, kind: CommitOutcome, answered_us: u64) {
    static CONFLICTS: LogRateLimiter = LogRateLimiter::new(LINES_MAX, SECOND);
    static DEAD_LETTERS: LogRateLimiter = LogRateLimiter::new(LINES_MAX, SECOND);
    let order_id = order.order_id;
    let traceparent = order.traceparent.as_ref().map(TraceParent::as_str);
    let outcome = kind.as_str();
    match kind {
        CommitOutcome::New(_) | CommitOutcome::Duplicate(_) => {
            tracing::debug!(%order_id, traceparent, outcome, answered_us, "order settled");
        }
        CommitOutcome::Conflict { .. } => {
            let lines = CONFLICTS.check();
            if lines.suppressed > 0 {
                tracing::info!(orders = lines.suppressed, outcome, "more orders settled");
            }
            if lines.emit {
                tracing::info!(%order_id, traceparent, outcome, "order settled");
            }
        }
        CommitOutcome::DeadLettered { reason } => {
            let (lines, reason) = (DEAD_LETTERS.check(), reason.as_str());
            if lines.suppressed > 0 {
                tracing::warn!(orders = lines.suppressed, outcome, "more orders settled");
            }
            if lines.emit {
                tracing::warn!(%order_id, traceparent, outcome, reason, "order settled");
            }
        }
    }
}
