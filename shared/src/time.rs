//! Wall-clock time: one seam for tests, one text form of instants.

use std::time::Duration;

use time::OffsetDateTime;

/// A source of wall-clock time. Durations and timers use tokio's clock instead, which tests can pause.
pub trait Clock: Send + Sync + 'static {
    /// The current instant, UTC.
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

/// A clock that always returns the same instant, for tests.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(pub OffsetDateTime);

impl Clock for FixedClock {
    fn now(&self) -> OffsetDateTime {
        self.0
    }
}

/// `duration` in whole microseconds, as databases compute with them; saturates at `i64::MAX`.
#[must_use]
pub fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// `instant` in RFC 3339, UTC, with three digits of the second: `2026-11-11T00:00:00.123Z`.
///
/// Written digit by digit: every order has two of these, and a formatter that parses its format on each call costs ten
/// times as much (measured).
#[must_use]
pub fn rfc3339_millis(instant: OffsetDateTime) -> String {
    let utc = instant.to_offset(time::UtcOffset::UTC);
    let (hour, minute, second, millis) = utc.to_hms_milli();
    // The grammar has four digits for the year, and no sign.
    let year = utc.year().clamp(0, 9_999) as u32;
    let mut text = String::with_capacity("2026-11-11T00:00:00.123Z".len());
    let mut put = |value: u32, digits: u32, end: char| {
        for power in (0..digits).rev() {
            // One decimal digit.
            text.push(char::from(b'0' + (value / 10_u32.pow(power) % 10) as u8));
        }
        text.push(end);
    };
    put(year, 4, '-');
    put(u8::from(utc.month()).into(), 2, '-');
    put(utc.day().into(), 2, 'T');
    put(hour.into(), 2, ':');
    put(minute.into(), 2, ':');
    put(second.into(), 2, '.');
    put(millis.into(), 3, 'Z');
    text
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn instants_are_written_in_utc_with_milliseconds() {
        assert_eq!(rfc3339_millis(datetime!(2026-11-11 08:00:00.123456 +8)), "2026-11-11T00:00:00.123Z");
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_as_the_same_millisecond(millis in 0_i64..=253_402_300_799_999) {
            let instant = OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(millis);
            let read = OffsetDateTime::parse(&rfc3339_millis(instant), &time::format_description::well_known::Rfc3339);
            proptest::prop_assert_eq!(read, Ok(instant));
        }
    }
}
