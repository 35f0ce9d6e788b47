//! The metrics that a scenario's expected ranges can name.

/// Metrics that a phase has too.
pub const PHASE_METRICS: [&str; 7] =
    ["accepted_share", "shed_share", "refused_share", "unknown_share", "p50_ms", "p99_ms", "p999_ms"];

/// Metrics that are known while the run is played, and that `[abort]` can name.
pub const ABORT_METRICS: [&str; 6] =
    ["accepted_share", "shed_share", "refused_share", "unknown_share", "p99_ms", "send_delay_p999_ms"];

/// Name and meaning of every metric.
pub const EXPECTABLE_METRICS: [(&str, &str); 16] = [
    ("sent_share", "requests that got a connection, share of the planned ones, without retries"),
    ("accepted_share", "responses 202, share of all sent"),
    ("shed_share", "responses 429 or 503, share of all sent"),
    ("refused_share", "other responses, share of all sent"),
    ("unknown_share", "requests without a response, share of all sent"),
    ("retries", "retries by clients"),
    ("p50_ms", "median latency of accepted orders, from the planned time"),
    ("p99_ms", "99th percentile of it"),
    ("p999_ms", "99.9th percentile of it"),
    ("send_delay_p999_ms", "send delay of the generator, 99.9th percentile"),
    ("confirmed", "orders confirmed in the database"),
    ("sold_out", "orders rejected as sold out"),
    ("limit_exceeded", "orders rejected by a buyer's limit"),
    ("conflicts", "recorded conflicts: other payloads with a used key"),
    ("dead_letters", "dead letters"),
    ("cap_use", "orders decided while there was a queue, share of what the cap allowed in those seconds"),
];
