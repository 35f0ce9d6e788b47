//! Warns before the broker drops messages because of their age.
//!
//! A broker stores messages for a fixed time, consumed or not: three days on the managed service (vendor
//! documentation, certain), 72 hours by default on Apache's broker (`fileReservedTime`). An older order is lost
//! although its buyer got a 202.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

pub const RETENTION_H_DEFAULT: NonZeroU32 = NonZeroU32::new(72).unwrap();

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetentionUrgency {
    Warning,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionWarning {
    pub urgency: RetentionUrgency,
    /// Age of the oldest unconsumed message.
    pub oldest_age: Duration,
    pub retention: Duration,
}

/// Returns the warning for the age of the oldest unconsumed message, where the broker stores messages for
/// `retention_h` hours.
#[must_use]
pub fn warning(oldest_age: Duration, retention_h: NonZeroU32) -> Option<RetentionWarning> {
    let retention = Duration::from_secs(u64::from(retention_h.get()) * 3_600);
    let urgency = if oldest_age * 10 > retention * 8 {
        RetentionUrgency::Error
    } else if oldest_age * 2 > retention {
        RetentionUrgency::Warning
    } else {
        return None;
    };
    Some(RetentionWarning { urgency, oldest_age, retention })
}

impl RetentionWarning {
    /// Logs it at the level of its urgency.
    pub fn log(&self) {
        let (oldest_age_s, retention_s) = (self.oldest_age.as_secs(), self.retention.as_secs());
        match self.urgency {
            RetentionUrgency::Warning => {
                tracing::warn!(event = "retention_near", oldest_age_s, retention_s, "{self}");
            }
            RetentionUrgency::Error => {
                tracing::error!(
                    event = "retention_near",
                    oldest_age_s,
                    retention_s,
                    error_code = "retention_near",
                    "{self}"
                );
            }
        }
    }
}

impl fmt::Display for RetentionWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = |duration: Duration| duration.as_secs_f64() / 3_600.0;
        if self.oldest_age >= self.retention {
            return write!(
                formatter,
                "the oldest message is {:.1} h old and the broker stores messages for {:.0} h: it may be dropping accepted orders",
                hours(self.oldest_age),
                hours(self.retention)
            );
        }
        write!(
            formatter,
            "the oldest message is {:.1} h old; the broker drops it in {:.1} h: raise the rate, or raise the broker's retention",
            hours(self.oldest_age),
            hours(self.retention - self.oldest_age)
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn warns_at_half_and_at_four_fifths_of_the_retention() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for (age, urgency, text) in [
            (Duration::ZERO, None, ""),
            (minutes(36 * 60), None, ""),
            (
                minutes(36 * 60 + 1),
                Some(RetentionUrgency::Warning),
                "the oldest message is 36.0 h old; the broker drops it in 36.0 h: raise the rate, or raise the broker's retention",
            ),
            (
                minutes(60 * 60),
                Some(RetentionUrgency::Error),
                "the oldest message is 60.0 h old; the broker drops it in 12.0 h: raise the rate, or raise the broker's retention",
            ),
            (
                minutes(80 * 60),
                Some(RetentionUrgency::Error),
                "the oldest message is 80.0 h old and the broker stores messages for 72 h: it may be dropping accepted orders",
            ),
        ] {
            let found = warning(age, RETENTION_H_DEFAULT);
            assert_eq!(found.map(|warning| warning.urgency), urgency, "{age:?}");
            assert_eq!(found.map(|warning| warning.to_string()).unwrap_or_default(), text);
        }
    }

    proptest! {
        #[test]
        fn an_older_message_is_never_less_urgent(
            age_s in 0_u64..100_000_000, more_s in 0_u64..100_000_000, hours in 1_u32..10_000,
        ) {
            let hours = NonZeroU32::new(hours).expect("not 0");
            let urgency = |age_s| warning(Duration::from_secs(age_s), hours).map(|warning| warning.urgency);
            prop_assert!(urgency(age_s) <= urgency(age_s + more_s));
        }
    }
}
