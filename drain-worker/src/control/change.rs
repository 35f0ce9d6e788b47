//! What operators may change, and how the audit trail tells it.

use std::time::Duration;

use super::{GroupSettings, ManualRate, PauseSetting, Rate, Schedule};

/// Longest name of who changes something, characters.
pub const NAME_CHARS_MAX: usize = 64;

/// Longest reason, characters.
pub const REASON_CHARS_MAX: usize = 200;

/// Longest ramp.
const RAMP_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Longest pause that ends by itself.
const PAUSE_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Who changes something, and reason. Both are what the caller says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditContext {
    /// A name; empty: not told.
    pub who: String,
    /// A reason; empty: not told.
    pub reason: String,
}

/// A change of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsChange {
    /// A rate by hand, at once or over a time.
    SetRate {
        /// The rate.
        rate: Rate,
        /// How long it takes to get there.
        ramp: Duration,
    },
    /// Back to the schedule, or the default.
    ResetRate,
    /// Nothing is committed until then, or until somebody resumes.
    PauseUntil {
        /// When it ends by itself, µs by the database's clock.
        until_us: Option<i64>,
    },
    /// Nothing is committed for so long.
    PauseFor {
        /// How long.
        duration: Duration,
    },
    /// Goes on.
    Resume,
    /// Caps by the time of day.
    SetSchedule(Schedule),
    /// No schedule.
    ClearSchedule,
}

/// Why a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsChangeError {
    /// The ramp is too long.
    #[error("ramp_s: at most 24 hours")]
    RampTooLong,
    /// The pause ends before now.
    #[error("until: lies in the past; `resume` ends a pause")]
    PauseInThePast,
    /// The pause is too long.
    #[error("a pause that ends by itself lasts at most 7 days; leave its end out for a longer one")]
    PauseTooLong,
}

impl SettingsChange {
    /// Its name in the audit trail.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::SetRate { .. } => "rate_set",
            Self::ResetRate => "rate_reset",
            Self::PauseUntil { .. } | Self::PauseFor { .. } => "pause",
            Self::Resume => "resume",
            Self::SetSchedule(_) => "schedule_set",
            Self::ClearSchedule => "schedule_clear",
        }
    }

    /// The settings after the change, and a line about it.
    ///
    /// # Errors
    /// [`SettingsChangeError`]; nothing changes then.
    pub fn apply(
        &self,
        settings: &GroupSettings,
        now_us: i64,
    ) -> Result<(GroupSettings, String), SettingsChangeError> {
        let mut new = settings.clone();
        let detail = match self {
            Self::SetRate { rate, ramp } => {
                if *ramp > RAMP_MAX {
                    return Err(SettingsChangeError::RampTooLong);
                }
                let from = if ramp.is_zero() { *rate } else { settings.ramp_start(now_us) };
                new.manual = Some(ManualRate {
                    from,
                    to: *rate,
                    began_us: now_us,
                    ends_us: now_us + microseconds(*ramp),
                });
                if ramp.is_zero() {
                    format!("{}/s", rate.get())
                } else {
                    format!("{}/s to {}/s over {} s", from.get(), rate.get(), ramp.as_secs())
                }
            }
            Self::ResetRate => {
                new.manual = None;
                "back to the schedule or the default".to_owned()
            }
            Self::PauseUntil { until_us: None } => {
                new.pause = Some(PauseSetting { until_us: None });
                "until resumed".to_owned()
            }
            Self::PauseUntil { until_us: Some(until_us) } => {
                return self.pause(new, *until_us, now_us);
            }
            Self::PauseFor { duration } => {
                return self.pause(new, now_us.saturating_add(microseconds(*duration)), now_us);
            }
            Self::Resume => {
                new.pause = None;
                String::new()
            }
            Self::SetSchedule(schedule) => {
                let entries: Vec<_> = schedule.entries().map(ToString::to_string).collect();
                new.schedule = Some(schedule.clone());
                format!("{}: {}", schedule.time_zone(), entries.join(", "))
            }
            Self::ClearSchedule => {
                new.schedule = None;
                String::new()
            }
        };
        Ok((new, detail))
    }

    fn pause(
        &self,
        mut new: GroupSettings,
        until_us: i64,
        now_us: i64,
    ) -> Result<(GroupSettings, String), SettingsChangeError> {
        if until_us <= now_us {
            return Err(SettingsChangeError::PauseInThePast);
        }
        if until_us - now_us > microseconds(PAUSE_MAX) {
            return Err(SettingsChangeError::PauseTooLong);
        }
        new.pause = Some(PauseSetting { until_us: Some(until_us) });
        Ok((new, format!("for {} s", (until_us - now_us + 500_000) / 1_000_000)))
    }
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::CapSource;
    use super::*;

    const SECOND: i64 = 1_000_000;
    const NOW: i64 = 1_000 * SECOND;

    fn rate(orders: u32) -> Rate {
        Rate::new(orders).expect("within bounds")
    }

    fn after(settings: &GroupSettings, change: &SettingsChange) -> GroupSettings {
        change.apply(settings, NOW).expect("applies").0
    }

    #[test]
    fn a_ramp_starts_at_the_cap_in_force() {
        let settings = GroupSettings::new(rate(500));
        let change = SettingsChange::SetRate { rate: rate(3_000), ramp: Duration::from_secs(60) };
        let (ramped, detail) = change.apply(&settings, NOW).expect("applies");
        assert_eq!(detail, "500/s to 3000/s over 60 s");
        assert_eq!(ramped.cap_at(NOW).orders_per_second, 500);
        assert_eq!(ramped.cap_at(NOW + 30 * SECOND).orders_per_second, 1_750);
        assert_eq!(ramped.cap_at(NOW + 60 * SECOND).orders_per_second, 3_000);
        // Another one in the middle starts from there.
        let down = SettingsChange::SetRate { rate: rate(750), ramp: Duration::from_secs(10) };
        let (down, _) = down.apply(&ramped, NOW + 30 * SECOND).expect("applies");
        assert_eq!(down.cap_at(NOW + 30 * SECOND).orders_per_second, 1_750);
        assert_eq!(down.cap_at(NOW + 35 * SECOND).orders_per_second, 1_250);
    }

    #[test]
    fn a_pause_keeps_the_rate_for_later() {
        let set = SettingsChange::SetRate { rate: rate(9), ramp: Duration::ZERO };
        let settings = after(&GroupSettings::new(rate(500)), &set);
        let paused = after(&settings, &SettingsChange::PauseFor { duration: Duration::from_secs(10) });
        assert_eq!(paused.cap_at(NOW).source, CapSource::Paused);
        assert_eq!(paused.cap_at(NOW + 10 * SECOND).orders_per_second, 9);
        let forever = after(&settings, &SettingsChange::PauseUntil { until_us: None });
        assert_eq!(forever.cap_at(i64::MAX).source, CapSource::Paused);
        assert_eq!(after(&forever, &SettingsChange::Resume).cap_at(NOW).orders_per_second, 9);
        assert_eq!(after(&settings, &SettingsChange::ResetRate).cap_at(NOW).orders_per_second, 500);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let settings = GroupSettings::new(rate(500));
        for (change, error) in [
            (SettingsChange::PauseUntil { until_us: Some(NOW) }, SettingsChangeError::PauseInThePast),
            (
                SettingsChange::PauseFor { duration: Duration::from_secs(8 * 86_400) },
                SettingsChangeError::PauseTooLong,
            ),
            (SettingsChange::PauseFor { duration: Duration::MAX }, SettingsChangeError::PauseTooLong),
            (
                SettingsChange::SetRate { rate: rate(1), ramp: Duration::from_secs(86_401) },
                SettingsChangeError::RampTooLong,
            ),
        ] {
            assert_eq!(change.apply(&settings, NOW), Err(error), "{change:?}");
        }
    }
}
