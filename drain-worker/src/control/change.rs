//! Changes that operators make, and their text in the audit trail.

use std::time::Duration;

use super::{GroupSettings, ManualRate, PauseSetting, Rate, Schedule};
use shared::time::microseconds;

/// Maximum length of the operator's name, characters.
pub const NAME_CHARS_MAX: usize = 64;

/// Maximum length of the reason, characters.
pub const REASON_CHARS_MAX: usize = 200;

const RAMP_MAX: Duration = Duration::from_secs(24 * 3_600);

const PAUSE_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The author and the reason of a change, as the caller states them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditContext {
    /// Empty: not stated.
    pub who: String,
    /// Empty: not stated.
    pub reason: String,
}

impl AuditContext {
    /// Returns the name of the first text that is too long for the audit trail, and its maximum, characters.
    #[must_use]
    pub fn too_long(&self) -> Option<(&'static str, usize)> {
        [("who", &self.who, NAME_CHARS_MAX), ("reason", &self.reason, REASON_CHARS_MAX)]
            .into_iter()
            .find(|(_, text, chars_max)| text.chars().count() > *chars_max)
            .map(|(name, _, chars_max)| (name, chars_max))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsChange {
    /// A manual rate, at once or by a ramp.
    SetRate {
        rate: Rate,
        ramp: Duration,
    },
    /// Returns to the schedule, or the default.
    ResetRate,
    /// Pauses until an instant, or until resumed.
    PauseUntil {
        /// End of the pause, µs by the database's clock; `None`: until resumed.
        until_us: Option<i64>,
    },
    PauseFor {
        duration: Duration,
    },
    Resume,
    SetSchedule(Schedule),
    ClearSchedule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsChangeError {
    #[error("ramp_s: at most 24 hours")]
    RampTooLong,
    #[error("until: lies in the past; `resume` ends a pause")]
    PauseInThePast,
    #[error("a pause with an end lasts at most 7 days; omit the end for a longer one")]
    PauseTooLong,
}

impl SettingsChange {
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

    /// Returns the settings after the change, and a line for the audit trail.
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
                "return to the schedule or the default".to_owned()
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
        // A second ramp starts at the current cap.
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
    fn invalid_changes_are_rejected() {
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
