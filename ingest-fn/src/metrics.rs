//! Names, units and labels of every metric, in one place.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::error::Code;
use crate::publish::PublishError;

const ACCEPTED: &str = "ingest_orders_accepted_total";
const REFUSED: &str = "ingest_orders_refused_total";
const MESSAGES: &str = "ingest_messages_published_total";
const MESSAGE_ORDERS: &str = "ingest_message_orders";
const MESSAGE_BYTES: &str = "ingest_message_bytes";
const PUBLISH_FAILURES: &str = "ingest_publish_failures_total";
const PUBLISH_SECONDS: &str = "ingest_publish_seconds";
const IN_FLIGHT: &str = "ingest_requests_in_flight";

/// Says what each metric is; called once at start.
pub fn describe() {
    describe_counter!(ACCEPTED, "Orders answered 202: the broker has them.");
    describe_counter!(REFUSED, "Requests answered otherwise, by `code` (the problem's).");
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

/// One order accepted.
pub fn accepted() {
    counter!(ACCEPTED).increment(1);
}

/// One request refused.
pub fn refused(code: Code) {
    counter!(REFUSED, "code" => code.as_str()).increment(1);
}

/// One message handed to the producer.
pub fn message_published(orders: usize, bytes: usize) {
    counter!(MESSAGES).increment(1);
    // Both are far below the 2^53 that a double holds exactly.
    histogram!(MESSAGE_ORDERS).record(orders as f64);
    histogram!(MESSAGE_BYTES).record(bytes as f64);
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
    counter!(PUBLISH_FAILURES, "reason" => reason).increment(1);
}

/// One message's end, acknowledged or not, after `took`.
pub fn publish_ended(took: Duration) {
    histogram!(PUBLISH_SECONDS).record(took.as_secs_f64());
}

/// Requests under way.
pub fn in_flight(requests: usize) {
    gauge!(IN_FLIGHT).set(requests as f64);
}
