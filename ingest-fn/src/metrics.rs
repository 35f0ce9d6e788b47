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
const PHASE: &str = "ingest_phase_duration_seconds";
const SIGNATURES: &str = "ingest_signatures_verified_total";
const ABANDONED: &str = "ingest_requests_abandoned_total";
const HEADS_TIMED_OUT: &str = "ingest_heads_timed_out_total";
const CONNECTIONS_SHED: &str = "ingest_connections_shed_total";
const IN_FLIGHT: &str = "ingest_requests_in_flight";
const CONNECTIONS: &str = "ingest_connections_open";
const ORDERS_GATHERING: &str = "ingest_orders_gathering";
const MESSAGES_IN_FLIGHT: &str = "ingest_messages_in_flight";
const BROKER: &str = "ingest_broker_reachable";
const CATALOGUE: &str = "ingest_catalogue_info";
const BUILD: &str = "ingest_build_info";

/// The commit that the binary was built from; `infra/image/build` sets it.
const REVISION: Option<&str> = option_env!("SPILLWAY_REVISION");

/// Durations of a phase: most take microseconds.
const PHASE_BUCKETS: &[f64] =
    &[0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.05, 0.25, 1.0, 5.0];

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
    read: Histogram,
    validate: Histogram,
    gather: Histogram,
    signatures_of_body: Counter,
    signatures_of_head: Counter,
    abandoned: Counter,
    heads_timed_out: Counter,
    connections_shed: Counter,
    in_flight: Gauge,
    connections: Gauge,
    orders_gathering: Gauge,
    messages_in_flight: Gauge,
    broker: Gauge,
}

static HANDLES: LazyLock<Handles> = LazyLock::new(|| {
    // Before the first handle: a handle registered without a recorder never records anything.
    let recorder = shared::telemetry::metrics();
    recorder.set_buckets(MESSAGE_ORDERS, ORDERS_BUCKETS);
    recorder.set_buckets(MESSAGE_BYTES, BYTES_BUCKETS);
    recorder.set_buckets(PHASE, PHASE_BUCKETS);
    describe_all();
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION"), "revision" => REVISION.unwrap_or("unknown"))
        .set(1.0);
    Handles {
        accepted: counter!(ACCEPTED),
        rejected: ErrorCode::ALL.iter().map(|code| counter!(REJECTED, "code" => code.as_str())).collect(),
        request_duration: histogram!(REQUEST_DURATION),
        messages: counter!(MESSAGES),
        message_orders: histogram!(MESSAGE_ORDERS),
        message_bytes: histogram!(MESSAGE_BYTES),
        publish_duration: histogram!(PUBLISH_DURATION),
        read: histogram!(PHASE, "phase" => "read"),
        validate: histogram!(PHASE, "phase" => "validate"),
        gather: histogram!(PHASE, "phase" => "gather"),
        signatures_of_body: counter!(SIGNATURES, "covers" => "body"),
        signatures_of_head: counter!(SIGNATURES, "covers" => "head"),
        abandoned: counter!(ABANDONED),
        heads_timed_out: counter!(HEADS_TIMED_OUT),
        connections_shed: counter!(CONNECTIONS_SHED),
        in_flight: gauge!(IN_FLIGHT),
        connections: gauge!(CONNECTIONS),
        orders_gathering: gauge!(ORDERS_GATHERING),
        messages_in_flight: gauge!(MESSAGES_IN_FLIGHT),
        broker: gauge!(BROKER),
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
    describe_counter!(
        SIGNATURES,
        "Signatures of the gateway, by what they cover: `body` or only the `head`."
    );
    describe_histogram!(
        PHASE,
        metrics::Unit::Seconds,
        "Time by `phase`: an order's body read; its validation; the longest wait of a message's orders before it is sent."
    );
    describe_counter!(ABANDONED, "Requests whose client hung up before the answer.");
    describe_counter!(HEADS_TIMED_OUT, "Connections closed because a request's head did not end in time.");
    describe_counter!(CONNECTIONS_SHED, "Connections beyond the maximum.");
    describe_gauge!(IN_FLIGHT, "Orders in flight.");
    describe_gauge!(CONNECTIONS, "Open connections.");
    describe_gauge!(ORDERS_GATHERING, "Orders in a message that is not sent yet.");
    describe_gauge!(MESSAGES_IN_FLIGHT, "Messages sent and not acknowledged.");
    describe_gauge!(BROKER, "1 if the broker has answered the last message or the start, 0 if it has not.");
    describe_gauge!(CATALOGUE, "1 for the `revision` of the catalogue in force, 0 for earlier ones.");
    describe_gauge!(BUILD, "1; `version` and `revision` of the binary.");
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
    HANDLES.messages_in_flight.increment(1.0);
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

pub(crate) fn publish_completed(duration: Duration, result: Result<(), PublishError>) {
    HANDLES.publish_duration.record(duration.as_secs_f64());
    HANDLES.messages_in_flight.decrement(1.0);
    match result {
        Err(PublishError::TimedOut | PublishError::Failed) => broker_reachable(false),
        // Nothing was sent.
        Err(PublishError::QueueFull | PublishError::Stopping) => {}
        Ok(()) | Err(PublishError::Throttled | PublishError::Rejected) => broker_reachable(true),
    }
}

pub(crate) fn broker_reachable(is_reachable: bool) {
    HANDLES.broker.set(f64::from(u8::from(is_reachable)));
}

pub(crate) fn catalogue_loaded(before: Option<&str>, revision: &str) {
    describe();
    if let Some(before) = before {
        gauge!(CATALOGUE, "revision" => before.to_owned()).set(0.0);
    }
    gauge!(CATALOGUE, "revision" => revision.to_owned()).set(1.0);
}

pub(crate) fn body_read(duration: Duration) {
    HANDLES.read.record(duration.as_secs_f64());
}

pub(crate) fn order_validated(duration: Duration) {
    HANDLES.validate.record(duration.as_secs_f64());
}

pub(crate) fn order_gathers() {
    HANDLES.orders_gathering.increment(1.0);
}

/// `longest_wait` of `orders`, which leave the batch.
pub(crate) fn batch_sealed(orders: usize, longest_wait: Duration) {
    HANDLES.orders_gathering.decrement(orders as f64);
    HANDLES.gather.record(longest_wait.as_secs_f64());
}

pub(crate) fn signature_verified(covers_body: bool) {
    let covered = if covers_body { &HANDLES.signatures_of_body } else { &HANDLES.signatures_of_head };
    covered.increment(1);
}

pub(crate) fn request_abandoned() {
    HANDLES.abandoned.increment(1);
}

pub(crate) fn head_timed_out() {
    HANDLES.heads_timed_out.increment(1);
}

pub(crate) fn connection_shed() {
    HANDLES.connections_shed.increment(1);
}

pub(crate) fn connection_opened() {
    HANDLES.connections.increment(1.0);
}

pub(crate) fn connection_closed() {
    HANDLES.connections.decrement(1.0);
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
