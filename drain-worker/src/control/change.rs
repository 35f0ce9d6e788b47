//! Changes that operators make, and their text in the audit trail.

use std::time::Duration;

use serde_json::{Map, Value, json};
use shared::time::microseconds;

use super::{AuditContext, GroupSettings, HOLDS_MAX, Hold, ManualRate, Rate, Schedule};

/// A change that can raise the cap above this multiple of the present one needs a confirmation: a digit too many is a common
/// mistake.
pub const CONFIRM_ABOVE: u32 = 2;

const RAMP_MAX: Duration = Duration::from_secs(24 * 3_600);

const PAUSE_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsChange {
    /// A manual rate, at once or by a ramp.
    SetRate {
        rate: Rate,
        ramp: Duration,
        /// True if the author means it, although it is more than [`CONFIRM_ABOVE`] times the present cap.
        confirmed: bool,
    },
    /// Returns to the schedule, or the default.
    ResetRate,
    /// Adds a hold until an instant, or until it is removed.
    PauseUntil {
        /// End of the hold, µs by the database's clock; `None`: until it is removed.
        until_us: Option<i64>,
    },
    /// Adds a hold with an end.
    PauseFor {
        duration: Duration,
    },
    /// Removes a hold by its id, or all.
    Resume {
        hold: Option<i64>,
    },
    SetSchedule {
        schedule: Schedule,
        /// True if the author means it, although its highest rate is more than [`CONFIRM_ABOVE`] times both the present cap and
        /// the highest rate of the schedule in force.
        confirmed: bool,
    },
    ClearSchedule,
    SetCeiling(Rate),
    ClearCeiling {
        /// True if the author means it, although the cap becomes more than [`CONFIRM_ABOVE`] times the present one.
        confirmed: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsChangeError {
    #[error("ramp_s: at most 24 hours")]
    RampTooLong,
    #[error("until: lies in the past; `resume` ends a pause")]
    PauseInThePast,
    #[error("for_s: must be more than 0")]
    PauseWithoutDuration,
    #[error("a pause with an end lasts at most 7 days; omit the end for a longer one")]
    PauseTooLong,
    #[error("the pool has its maximum of {HOLDS_MAX} holds; end one of them first")]
    TooManyHolds,
    #[error("no hold {id} is in force: it has ended, or was ended")]
    NoSuchHold { id: i64 },
    #[error(
        "{rate}/s is above the ceiling of {ceiling}/s; if the database sustains it (drain-worker tune), first: drain-worker \
         rate ceiling {rate}"
    )]
    AboveCeiling { rate: u32, ceiling: u32 },
    #[error("{rate}/s is more than twice the present cap of {cap}/s: confirm it (--yes; \"confirm\": true)")]
    Unconfirmed { rate: u32, cap: u32 },
    #[error(
        "the schedule's {rate}/s is more than twice {highest}/s, the highest of the present cap and the schedule in force: confirm \
         it (--yes; \"confirm\": true)"
    )]
    SteepSchedule { rate: u32, highest: u32 },
}

/// The effect of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedChange {
    pub settings: GroupSettings,
    /// One line for the audit trail.
    pub detail: String,
    /// JSON: the cap in force, and the members of the settings that the change replaces; `null`: not set.
    pub before: Value,
    /// JSON: the same members afterwards.
    pub after: Value,
}

impl SettingsChange {
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::SetRate { .. } => "rate_set",
            Self::ResetRate => "rate_reset",
            Self::PauseUntil { .. } | Self::PauseFor { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::SetSchedule { .. } => "schedule_set",
            Self::ClearSchedule => "schedule_clear",
            Self::SetCeiling(_) => "ceiling_set",
            Self::ClearCeiling { .. } => "ceiling_clear",
        }
    }

    /// True if the change is made on no particular settings: a hold takes nothing from others, and a hold is removed by
    /// its id.
    #[must_use]
    pub const fn needs_no_revision(&self) -> bool {
        matches!(self, Self::PauseUntil { .. } | Self::PauseFor { .. } | Self::Resume { hold: Some(_) })
    }

    /// Applies the change to `settings`, which get the number `revision` by it.
    ///
    /// # Errors
    /// [`SettingsChangeError`]; nothing changes then.
    pub fn apply(
        &self,
        settings: &GroupSettings,
        revision: i64,
        now_us: i64,
        context: &AuditContext,
    ) -> Result<AppliedChange, SettingsChangeError> {
        let mut new = settings.clone();
        new.holds.retain(|hold| hold.is_in_force(now_us));
        let detail = match self {
            Self::SetRate { rate, ramp, confirmed } => {
                within_ceiling(&new, Some(*rate))?;
                confirmed_or_flat(*confirmed, *rate, settings.ramp_start(now_us))?;
                set_rate(&mut new, *rate, *ramp, now_us)?
            }
            Self::ResetRate => {
                new.manual = None;
                "return to the schedule or the default".to_owned()
            }
            Self::PauseUntil { .. } | Self::PauseFor { .. } => {
                if new.holds.len() >= HOLDS_MAX {
                    return Err(SettingsChangeError::TooManyHolds);
                }
                let until_us = self.end_of_hold(now_us)?;
                let (owner, reason) = (context.author(), context.reason.clone());
                new.holds.push(Hold { id: revision, owner, reason, since_us: now_us, until_us });
                match until_us {
                    None => format!("hold {revision}, until resumed"),
                    #[expect(clippy::cast_precision_loss, reason = "at most 7 days")]
                    Some(until_us) => {
                        format!("hold {revision}, for {} s", (until_us - now_us) as f64 / 1_000_000.0)
                    }
                }
            }
            Self::Resume { hold: Some(id) } => {
                let place = new.holds.iter().position(|hold| hold.id == *id);
                new.holds.remove(place.ok_or(SettingsChangeError::NoSuchHold { id: *id })?);
                format!("hold {id}, {} left", new.holds.len())
            }
            Self::Resume { hold: None } => {
                let ids: Vec<_> = new.holds.drain(..).map(|hold| hold.id.to_string()).collect();
                if ids.is_empty() { "no hold".to_owned() } else { format!("all holds: {}", ids.join(", ")) }
            }
            Self::SetSchedule { schedule, confirmed } => {
                within_ceiling(&new, schedule.rate_max())?;
                let cap = settings.ramp_start(now_us);
                let in_force = settings.schedule.as_ref().and_then(Schedule::rate_max);
                let highest = in_force.map_or(cap, |in_force| in_force.max(cap));
                if let Some(rate) = schedule.rate_max().filter(|rate| !confirmed && is_steep(*rate, highest))
                {
                    return Err(SettingsChangeError::SteepSchedule {
                        rate: rate.get(),
                        highest: highest.get(),
                    });
                }
                let entries: Vec<_> = schedule.entries().map(ToString::to_string).collect();
                new.schedule = Some(schedule.clone());
                format!("{}: {}", schedule.time_zone(), entries.join(", "))
            }
            Self::ClearSchedule => {
                new.schedule = None;
                String::new()
            }
            Self::SetCeiling(ceiling) => {
                new.ceiling = Some(*ceiling);
                format!("{}/s", ceiling.get())
            }
            Self::ClearCeiling { confirmed } => {
                new.ceiling = None;
                confirmed_or_flat(*confirmed, new.ramp_start(now_us), settings.ramp_start(now_us))?;
                String::new()
            }
        };
        let (before, after) = difference(settings, &new, now_us);
        Ok(AppliedChange { settings: new, detail, before, after })
    }

    /// The end of the hold that the change adds, µs.
    fn end_of_hold(&self, now_us: i64) -> Result<Option<i64>, SettingsChangeError> {
        let until_us = match self {
            Self::PauseUntil { until_us: Some(until_us) } => *until_us,
            Self::PauseFor { duration } if duration.is_zero() => {
                return Err(SettingsChangeError::PauseWithoutDuration);
            }
            Self::PauseFor { duration } => now_us.saturating_add(microseconds(*duration).max(1)),
            _ => return Ok(None),
        };
        if until_us <= now_us {
            return Err(SettingsChangeError::PauseInThePast);
        }
        if until_us.saturating_sub(now_us) > microseconds(PAUSE_MAX) {
            return Err(SettingsChangeError::PauseTooLong);
        }
        Ok(Some(until_us))
    }
}

fn within_ceiling(settings: &GroupSettings, rate: Option<Rate>) -> Result<(), SettingsChangeError> {
    match (rate, settings.ceiling) {
        (Some(rate), Some(ceiling)) if rate > ceiling => {
            Err(SettingsChangeError::AboveCeiling { rate: rate.get(), ceiling: ceiling.get() })
        }
        _ => Ok(()),
    }
}

const fn is_steep(rate: Rate, present: Rate) -> bool {
    rate.get() > present.get().saturating_mul(CONFIRM_ABOVE)
}

fn confirmed_or_flat(confirmed: bool, rate: Rate, cap: Rate) -> Result<(), SettingsChangeError> {
    if confirmed || !is_steep(rate, cap) {
        return Ok(());
    }
    Err(SettingsChangeError::Unconfirmed { rate: rate.get(), cap: cap.get() })
}

fn set_rate(
    settings: &mut GroupSettings,
    rate: Rate,
    ramp: Duration,
    now_us: i64,
) -> Result<String, SettingsChangeError> {
    if ramp > RAMP_MAX {
        return Err(SettingsChangeError::RampTooLong);
    }
    let from = if ramp.is_zero() { rate } else { settings.ramp_start(now_us) };
    settings.manual =
        Some(ManualRate { from, to: rate, began_us: now_us, ends_us: now_us + microseconds(ramp) });
    Ok(if ramp.is_zero() {
        format!("{}/s", rate.get())
    } else {
        format!("{}/s to {}/s over {} s", from.get(), rate.get(), ramp.as_secs_f64())
    })
}

/// The cap and the members that differ, of both settings.
fn difference(before: &GroupSettings, after: &GroupSettings, now_us: i64) -> (Value, Value) {
    let members = |settings: &GroupSettings| match serde_json::to_value(settings) {
        Ok(Value::Object(members)) => members,
        // Settings are an object of numbers and strings.
        _ => Map::new(),
    };
    let cap = |settings: &GroupSettings| json!(settings.cap_at(now_us).orders_per_second);
    let (mut old, mut new) = (members(before), members(after));
    let names: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
    for name in names {
        if old.get(&name) == new.get(&name) {
            old.remove(&name);
            new.remove(&name);
        } else {
            old.entry(name.clone()).or_insert(Value::Null);
            new.entry(name).or_insert(Value::Null);
        }
    }
    old.insert("cap".to_owned(), cap(before));
    new.insert("cap".to_owned(), cap(after));
    (Value::Object(old), Value::Object(new))
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

    fn ann() -> AuditContext {
        AuditContext { who: "ann".to_owned(), reason: "maintenance".to_owned(), ..AuditContext::default() }
    }

    fn applied(settings: &GroupSettings, change: &SettingsChange, now_us: i64) -> AppliedChange {
        change.apply(settings, 7, now_us, &ann()).expect("applies")
    }

    fn scheduled(schedule: Schedule, confirmed: bool) -> SettingsChange {
        SettingsChange::SetSchedule { schedule, confirmed }
    }

    fn after(settings: &GroupSettings, change: &SettingsChange) -> GroupSettings {
        applied(settings, change, NOW).settings
    }

    #[test]
    fn a_ramp_starts_at_the_cap_in_force() {
        let settings = GroupSettings::new(rate(500));
        let change =
            SettingsChange::SetRate { rate: rate(3_000), ramp: Duration::from_secs(60), confirmed: true };
        let AppliedChange { settings: ramped, detail, .. } = applied(&settings, &change, NOW);
        assert_eq!(detail, "500/s to 3000/s over 60 s");
        assert_eq!(ramped.cap_at(NOW).orders_per_second, 500);
        assert_eq!(ramped.cap_at(NOW + 30 * SECOND).orders_per_second, 1_750);
        assert_eq!(ramped.cap_at(NOW + 60 * SECOND).orders_per_second, 3_000);
        // A second ramp starts at the current cap.
        let down =
            SettingsChange::SetRate { rate: rate(750), ramp: Duration::from_secs(10), confirmed: true };
        let down = applied(&ramped, &down, NOW + 30 * SECOND).settings;
        assert_eq!(down.cap_at(NOW + 30 * SECOND).orders_per_second, 1_750);
        assert_eq!(down.cap_at(NOW + 35 * SECOND).orders_per_second, 1_250);
    }

    #[test]
    fn a_pause_keeps_the_rate_for_later() {
        let set = SettingsChange::SetRate { rate: rate(9), ramp: Duration::ZERO, confirmed: true };
        let settings = after(&GroupSettings::new(rate(500)), &set);
        let paused = after(&settings, &SettingsChange::PauseFor { duration: Duration::from_secs(10) });
        assert_eq!(paused.cap_at(NOW).source, CapSource::Paused);
        assert_eq!(paused.cap_at(NOW + 10 * SECOND).orders_per_second, 9);
        let forever = after(&settings, &SettingsChange::PauseUntil { until_us: None });
        assert_eq!(forever.cap_at(i64::MAX).source, CapSource::Paused);
        let resumed = after(&forever, &SettingsChange::Resume { hold: None });
        assert_eq!(resumed.cap_at(NOW).orders_per_second, 9);
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
                SettingsChange::PauseFor { duration: Duration::ZERO },
                SettingsChangeError::PauseWithoutDuration,
            ),
            (SettingsChange::PauseUntil { until_us: Some(i64::MIN) }, SettingsChangeError::PauseInThePast),
            (SettingsChange::Resume { hold: Some(3) }, SettingsChangeError::NoSuchHold { id: 3 }),
            (
                SettingsChange::SetRate { rate: rate(1), ramp: Duration::from_secs(86_401), confirmed: true },
                SettingsChangeError::RampTooLong,
            ),
        ] {
            assert_eq!(change.apply(&settings, 7, NOW, &ann()), Err(error), "{change:?}");
        }
    }

    #[test]
    fn a_rate_is_within_the_ceiling_and_confirmed_above_twice_the_cap() {
        let settings = GroupSettings::new(rate(2_000));
        let set = |orders, confirmed| SettingsChange::SetRate {
            rate: rate(orders),
            ramp: Duration::ZERO,
            confirmed,
        };
        let apply = |settings: &GroupSettings, change: &SettingsChange| {
            change
                .apply(settings, 7, NOW, &ann())
                .map(|applied| applied.settings.cap_at(NOW).orders_per_second)
        };
        let unconfirmed = SettingsChangeError::Unconfirmed { rate: 4_001, cap: 2_000 };
        assert_eq!(apply(&settings, &set(4_000, false)), Ok(4_000));
        assert_eq!(apply(&settings, &set(4_001, false)), Err(unconfirmed));
        assert_eq!(apply(&settings, &set(20_000, true)), Ok(20_000));
        // While paused, twice the cap that is in force afterwards.
        let paused = after(&settings, &SettingsChange::PauseUntil { until_us: None });
        assert_eq!(apply(&paused, &set(4_001, false)), Err(unconfirmed));

        let capped = after(&settings, &SettingsChange::SetCeiling(rate(5_000)));
        let above = SettingsChangeError::AboveCeiling { rate: 5_001, ceiling: 5_000 };
        assert_eq!(apply(&capped, &set(5_000, true)), Ok(5_000));
        assert_eq!(apply(&capped, &set(5_001, true)), Err(above));
        assert!(above.to_string().contains("drain-worker rate ceiling 5001"), "{above}");
        let entry = |from: &str, orders| super::super::ScheduleEntry {
            from: from.to_owned(),
            rate: rate(orders),
            days: Vec::new(),
        };
        let night = Schedule::new("UTC", vec![entry("02:00", 5_001), entry("08:00", 500)]).expect("valid");
        assert_eq!(apply(&capped, &scheduled(night, true)), Err(above));
        let lifted = after(&capped, &SettingsChange::ClearCeiling { confirmed: false });
        assert_eq!(apply(&lifted, &set(20_000, true)), Ok(20_000));

        // A night at 4,000 is no question; one at 4,001 is, until a schedule in force or the cap is half as high.
        let night =
            |orders| Schedule::new("UTC", vec![entry("02:00", orders), entry("00:00", 500)]).expect("valid");
        assert_eq!(apply(&settings, &scheduled(night(4_000), false)), Ok(500));
        let steep = SettingsChangeError::SteepSchedule { rate: 4_001, highest: 2_000 };
        assert_eq!(apply(&settings, &scheduled(night(4_001), false)), Err(steep));
        assert_eq!(apply(&settings, &scheduled(night(4_001), true)), Ok(500));
        let calm = after(&settings, &scheduled(night(2_001), false));
        assert_eq!(calm.cap_at(NOW).orders_per_second, 500);
        assert_eq!(apply(&calm, &scheduled(night(4_001), false)), Ok(500));

        // The ceiling holds back a manual rate, which clearing it would release.
        let held = after(&after(&settings, &set(9_000, true)), &SettingsChange::SetCeiling(rate(2_000)));
        let clear = |confirmed| SettingsChange::ClearCeiling { confirmed };
        let released = SettingsChangeError::Unconfirmed { rate: 9_000, cap: 2_000 };
        assert_eq!(apply(&held, &clear(false)), Err(released));
        assert_eq!(apply(&held, &clear(true)), Ok(9_000));
    }

    /// A paused for maintenance, B for ten minutes: the end of B's hold leaves A's.
    #[test]
    fn the_pool_runs_when_no_hold_is_left() {
        let settings = GroupSettings::new(rate(500));
        let open = SettingsChange::PauseUntil { until_us: None };
        let one = open.apply(&settings, 1, NOW, &ann()).expect("applies").settings;
        let ten_minutes = SettingsChange::PauseFor { duration: Duration::from_secs(600) };
        let both = ten_minutes.apply(&one, 2, NOW, &AuditContext::default()).expect("applies").settings;
        let ids = |settings: &GroupSettings| settings.holds.iter().map(|hold| hold.id).collect::<Vec<_>>();
        assert_eq!(ids(&both), [1, 2]);
        assert_eq!((both.holds[0].owner.as_str(), both.holds[0].reason.as_str()), ("ann", "maintenance"));
        assert_eq!(both.cap_at(NOW + 601 * SECOND).source, CapSource::Paused, "the first has no end");
        let left = after(&both, &SettingsChange::Resume { hold: Some(1) });
        assert_eq!(ids(&left), [2]);
        assert_eq!(left.cap_at(NOW).source, CapSource::Paused);
        assert_eq!(left.cap_at(NOW + 600 * SECOND).orders_per_second, 500, "the second has ended");
        assert_eq!(after(&both, &SettingsChange::Resume { hold: None }).cap_at(NOW).orders_per_second, 500);
        // A hold that has ended is gone, also for the one who would remove it.
        let late = SettingsChange::Resume { hold: Some(2) }.apply(&left, 3, NOW + 600 * SECOND, &ann());
        assert_eq!(late, Err(SettingsChangeError::NoSuchHold { id: 2 }));
    }

    #[test]
    fn holds_are_bounded_and_ended_ones_do_not_count() {
        let mut settings = GroupSettings::new(rate(500));
        let minute = SettingsChange::PauseFor { duration: Duration::from_secs(60) };
        for _ in 0..HOLDS_MAX {
            settings = after(&settings, &minute);
        }
        assert_eq!(minute.apply(&settings, 7, NOW, &ann()), Err(SettingsChangeError::TooManyHolds));
        let later = applied(&settings, &minute, NOW + 60 * SECOND).settings;
        assert_eq!(later.holds.len(), 1);
    }

    #[test]
    fn the_audit_trail_has_the_values_before_and_after() {
        let settings = GroupSettings::new(rate(500));
        let set = SettingsChange::SetRate { rate: rate(3_000), ramp: Duration::ZERO, confirmed: true };
        let set = applied(&settings, &set, NOW);
        assert_eq!(set.before, json!({"cap": 500, "manual": null}));
        let manual = json!({"from": 3_000, "to": 3_000, "began_us": NOW, "ends_us": NOW});
        assert_eq!(set.after, json!({"cap": 3_000, "manual": manual}));

        let schedule: Schedule =
            serde_json::from_str(r#"{"time_zone": "UTC", "entries": [{"from": "00:00", "rate": 9}]}"#)
                .expect("valid");
        let scheduled = after(&settings, &scheduled(schedule, false));
        let cleared = applied(&scheduled, &SettingsChange::ClearSchedule, NOW);
        let entries = json!([{"from": "00:00", "rate": 9}]);
        assert_eq!(cleared.before, json!({"cap": 9, "schedule": {"time_zone": "UTC", "entries": entries}}));
        assert_eq!(cleared.after, json!({"cap": 500, "schedule": null}));

        let short = SettingsChange::PauseFor { duration: Duration::from_millis(900) };
        let paused = applied(&settings, &short, NOW);
        assert_eq!(paused.detail, "hold 7, for 0.9 s");
        assert_eq!((&paused.before["cap"], &paused.after["cap"]), (&json!(500), &json!(0)));
        assert_eq!(paused.after["holds"][0]["until_us"], NOW + 900_000);
        assert_eq!(paused.before["holds"], Value::Null);
    }
}
