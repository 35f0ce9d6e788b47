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

/// Protobuf's duration as the standard library's; a negative one is zero, and out of range nanoseconds are left out.
#[must_use]
pub fn from_duration(value: &prost_types::Duration) -> Duration {
    let nanos = u32::try_from(value.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    Duration::new(u64::try_from(value.seconds).unwrap_or(0), nanos.unwrap_or(0))
}

/// `value` as protobuf's timestamp; an instant before 1970 is 1970.
#[must_use]
pub fn timestamp(value: SystemTime) -> prost_types::Timestamp {
    let since = value.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = duration(since);
    prost_types::Timestamp { seconds: since.seconds, nanos: since.nanos }
}

/// Protobuf's timestamp as the standard library's; an instant before 1970 is 1970. `None` for an instant that the system's
/// clock cannot express: the value is the sender's and may be anything.
#[must_use]
pub fn from_timestamp(value: &prost_types::Timestamp) -> Option<SystemTime> {
    let since = prost_types::Duration { seconds: value.seconds, nanos: value.nanos };
    UNIX_EPOCH.checked_add(from_duration(&since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_sender_cannot_overflow() {
        let end = |nanos| UNIX_EPOCH.checked_add(Duration::new(i64::MAX.unsigned_abs(), nanos));
        for (seconds, nanos, expected) in [
            (0, 0, Some(UNIX_EPOCH)),
            (7, 5, Some(UNIX_EPOCH + Duration::new(7, 5))),
            (-7, -5, Some(UNIX_EPOCH)),
            (7, i32::MAX, Some(UNIX_EPOCH + Duration::from_secs(7))),
            (i64::MAX, 999_999_999, end(999_999_999)),
            (i64::MAX, i32::MAX, end(0)),
        ] {
            assert_eq!(from_timestamp(&prost_types::Timestamp { seconds, nanos }), expected, "{seconds} s");
        }
        assert_eq!(duration(Duration::MAX).seconds, i64::MAX);
    }
}
