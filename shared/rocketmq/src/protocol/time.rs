//! Conversions between the standard library's times and protobuf's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `value` as protobuf's duration; saturates at `i64::MAX` seconds.
#[must_use]
pub fn duration(value: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(value.subsec_nanos()).unwrap_or(0),
    }
}

/// Protobuf's duration as the standard library's; a negative one is zero.
#[must_use]
pub fn from_duration(value: &prost_types::Duration) -> Duration {
    Duration::new(u64::try_from(value.seconds).unwrap_or(0), u32::try_from(value.nanos).unwrap_or(0))
}

/// `value` as protobuf's timestamp; an instant before 1970 is 1970.
#[must_use]
pub fn timestamp(value: SystemTime) -> prost_types::Timestamp {
    let since = value.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = duration(since);
    prost_types::Timestamp { seconds: since.seconds, nanos: since.nanos }
}

/// Protobuf's timestamp as the standard library's; an instant before 1970 is 1970.
#[must_use]
pub fn from_timestamp(value: &prost_types::Timestamp) -> SystemTime {
    UNIX_EPOCH + from_duration(&prost_types::Duration { seconds: value.seconds, nanos: value.nanos })
}
