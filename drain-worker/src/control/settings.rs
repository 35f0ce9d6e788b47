//! The settings of a consumer group, and the cap they result in.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Hold, Schedule};

/// Maximum rate, orders a second: above any database, so that typing errors are rejected.
pub const RATE_MAX: u32 = 1_000_000;

/// A rate: 1 to [`RATE_MAX`] orders a second. Zero is a pause, not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Rate(NonZeroU32);

impl Rate {
    /// `None`: out of bounds.
    #[must_use]
    pub fn new(orders_per_second: u32) -> Option<Self> {
        NonZeroU32::new(orders_per_second).filter(|rate| rate.get() <= RATE_MAX).map(Self)
    }

    /// Orders a second.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u32> for Rate {
    type Error = String;

    fn try_from(orders_per_second: u32) -> Result<Self, String> {
        Self::new(orders_per_second).ok_or_else(|| format!("a rate is 1 to {RATE_MAX} orders a second"))
    }
}

impl From<Rate> for u32 {
    fn from(rate: Rate) -> Self {
        rate.get()
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: u32 = text.parse().map_err(|_| format!("a rate is 1 to {RATE_MAX} orders a second"))?;
        Self::try_from(number)
    }
}

/// A rate that an operator set, reached by a linear ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualRate {
    pub from: Rate,
    /// The cap after the ramp.
    pub to: Rate,
    /// Start of the ramp, µs.
    pub began_us: i64,
    /// End of the ramp, µs; `began_us` without a ramp.
    pub ends_us: i64,
}

impl ManualRate {
    /// The cap at `now_us`.
    #[must_use]
    pub fn at(&self, now_us: i64) -> u32 {
        let (length, passed) = (self.ends_us - self.began_us, now_us - self.began_us);
        if length <= 0 || passed >= length {
            return self.to.get();
        }
        let (from, to) = (i128::from(self.from.get()), i128::from(self.to.get()));
        let between = from + (to - from) * i128::from(passed.max(0)) / i128::from(length);
        // Between two rates, therefore a rate; never 0.
        u32::try_from(between).unwrap_or(1).max(1)
    }

    /// True if the ramp has not ended at `now_us`.
    #[must_use]
    pub const fn is_ramping(&self, now_us: i64) -> bool {
        now_us < self.ends_us
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSettings {
    /// The cap when nothing else applies.
    pub default: Rate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<ManualRate>,
    /// At most [`super::HOLDS_MAX`] that are in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// No cap is above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Rate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapSource {
    Paused,
    Manual,
    Schedule,
    Default,
}

impl CapSource {
    /// The name used in the API and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Manual => "manual",
            Self::Schedule => "schedule",
            Self::Default => "default",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Maximum orders that the pool commits in any second; 0 while paused.
    pub orders_per_second: u32,
    pub source: CapSource,
    /// The ramp in progress; `None` if another source is in force.
    pub ramp: Option<ManualRate>,
    /// End of the last hold, µs; `None`: not paused, or until resumed.
    pub paused_until_us: Option<i64>,
}

impl GroupSettings {
    #[must_use]
    pub const fn new(default: Rate) -> Self {
        Self { default, manual: None, holds: Vec::new(), schedule: None, ceiling: None }
    }

    /// The cap in force at `now_us`.
    #[must_use]
    pub fn cap_at(&self, now_us: i64) -> Cap {
        let cap =
            |orders_per_second, source| Cap { orders_per_second, source, ramp: None, paused_until_us: None };
        let mut holds = self.holds_at(now_us).peekable();
        if holds.peek().is_some() {
            // `None`, without an end, is the latest.
            let ends: Option<Vec<i64>> = holds.map(|hold| hold.until_us).collect();
            let paused_until_us = ends.and_then(|ends| ends.into_iter().max());
            return Cap { paused_until_us, ..cap(0, CapSource::Paused) };
        }
        let (orders_per_second, source) = self.unpaused_at(now_us);
        let ramp = self.manual.filter(|manual| manual.is_ramping(now_us));
        Cap { ramp, ..cap(orders_per_second, source) }
    }

    /// The holds in force at `now_us`.
    pub fn holds_at(&self, now_us: i64) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(move |hold| hold.is_in_force(now_us))
    }

    /// The cap without the holds.
    fn unpaused_at(&self, now_us: i64) -> (u32, CapSource) {
        let scheduled = || self.schedule.as_ref().and_then(|schedule| schedule.rate_at(now_us));
        let (orders, source) = match &self.manual {
            Some(manual) => (manual.at(now_us), CapSource::Manual),
            None => match scheduled() {
                Some(rate) => (rate.get(), CapSource::Schedule),
                None => (self.default.get(), CapSource::Default),
            },
        };
        (self.ceiling.map_or(orders, |ceiling| orders.min(ceiling.get())), source)
    }

    /// The rate at which a ramp that starts at `now_us` starts.
    #[must_use]
    pub fn ramp_start(&self, now_us: i64) -> Rate {
        Rate::new(self.unpaused_at(now_us).0).unwrap_or(self.default)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn rate(orders: u32) -> Rate {
        Rate::new(orders).expect("within bounds")
    }

    fn hold(id: i64, until_us: Option<i64>) -> Hold {
        Hold { id, owner: "ann".to_owned(), reason: String::new(), since_us: 0, until_us }
    }

    fn schedule() -> Schedule {
        serde_json::from_str(r#"{"time_zone": "UTC", "entries": [{"from": "00:00", "rate": 500}]}"#)
            .expect("valid")
    }

    #[test]
    fn a_hold_overrides_the_manual_rate_which_overrides_the_schedule() {
        let manual = ManualRate { from: rate(7), to: rate(7), began_us: 0, ends_us: 0 };
        let at = 10 * SECOND;
        let mut settings = GroupSettings::new(rate(2_000));
        let expect = |settings: &GroupSettings, orders, source| {
            let cap = settings.cap_at(at);
            assert_eq!((cap.orders_per_second, cap.source), (orders, source));
        };
        expect(&settings, 2_000, CapSource::Default);
        settings.schedule = Some(schedule());
        expect(&settings, 500, CapSource::Schedule);
        settings.manual = Some(manual);
        expect(&settings, 7, CapSource::Manual);
        settings.holds = vec![hold(1, None)];
        expect(&settings, 0, CapSource::Paused);
        settings.holds = vec![hold(1, Some(at)), hold(2, Some(at + 1))];
        expect(&settings, 0, CapSource::Paused);
        settings.holds = vec![hold(1, Some(at)), hold(2, Some(at - 1))];
        expect(&settings, 7, CapSource::Manual);
        settings.manual = None;
        expect(&settings, 500, CapSource::Schedule);
    }

    #[test]
    fn no_cap_is_above_the_ceiling() {
        let mut settings = GroupSettings { ceiling: Some(rate(1_000)), ..GroupSettings::new(rate(2_000)) };
        let cap = |settings: &GroupSettings| settings.cap_at(0).orders_per_second;
        assert_eq!((cap(&settings), settings.ramp_start(0)), (1_000, rate(1_000)));
        settings.schedule = Some(schedule());
        assert_eq!(cap(&settings), 500);
        settings.manual = Some(ManualRate { from: rate(7_000), to: rate(7_000), began_us: 0, ends_us: 0 });
        assert_eq!(cap(&settings), 1_000);
    }

    #[test]
    fn a_pause_ends_with_its_last_hold() {
        let mut settings = GroupSettings::new(rate(2_000));
        for (holds, expected) in [
            (vec![hold(1, Some(20)), hold(2, Some(30))], Some(30)),
            (vec![hold(1, Some(20)), hold(2, None), hold(3, Some(30))], None),
            (vec![hold(1, Some(5)), hold(2, Some(20))], Some(20)),
        ] {
            settings.holds = holds;
            let cap = settings.cap_at(10);
            assert_eq!((cap.source, cap.paused_until_us), (CapSource::Paused, expected), "{settings:?}");
        }
    }

    proptest! {
        #[test]
        fn a_ramp_is_linear(
            from in 1..=RATE_MAX, to in 1..=RATE_MAX, length in 0_i64..100_000 * SECOND, part in 0.0..=1.2_f64,
        ) {
            let manual = ManualRate { from: rate(from), to: rate(to), began_us: 5, ends_us: 5 + length };
            prop_assert_eq!(manual.at(5 + length), to);
            let at = 5 + (length as f64 * part) as i64;
            let expected = f64::from(from) + (f64::from(to) - f64::from(from)) * part.min(1.0);
            if length > SECOND {
                prop_assert!((f64::from(manual.at(at)) - expected).abs() <= 2.0, "{} {expected}", manual.at(at));
            }
            prop_assert!((from.min(to)..=from.max(to)).contains(&manual.at(at)));
        }
    }

    #[test]
    fn rates_are_bounded() {
        for (text, valid) in
            [("1", true), ("1000000", true), ("0", false), ("1000001", false), ("2k", false), ("-1", false)]
        {
            assert_eq!(text.parse::<Rate>().is_ok(), valid, "{text}");
        }
        assert!(serde_json::from_str::<Rate>("0").is_err());
    }

    #[test]
    fn settings_round_trip() {
        let mut settings = GroupSettings::new(rate(2_000));
        assert_eq!(serde_json::to_string(&settings).expect("writes"), r#"{"default":2000}"#);
        settings.manual = Some(ManualRate { from: rate(1), to: rate(2), began_us: 3, ends_us: 4 });
        settings.holds = vec![hold(1, Some(9)), hold(2, None)];
        settings.schedule = Some(schedule());
        let text = serde_json::to_string(&settings).expect("writes");
        assert_eq!(serde_json::from_str::<GroupSettings>(&text).expect("reads"), settings);
    }
}
