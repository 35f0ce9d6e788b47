//! The metrics that a scenario's `[expect]` can name.

/// Name and meaning of every metric.
pub const EXPECTABLE_METRICS: [(&str, &str); 16] = [
    ("sent_share", "requests that got a connection, of those planned, retries left out"),
    ("accepted_share", "answered 202, of all sent"),
    ("shed_share", "answered 429 or 503, of all sent"),
    ("refused_share", "answered otherwise, of all sent"),
    ("unknown_share", "not answered, of all sent"),
    ("retries", "requests sent again by clients"),
    ("p50_ms", "median latency of accepted orders, from the planned time"),
    ("p99_ms", "its 99th of 100"),
    ("p999_ms", "its 999th of 1,000"),
    ("slip_p999_ms", "how late the generator itself was, 999th of 1,000"),
    ("confirmed", "orders confirmed in the database"),
    ("sold_out", "orders rejected as sold out"),
    ("limit_exceeded", "orders rejected by a buyer's limit"),
    ("conflicts", "other payloads under a used key on record"),
    ("dead_letters", "dead letters"),
    (
        "cap_use",
        "orders decided while there was a queue, of what the cap lets through in the seconds of that",
    ),
];
