//! Caps by time of day, in a time zone.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::Rate;

pub const ENTRIES_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    const fn civil(self) -> jiff::civil::Weekday {
        match self {
            Self::Mon => jiff::civil::Weekday::Monday,
            Self::Tue => jiff::civil::Weekday::Tuesday,
            Self::Wed => jiff::civil::Weekday::Wednesday,
            Self::Thu => jiff::civil::Weekday::Thursday,
            Self::Fri => jiff::civil::Weekday::Friday,
            Self::Sat => jiff::civil::Weekday::Saturday,
            Self::Sun => jiff::civil::Weekday::Sunday,
        }
    }
}

/// The cap from this time of day on, until the next entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleEntry {
    /// Local time, `HH:MM`.
    pub from: String,
    pub rate: Rate,
    /// The days on which the entry applies; empty: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Weekday>,
}

impl fmt::Display for ScheduleEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/s", self.from, self.rate.get())?;
        for (number, day) in self.days.iter().enumerate() {
            write!(formatter, "{}{}", if number == 0 { " on " } else { " " }, day.as_str())?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not in the IANA time zone database.
    #[error("time_zone: '{0}' is not an IANA time zone such as 'Asia/Shanghai' or 'UTC'")]
    TimeZone(String),
    #[error("entries[{index}].from: must be a time such as '02:00'")]
    Time { index: usize },
    #[error("entries[{index}].from: another entry begins at the same time on the same day")]
    Twice { index: usize },
    /// None, or too many.
    #[error("entries: must be 1 to {ENTRIES_MAX}")]
    Count,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    time_zone: String,
    entries: Vec<ScheduleEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Schedule {
    name: String,
    zone: TimeZone,
    entries: Vec<(Time, ScheduleEntry)>,
}

impl TryFrom<Raw> for Schedule {
    type Error = ScheduleError;

    fn try_from(raw: Raw) -> Result<Self, ScheduleError> {
        Self::new(&raw.time_zone, raw.entries)
    }
}

impl From<Schedule> for Raw {
    fn from(schedule: Schedule) -> Self {
        let entries = schedule.entries.into_iter().map(|(_, entry)| entry).collect();
        Self { time_zone: schedule.name, entries }
    }
}

impl Schedule {
    /// Validates a schedule. Time zones come from the built-in database, not the machine's, so that every worker
    /// computes the same cap.
    ///
    /// # Errors
    /// The first [`ScheduleError`].
    pub fn new(time_zone: &str, entries: Vec<ScheduleEntry>) -> Result<Self, ScheduleError> {
        let zone = TimeZone::get(time_zone)
            .map_err(|_| ScheduleError::TimeZone(time_zone.chars().take(64).collect()))?;
        if entries.is_empty() || entries.len() > ENTRIES_MAX {
            return Err(ScheduleError::Count);
        }
        let mut timed: Vec<(Time, ScheduleEntry)> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            let time = time_of_day(&entry.from).ok_or(ScheduleError::Time { index })?;
            let meets =
                |other: &(Time, ScheduleEntry)| other.0 == time && days_meet(&other.1.days, &entry.days);
            if timed.iter().any(meets) {
                return Err(ScheduleError::Twice { index });
            }
            timed.push((time, entry));
        }
        Ok(Self { name: time_zone.to_owned(), zone, entries: timed })
    }

    #[must_use]
    pub fn time_zone(&self) -> &str {
        &self.name
    }

    pub fn entries(&self) -> impl Iterator<Item = &ScheduleEntry> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// The rate of the entry that started last. `None` only for instants beyond the calendar.
    ///
    /// A time that a change to summer time skips starts that much later; one that occurs twice starts at the first.
    #[must_use]
    pub fn rate_at(&self, now_us: i64) -> Option<Rate> {
        let now = Timestamp::from_microsecond(now_us).ok()?;
        let mut date = self.zone.to_datetime(now).date();
        // Within a week every entry has started; one more day for today's entries that are still ahead.
        for _ in 0..=7 {
            let newest = self.begun_on(date, now).max_by_key(|(began, _)| *began);
            if let Some((_, rate)) = newest {
                return Some(rate);
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    /// The entries of `date` that have started by `now`.
    fn begun_on(&self, date: Date, now: Timestamp) -> impl Iterator<Item = (Timestamp, Rate)> {
        self.entries.iter().filter_map(move |(time, entry)| {
            let is_on = entry.days.is_empty() || entry.days.iter().any(|day| day.civil() == date.weekday());
            if !is_on {
                return None;
            }
            let began = self.zone.to_timestamp(date.to_datetime(*time)).ok()?;
            (began <= now).then_some((began, entry.rate))
        })
    }
}

/// `HH:MM`, nothing else.
fn time_of_day(text: &str) -> Option<Time> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |digits: &str| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !two(hours) || !two(minutes) {
        return None;
    }
    Time::new(hours.parse().ok()?, minutes.parse().ok()?, 0, 0).ok()
}

fn days_meet(left: &[Weekday], right: &[Weekday]) -> bool {
    left.is_empty() || right.is_empty() || left.iter().any(|day| right.contains(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(zone: &str, entries: &str) -> Result<Schedule, String> {
        serde_json::from_str(&format!(r#"{{"time_zone": "{zone}", "entries": {entries}}}"#))
            .map_err(|error| error.to_string())
    }

    fn at(instant: &str) -> i64 {
        instant.parse::<Timestamp>().expect("an instant").as_microsecond()
    }

    #[test]
    fn formats_entries_with_their_days() {
        let both =
            r#"[{"from": "02:00", "rate": 3000}, {"from": "00:00", "rate": 4000, "days": ["sat", "sun"]}]"#;
        let both = schedule("UTC", both).expect("valid");
        let texts: Vec<_> = both.entries().map(ToString::to_string).collect();
        assert_eq!(texts, ["02:00 3000/s", "00:00 4000/s on sat sun"]);
    }

    #[test]
    fn the_entry_that_began_last_applies() {
        let night = r#"[{"from": "02:00", "rate": 3000}, {"from": "08:30", "rate": 500}]"#;
        let week = r#"[{"from": "00:00", "rate": 1, "days": ["mon"]}, {"from": "12:00", "rate": 2, "days": ["wed", "sat"]}]"#;
        for (zone, entries, instant, expected) in [
            ("Asia/Shanghai", night, "2026-11-10T17:59:59.999999Z", 500),
            ("Asia/Shanghai", night, "2026-11-10T18:00:00Z", 3_000),
            ("Asia/Shanghai", night, "2026-11-11T00:29:59Z", 3_000),
            ("Asia/Shanghai", night, "2026-11-11T00:30:00Z", 500),
            ("UTC", night, "2026-11-11T01:00:00Z", 500),
            // 2026-11-09 is a Monday.
            ("UTC", week, "2026-11-08T23:59:59Z", 2),
            ("UTC", week, "2026-11-09T00:00:00Z", 1),
            ("UTC", week, "2026-11-11T11:59:59Z", 1),
            ("UTC", week, "2026-11-11T12:00:00Z", 2),
            // Berlin skips 02:00 to 03:00 on 2026-03-29, and repeats it on 2026-10-25.
            (
                "Europe/Berlin",
                r#"[{"from": "02:30", "rate": 9}, {"from": "20:00", "rate": 5}]"#,
                "2026-03-29T01:29:59Z",
                5,
            ),
            (
                "Europe/Berlin",
                r#"[{"from": "02:30", "rate": 9}, {"from": "20:00", "rate": 5}]"#,
                "2026-03-29T01:30:00Z",
                9,
            ),
            (
                "Europe/Berlin",
                r#"[{"from": "02:30", "rate": 9}, {"from": "20:00", "rate": 5}]"#,
                "2026-10-25T00:30:00Z",
                9,
            ),
            (
                "Europe/Berlin",
                r#"[{"from": "02:30", "rate": 9}, {"from": "20:00", "rate": 5}]"#,
                "2026-10-25T01:10:00Z",
                9,
            ),
        ] {
            let schedule = schedule(zone, entries).expect("valid");
            assert_eq!(schedule.rate_at(at(instant)).map(Rate::get), Some(expected), "{zone} {instant}");
        }
    }

    #[test]
    fn errors_name_the_entry() {
        for (zone, entries, detail) in [
            ("Mars/Olympus", r#"[{"from": "02:00", "rate": 1}]"#, "time_zone: 'Mars/Olympus'"),
            ("UTC", "[]", "entries: must be 1 to 64"),
            ("UTC", r#"[{"from": "2:00", "rate": 1}]"#, "entries[0].from"),
            ("UTC", r#"[{"from": "24:00", "rate": 1}]"#, "entries[0].from"),
            (
                "UTC",
                r#"[{"from": "02:00", "rate": 1}, {"from": "02:00", "rate": 2, "days": ["mon"]}]"#,
                "entries[1].from",
            ),
            ("UTC", r#"[{"from": "02:00", "rate": 0}]"#, "a rate is 1 to"),
            ("UTC", r#"[{"from": "02:00", "rate": 1, "until": "03:00"}]"#, "unknown field"),
        ] {
            let error = schedule(zone, entries).expect_err("refused");
            assert!(error.contains(detail), "{error}");
        }
    }
}
