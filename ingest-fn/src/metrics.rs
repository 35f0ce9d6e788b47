//! Names, units, labels and buckets of every metric, in one place.
//!
//! Handles are taken once: on an order's way a count is one atomic addition, without a look-up.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::error::ErrorCode;
use crate::publish::PublishError;

const ACCEPTED: &str = "ingest_orders_accepted_total";
const REFUSED: &str = "ingest_requests_rejected_total";
const REQUEST_SECONDS: &str = "ingest_request_duration_seconds";
const MESSAGES: &str = "ingest_messages_published_total";
const MESSAGE_ORDERS: &str = "ingest_message_orders";
const MESSAGE_BYTES: &str = "ingest_message_bytes";
const PUBLISH_FAILURES: &str = "ingest_publish_failures_total";
const PUBLISH_SECONDS: &str = "ingest_publish_duration_seconds";
const IN_FLIGHT: &str = "ingest_requests_in_flight";

/// Orders in a message: up to the most that one may have.
const ORDERS_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0, 400.0];

/// Bytes of a message: the managed service bills by 4 KiB.
const BYTES_BUCKETS: &[f64] = &[512.0, 1_024.0, 2_048.0, 3_072.0, 4_096.0, 8_192.0, 16_384.0, 65_536.0];

struct Handles {
    accepted: Counter,
    /// By the code's place in [`ErrorCode::ALL`].
    refused: Box<[Counter]>,
    request_seconds: Histogram,
    messages: Counter,
    message_orders: Histogram,
    message_bytes: Histogram,
    publish_seconds: Histogram,
    in_flight: Gauge,
}

static HANDLES: LazyLock<Handles> = LazyLock::new(|| {
    // Before the first handle: one that is taken without a recorder records nothing for ever.
    let recorder = shared::telemetry::metrics();
    recorder.set_buckets(MESSAGE_ORDERS, ORDERS_BUCKETS);
    recorder.set_buckets(MESSAGE_BYTES, BYTES_BUCKETS);
    describe_all();
    Handles {
        accepted: counter!(ACCEPTED),
        refused: ErrorCode::ALL.iter().map(|code| counter!(REFUSED, "code" => code.as_str())).collect(),
        request_seconds: histogram!(REQUEST_SECONDS),
        messages: counter!(MESSAGES),
        message_orders: histogram!(MESSAGE_ORDERS),
        message_bytes: histogram!(MESSAGE_BYTES),
        publish_seconds: histogram!(PUBLISH_SECONDS),
        in_flight: gauge!(IN_FLIGHT),
    }
});

fn describe_all() {
    describe_counter!(ACCEPTED, "Orders answered 202: the broker has them.");
    describe_counter!(REFUSED, "Requests answered otherwise, by `code` (the problem's).");
    describe_histogram!(
        REQUEST_SECONDS,
        metrics::Unit::Seconds,
        "From a request's head to its answer, whatever that is."
    );
    describe_counter!(MESSAGES, "Messages handed to the producer.");
    describe_histogram!(MESSAGE_ORDERS, "Orders in a message.");
    describe_histogram!(MESSAGE_BYTES, metrics::Unit::Bytes, "Body of a message.");
    describe_counter!(PUBLISH_FAILURES, "Messages that did not get to the broker, by `reason`.");
    describe_histogram!(
        PUBLISH_SECONDS,
        metrics::Unit::Seconds,
        "From handing a message to the producer to its end, acknowledged or not."
    );
    describe_gauge!(IN_FLIGHT, "Requests under way.");
}

/// Takes every handle: before the first request, which would otherwise wait for it.
pub fn describe() {
    LazyLock::force(&HANDLES);
}

/// One order accepted.
pub fn accepted() {
    HANDLES.accepted.increment(1);
}

/// One request refused.
pub fn refused(code: ErrorCode) {
    // The codes are declared in the order of their list.
    if let Some(refused) = HANDLES.refused.get(code as usize) {
        refused.increment(1);
    }
}

/// One request's end after `took`.
pub fn request_ended(took: Duration) {
    HANDLES.request_seconds.record(took.as_secs_f64());
}

/// One message handed to the producer.
pub fn message_published(orders: usize, bytes: usize) {
    HANDLES.messages.increment(1);
    // Both are far below the 2^53 that a double holds exactly.
    HANDLES.message_orders.record(orders as f64);
    HANDLES.message_bytes.record(bytes as f64);
}

/// One message that did not get to the broker.
pub fn publish_failed(error: PublishError) {
    let reason = match error {
        PublishError::QueueFull => "queue_full",
        PublishError::Throttled => "throttled",
        PublishError::TimedOut => "timeout",
        PublishError::Failed => "failed",
        PublishError::Stopping => "stopping",
    };
    describe();
    counter!(PUBLISH_FAILURES, "reason" => reason).increment(1);
}

/// One message's end, acknowledged or not, after `took`.
pub fn publish_ended(took: Duration) {
    HANDLES.publish_seconds.record(took.as_secs_f64());
}

/// Requests under way.
pub fn in_flight(requests: usize) {
    HANDLES.in_flight.set(requests as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_counted_under_its_own_name() {
        for (place, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(*code as usize, place, "{code:?}");
        }
    }
}
