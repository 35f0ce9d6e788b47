//! Names, units and labels of every metric.

use std::collections::BTreeSet;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::dead_letters::RedriveOutcome;
use crate::pool::LimitedBy;
use crate::store::{CommitOutcome, DeadLetterTotals};

const MESSAGES_RECEIVED: &str = "drain_messages_received_total";
const ORDERS_RECEIVED: &str = "drain_orders_received_total";
const RECEIVES: &str = "drain_receives_total";
const RECEIVE_FAILURES: &str = "drain_receive_failures_total";
const ORDERS: &str = "drain_orders_total";
const COMMIT_DURATION: &str = "drain_commit_duration_seconds";
const COMMIT_FAILURES: &str = "drain_commit_failures_total";
const STUCK_ORDERS: &str = "drain_stuck_orders";
const ACK_FAILURES: &str = "drain_ack_failures_total";
const UNREADABLE_MESSAGES: &str = "drain_unreadable_messages_total";
const DEAD_LETTERS: &str = "drain_dead_letters";
const OLDEST_DEAD_LETTER_AGE: &str = "drain_oldest_dead_letter_age_seconds";
const DEAD_LETTERS_REDRIVEN: &str = "drain_dead_letters_redriven_total";
const DEAD_LETTERS_DISCARDED: &str = "drain_dead_letters_discarded_total";
const BROKER_DLQ_MESSAGES: &str = "drain_broker_dlq_messages_total";
const BROKER_DLQ_CONSUMER_UP: &str = "drain_broker_dlq_consumer_up";
const READY: &str = "drain_ready";
const CAP: &str = "drain_cap_orders_per_second";
const SHARE: &str = "drain_share_orders_per_second";
const ADAPTIVE_LIMIT: &str = "drain_adaptive_limit_orders_per_second";
const WORKERS: &str = "drain_workers";
const ARRIVING: &str = "drain_arriving_orders_per_second";
const LIMITED_BY: &str = "drain_limited_by";
const LAG_MESSAGES: &str = "drain_lag_messages";
const LAG_ORDERS: &str = "drain_lag_orders";
const OLDEST_ORDER_AGE: &str = "drain_oldest_order_age_seconds";
const ETA: &str = "drain_eta_seconds";
const CONNECTIONS_REJECTED: &str = "drain_connections_rejected_total";

/// The value of a gauge that is left out.
const UNKNOWN: f64 = f64::NAN;

/// Describes each metric; called once at start.
pub fn describe() {
    describe_counter!(MESSAGES_RECEIVED, "Messages received.");
    describe_counter!(ORDERS_RECEIVED, "Orders in the received messages.");
    describe_counter!(RECEIVES, "Receives that returned messages.");
    describe_counter!(RECEIVE_FAILURES, "Receives that failed.");
    describe_counter!(
        ORDERS,
        "Orders settled, by `outcome`: confirmed, sold_out, limit_exceeded, duplicate, conflict, dead_lettered."
    );
    describe_histogram!(
        COMMIT_DURATION,
        metrics::Unit::Seconds,
        "Time from the first statement of a batch to the answer of its commit, retries after contention included."
    );
    describe_counter!(COMMIT_FAILURES, "Transactions that failed transiently.");
    describe_gauge!(
        STUCK_ORDERS,
        "Orders that wait in this worker because another transaction has locked their stock."
    );
    describe_counter!(ACK_FAILURES, "Acks that failed; the messages are redelivered, which changes nothing.");
    describe_counter!(
        UNREADABLE_MESSAGES,
        "Messages that could not be read and were stored as dead letters."
    );
    describe_gauge!(DEAD_LETTERS, "Open dead letters in the database, by `reason`.");
    describe_gauge!(
        OLDEST_DEAD_LETTER_AGE,
        metrics::Unit::Seconds,
        "Time since the oldest open dead letter first failed, by `reason`; 0: there is none."
    );
    describe_counter!(DEAD_LETTERS_REDRIVEN, "Dead letters redriven, by `outcome`.");
    describe_counter!(DEAD_LETTERS_DISCARDED, "Dead letters discarded.");
    describe_counter!(BROKER_DLQ_MESSAGES, "Dead letters stored from the broker's dead-letter topic.");
    describe_gauge!(
        BROKER_DLQ_CONSUMER_UP,
        "1 if the broker's dead-letter topic is readable or does not exist yet, else 0; the broker drops its messages in the end."
    );
    describe_gauge!(READY, "1 if this worker has joined the pool and can drain, else 0.");
    describe_gauge!(CAP, "Maximum orders that the pool commits in any second; 0: paused.");
    describe_gauge!(SHARE, "This worker's share of the cap.");
    describe_gauge!(ADAPTIVE_LIMIT, "This worker's adaptive limit; +Inf: not limited.");
    describe_gauge!(WORKERS, "Workers of the pool whose leases are live.");
    describe_gauge!(ARRIVING, "Orders published a second, by the lag's slope and what is committed.");
    describe_gauge!(
        LIMITED_BY,
        "1 for what limits the pool, else 0, by `limit`: cap, database_latency, connections, broker, nothing_waits."
    );
    describe_gauge!(LAG_MESSAGES, "Messages waiting on the broker.");
    describe_gauge!(LAG_ORDERS, "Orders waiting on the broker and in the workers, estimated.");
    describe_gauge!(OLDEST_ORDER_AGE, metrics::Unit::Seconds, "Age of the oldest waiting order.");
    describe_gauge!(
        ETA,
        metrics::Unit::Seconds,
        "Time until the lag is drained, with the arrivals of this moment and the settings to come; +Inf: it is not within a week."
    );
    describe_counter!(
        CONNECTIONS_REJECTED,
        "Connections rejected at the connection limit, by `port`: query, admin."
    );
}

pub fn received(messages: usize, orders: usize) {
    counter!(RECEIVES).increment(u64::from(messages > 0));
    counter!(MESSAGES_RECEIVED).increment(messages as u64);
    counter!(ORDERS_RECEIVED).increment(orders as u64);
}

pub fn receive_failed() {
    counter!(RECEIVE_FAILURES).increment(1);
}

pub fn commit_duration(took: Duration) {
    histogram!(COMMIT_DURATION).record(took.as_secs_f64());
}

pub fn commit_failed() {
    counter!(COMMIT_FAILURES).increment(1);
}

pub fn stuck_orders(orders: usize) {
    gauge!(STUCK_ORDERS).set(orders as f64);
}

pub fn ack_failed(acks: usize) {
    counter!(ACK_FAILURES).increment(acks as u64);
}

pub fn unreadable_messages(letters: usize) {
    counter!(UNREADABLE_MESSAGES).increment(letters as u64);
}

pub fn broker_dlq_consumer_up(is_up: bool) {
    gauge!(BROKER_DLQ_CONSUMER_UP).set(if is_up { 1.0 } else { 0.0 });
}

/// Values of the pool's gauges. An unknown value is left out of the metrics: the last known one could prevent or trigger
/// alerts.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolGauges {
    /// Orders a second; 0: paused.
    pub cap: Option<u32>,
    /// Whose leases are live.
    pub workers: Option<usize>,
    /// Orders a second.
    pub share: Option<u32>,
    /// The adaptive limit, orders a second; infinite: not limited.
    pub limit: Option<f64>,
    pub lag_messages: Option<u64>,
    pub lag_orders: Option<u64>,
    /// Seconds.
    pub oldest_s: Option<f64>,
    /// Seconds; infinite: not within a week.
    pub eta_s: Option<f64>,
    /// Orders a second.
    pub arriving: Option<f64>,
    pub limited_by: Option<LimitedBy>,
}

pub fn pool(gauges: &PoolGauges) {
    let is_drained = gauges.lag_orders == Some(0);
    for (name, value) in [
        (CAP, gauges.cap.map(f64::from)),
        (WORKERS, gauges.workers.map(|workers| workers as f64)),
        (ARRIVING, gauges.arriving),
        (SHARE, gauges.share.map(f64::from)),
        (ADAPTIVE_LIMIT, gauges.limit),
        (LAG_MESSAGES, gauges.lag_messages.map(|messages| messages as f64)),
        (LAG_ORDERS, gauges.lag_orders.map(|orders| orders as f64)),
        (OLDEST_ORDER_AGE, if is_drained { Some(0.0) } else { gauges.oldest_s }),
        (ETA, if is_drained { Some(0.0) } else { gauges.eta_s }),
    ] {
        gauge!(name).set(value.unwrap_or(UNKNOWN));
    }
    for word in LimitedBy::ALL {
        let value = gauges.limited_by.map_or(UNKNOWN, |limit| if limit == word { 1.0 } else { 0.0 });
        gauge!(LIMITED_BY, "limit" => word.as_str()).set(value);
    }
}

pub fn ready(is_ready: bool) {
    gauge!(READY).set(if is_ready { 1.0 } else { 0.0 });
}

pub fn order_outcome(kind: CommitOutcome) {
    counter!(ORDERS, "outcome" => kind.as_str()).increment(1);
}

/// Sets the gauges of open dead letters; `reasons` without any are set to 0. `None`: not known.
pub fn dead_letters(totals: Option<&DeadLetterTotals>, reasons: &BTreeSet<String>) {
    for reason in reasons {
        let (letters, age_s) = totals.map_or((UNKNOWN, UNKNOWN), |totals| {
            let total = totals.by_reason.get(reason);
            total.map_or((0.0, 0.0), |total| (total.letters as f64, total.oldest_age_ms as f64 / 1_000.0))
        });
        gauge!(DEAD_LETTERS, "reason" => reason.clone()).set(letters);
        gauge!(OLDEST_DEAD_LETTER_AGE, "reason" => reason.clone()).set(age_s);
    }
}

pub fn redriven(outcomes: impl Iterator<Item = RedriveOutcome>) {
    for outcome in outcomes {
        counter!(DEAD_LETTERS_REDRIVEN, "outcome" => outcome.as_str()).increment(1);
    }
}

pub fn connection_rejected(port: &'static str) {
    counter!(CONNECTIONS_REJECTED, "port" => port).increment(1);
}

pub fn discarded(letters: usize) {
    counter!(DEAD_LETTERS_DISCARDED).increment(letters as u64);
}

pub fn broker_dlq_messages(letters: usize) {
    counter!(BROKER_DLQ_MESSAGES).increment(letters as u64);
}
