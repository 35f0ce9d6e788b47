//! Names, units, labels and buckets of every metric.
//!
//! Handles are registered once: on an order's way a count is one atomic addition, without a look-up.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::error::ErrorCode;
use crate::publish::PublishError;

const ACCEPTED: &str = "ingest_orders_accepted_total";
const REJECTED: &str = "ingest_requests_rejected_total";
const REQUEST_DURATION: &str = "ingest_request_duration_seconds";
const MESSAGES: &str = "ingest_messages_published_total";
const MESSAGE_ORDERS: &str = "ingest_message_orders";
const MESSAGE_BYTES: &str = "ingest_message_bytes";
const PUBLISH_FAILURES: &str = "ingest_publish_failures_total";
const PUBLISH_DURATION: &str = "ingest_publish_duration_seconds";
const IN_FLIGHT: &str = "ingest_requests_in_flight";

/// Orders in a message, up to the maximum of a message.
const ORDERS_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0, 400.0];

/// Bytes of a message: the managed service bills by 4 KiB.
const BYTES_BUCKETS: &[f64] = &[512.0, 1_024.0, 2_048.0, 3_072.0, 4_096.0, 8_192.0, 16_384.0, 65_536.0];

struct Handles {
    accepted: Counter,
    /// Indexed by the code's position in [`ErrorCode::ALL`].
    rejected: Box<[Counter]>,
    request_duration: Histogram,
    messages: Counter,
    message_orders: Histogram,
    message_bytes: Histogram,
    publish_duration: Histogram,
    in_flight: Gauge,
}

static HANDLES: LazyLock<Handles> = LazyLock::new(|| {
    // Before the first handle: a handle registered without a recorder never records anything.
    let recorder = shared::telemetry::metrics();
    recorder.set_buckets(MESSAGE_ORDERS, ORDERS_BUCKETS);
    recorder.set_buckets(MESSAGE_BYTES, BYTES_BUCKETS);
    describe_all();
    Handles {
        accepted: counter!(ACCEPTED),
        rejected: ErrorCode::ALL.iter().map(|code| counter!(REJECTED, "code" => code.as_str())).collect(),
        request_duration: histogram!(REQUEST_DURATION),
        messages: counter!(MESSAGES),
        message_orders: histogram!(MESSAGE_ORDERS),
        message_bytes: histogram!(MESSAGE_BYTES),
        publish_duration: histogram!(PUBLISH_DURATION),
        in_flight: gauge!(IN_FLIGHT),
    }
});

fn describe_all() {
    describe_counter!(ACCEPTED, "Orders answered 202: the broker has stored them.");
    describe_counter!(REJECTED, "Requests answered other than 202, by problem `code`.");
    describe_histogram!(
        REQUEST_DURATION,
        metrics::Unit::Seconds,
        "Time from a request's head to its answer, accepted or rejected."
    );
    describe_counter!(MESSAGES, "Messages sent to the broker.");
    describe_histogram!(MESSAGE_ORDERS, "Orders per message.");
    describe_histogram!(MESSAGE_BYTES, metrics::Unit::Bytes, "Body bytes per message.");
    describe_counter!(PUBLISH_FAILURES, "Messages not acknowledged by the broker, by `reason`.");
    describe_histogram!(
        PUBLISH_DURATION,
        metrics::Unit::Seconds,
        "Time from the start of a send, retries included, to its acknowledgement or failure."
    );
    describe_gauge!(IN_FLIGHT, "Orders in flight.");
}

/// Registers every metric. Call it at start: the first request would otherwise wait for it.
pub(crate) fn describe() {
    LazyLock::force(&HANDLES);
}

pub(crate) fn order_accepted() {
    HANDLES.accepted.increment(1);
}

pub(crate) fn request_rejected(code: ErrorCode) {
    // The codes are declared in the order of their list.
    if let Some(rejected) = HANDLES.rejected.get(code as usize) {
        rejected.increment(1);
    }
}

pub(crate) fn request_completed(duration: Duration) {
    HANDLES.request_duration.record(duration.as_secs_f64());
}

pub(crate) fn message_sent(orders: usize, bytes: usize) {
    HANDLES.messages.increment(1);
    // Both are far below the 2^53 that a double represents exactly.
    HANDLES.message_orders.record(orders as f64);
    HANDLES.message_bytes.record(bytes as f64);
}

pub(crate) fn publish_failed(error: PublishError) {
    let reason = match error {
        PublishError::QueueFull => "queue_full",
        PublishError::Throttled => "throttled",
        PublishError::TimedOut => "timeout",
        PublishError::Failed => "failed",
        PublishError::Rejected => "rejected",
        PublishError::Stopping => "stopping",
    };
    describe();
    counter!(PUBLISH_FAILURES, "reason" => reason).increment(1);
}

pub(crate) fn publish_completed(duration: Duration) {
    HANDLES.publish_duration.record(duration.as_secs_f64());
}

pub(crate) fn requests_in_flight(requests: usize) {
    HANDLES.in_flight.set(requests as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_counted_under_its_own_name() {
        for (position, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(*code as usize, position, "{code:?}");
        }
    }
}
