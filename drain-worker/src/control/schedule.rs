//! Caps by time of day, in a time zone.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
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

    /// The highest rate of any entry.
    #[must_use]
    pub fn rate_max(&self) -> Option<Rate> {
        self.entries.iter().map(|(_, entry)| entry.rate).max()
    }

    /// The rate of the entry that started last. `None` only for instants beyond the calendar.
    ///
    /// Entries start in the order of date and time on the wall clock. A time that the clock skips starts at the end of the
    /// gap; one that occurs twice starts at the first. Of entries that start at one instant, the last one applies.
    #[must_use]
    pub fn rate_at(&self, now_us: i64) -> Option<Rate> {
        let now = Timestamp::from_microsecond(now_us).ok()?;
        // A clock that is set back over midnight repeats the end of a day whose next day has begun.
        let mut date = self.zone.to_datetime(now).date().tomorrow().ok()?;
        // From tomorrow to this day of the last week, on which an entry of one weekday started at the latest.
        for _ in 0..=8 {
            if let Some(rate) = self.newest_of(date, now) {
                return Some(rate);
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    /// The instants after `from_us` and up to `until_us` at which an entry starts, µs, ascending.
    #[must_use]
    pub fn starts(&self, from_us: i64, until_us: i64) -> Vec<i64> {
        let date = |us| Some(self.zone.to_datetime(Timestamp::from_microsecond(us).ok()?).date());
        // The clock may be set back or forward by a day.
        let first = date(from_us).and_then(|date| date.yesterday().ok());
        let last = date(until_us).and_then(|date| date.tomorrow().ok());
        let Some((first, last)) = first.zip(last) else { return Vec::new() };
        let dates =
            std::iter::successors(Some(first), |date| date.tomorrow().ok().filter(|next| *next <= last));
        let starts = dates.flat_map(|date| {
            self.entries_on(date).filter_map(move |(time, _)| self.start(date.to_datetime(*time)))
        });
        let mut starts: Vec<i64> = starts.map(Timestamp::as_microsecond).collect();
        starts.retain(|&start| from_us < start && start <= until_us);
        starts.sort_unstable();
        starts.dedup();
        starts
    }

    fn entries_on(&self, date: Date) -> impl Iterator<Item = &(Time, ScheduleEntry)> {
        self.entries.iter().filter(move |(_, entry)| {
            entry.days.is_empty() || entry.days.iter().any(|day| day.civil() == date.weekday())
        })
    }

    /// The rate of the last entry of `date` that has started by `now`.
    fn newest_of(&self, date: Date, now: Timestamp) -> Option<Rate> {
        let begun = self
            .entries_on(date)
            .filter(|(time, _)| self.start(date.to_datetime(*time)).is_some_and(|start| start <= now));
        begun.max_by_key(|(time, _)| *time).map(|(_, entry)| entry.rate)
    }

    /// The instant at which the wall clock first reaches or passes `local`.
    fn start(&self, local: DateTime) -> Option<Timestamp> {
        let local = self.zone.to_ambiguous_timestamp(local);
        match local.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => local.earlier().ok(),
            AmbiguousOffset::Gap { .. } => {
                let before = local.earlier().ok()?;
                self.zone.following(before).next().map(|transition| transition.timestamp())
            }
        }
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
        ] {
            let schedule = schedule(zone, entries).expect("valid");
            assert_eq!(schedule.rate_at(at(instant)).map(Rate::get), Some(expected), "{zone} {instant}");
        }
    }

    /// Zone, day, time on the wall clock, and the first instant at which that clock reads the time or a later one.
    /// Source: Python 3.11's `zoneinfo` with tzdata 2025b, by bisection of `astimezone`.
    const STARTS: &[(&str, &str, &str, &str)] = &[
        ("Europe/Berlin", "sun", "01:59", "2026-03-29T00:59:00Z"),
        ("Europe/Berlin", "sun", "02:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "sun", "02:30", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "sun", "03:00", "2026-03-29T01:00:00Z"),
        ("America/New_York", "sun", "02:30", "2026-03-08T07:00:00Z"),
        ("Africa/Casablanca", "sun", "02:30", "2026-03-22T02:00:00Z"),
        ("Antarctica/Troll", "sun", "01:30", "2026-03-29T01:00:00Z"),
        ("Asia/Shanghai", "sun", "02:30", "1991-04-13T18:00:00Z"),
        ("Australia/Lord_Howe", "sun", "02:15", "2026-10-03T15:30:00Z"),
        ("Pacific/Chatham", "sun", "03:00", "2026-09-26T14:00:00Z"),
        // Gaps that begin or end at midnight, or lie over it.
        ("Africa/Cairo", "fri", "00:30", "2026-04-23T22:00:00Z"),
        ("America/Havana", "sun", "00:15", "2026-03-08T05:00:00Z"),
        ("America/Nuuk", "sat", "23:30", "2026-03-29T01:00:00Z"),
        ("America/Santiago", "sun", "00:30", "2026-09-06T04:00:00Z"),
        ("America/Toronto", "sun", "23:45", "1919-03-31T04:30:00Z"),
        ("America/Toronto", "mon", "00:15", "1919-03-31T04:30:00Z"),
        ("Asia/Beirut", "sun", "00:15", "2026-03-28T22:00:00Z"),
        ("Atlantic/Azores", "sun", "00:30", "2026-03-29T01:00:00Z"),
        // A day that the calendar skips.
        ("Pacific/Apia", "fri", "13:00", "2011-12-30T10:00:00Z"),
        ("Pacific/Kwajalein", "sat", "13:00", "1993-08-21T12:00:00Z"),
        // Times that occur twice; in St. John's the clock goes back over midnight.
        ("America/New_York", "sun", "01:30", "2026-11-01T05:30:00Z"),
        ("America/Santiago", "sat", "23:30", "2026-04-05T02:30:00Z"),
        ("America/St_Johns", "sat", "23:30", "2010-11-07T02:00:00Z"),
        ("America/St_Johns", "sun", "00:00", "2010-11-07T02:30:00Z"),
        ("Australia/Lord_Howe", "sun", "01:45", "2026-04-04T14:45:00Z"),
        ("Europe/Berlin", "sun", "02:30", "2026-10-25T00:30:00Z"),
        ("Europe/Berlin", "sun", "03:00", "2026-10-25T02:00:00Z"),
        // No change of the clock.
        ("Asia/Kathmandu", "sun", "02:30", "2026-03-28T20:45:00Z"),
        ("Asia/Shanghai", "wed", "02:00", "2026-11-10T18:00:00Z"),
    ];

    #[test]
    fn an_entry_starts_when_the_wall_clock_reaches_or_passes_its_time() {
        for (zone, day, from, start) in STARTS {
            let entries = format!(
                r#"[{{"from": "12:34", "rate": 5}}, {{"from": "{from}", "rate": 9, "days": ["{day}"]}}]"#
            );
            let schedule = schedule(zone, &entries).expect("valid");
            let rate_at = |now| schedule.rate_at(now).map(Rate::get);
            assert_eq!(
                (rate_at(at(start) - 1), rate_at(at(start)), rate_at(at(start) + 60_000_000)),
                (Some(5), Some(9), Some(9)),
                "{zone} {day} {from}"
            );
        }
    }

    #[test]
    fn entries_that_start_at_one_instant_apply_in_the_order_of_the_wall_clock() {
        let gap_end = at("2026-03-29T01:00:00Z");
        for (entries, expected) in [
            ([("02:00", 500), ("03:00", 3_000)], 3_000),
            ([("03:00", 3_000), ("02:00", 500)], 3_000),
            ([("02:30", 100), ("03:00", 2_000)], 2_000),
            ([("03:00", 2_000), ("02:30", 100)], 2_000),
            ([("02:59", 7), ("02:01", 8)], 7),
        ] {
            let entries = entries.map(|(from, rate)| format!(r#"{{"from": "{from}", "rate": {rate}}}"#));
            let schedule = schedule("Europe/Berlin", &format!("[{}]", entries.join(","))).expect("valid");
            for minutes in [0, 10, 60, 600] {
                let rate = schedule.rate_at(gap_end + minutes * 60_000_000).map(Rate::get);
                assert_eq!(rate, Some(expected), "{entries:?}, {minutes} min after the gap");
            }
        }
        // Over midnight the next day's entries come last.
        let nuuk =
            schedule("America/Nuuk", r#"[{"from": "00:00", "rate": 1}, {"from": "23:30", "rate": 2}]"#);
        let rate = |instant| nuuk.as_ref().expect("valid").rate_at(at(instant)).map(Rate::get);
        assert_eq!(
            [rate("2026-03-29T00:59:59Z"), rate("2026-03-29T01:00:00Z"), rate("2026-03-30T00:29:59Z")],
            [Some(1), Some(1), Some(1)]
        );
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
