//! Wall-clock time: one seam for tests, one way of writing instants down.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Where wall-clock time comes from. Durations and timers use tokio's clock instead, which tests can pause.
pub trait Clock: Send + Sync + 'static {
    /// Now, UTC.
    fn now(&self) -> OffsetDateTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A clock that stands still.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(pub OffsetDateTime);

impl Clock for FixedClock {
    fn now(&self) -> OffsetDateTime {
        self.0
    }
}

const RFC3339_MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// `instant` in RFC 3339, UTC, with three digits of the second: `2026-11-11T00:00:00.123Z`.
#[must_use]
pub fn rfc3339_millis(instant: OffsetDateTime) -> String {
    // The format asks only for parts that every instant has, so formatting cannot fail.
    instant.to_offset(time::UtcOffset::UTC).format(RFC3339_MILLIS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn instants_are_written_in_utc_with_milliseconds() {
        assert_eq!(rfc3339_millis(datetime!(2026-11-11 08:00:00.123456 +8)), "2026-11-11T00:00:00.123Z");
    }
}
