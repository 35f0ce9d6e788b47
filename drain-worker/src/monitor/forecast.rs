//! The limit of the pool, and when the lag is drained.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::{Cap, CapSource, GroupSettings};
use crate::pool::{LimitedBy, WorkerReport, WorkerState};

/// Part of the cap that a pool commits which nothing else limits: credits return a second after their commit.
const CAP_USED: f64 = 0.95;

/// Orders wait if they are more than the pool commits in this time, seconds. Fewer are on their way.
const BACKLOG_S: f64 = 2.0;

/// A forecast ends there, seconds.
const HORIZON_S: f64 = 7.0 * 86_400.0;

/// The length of a step in parts of the time since the forecast's begin: the error is at most half of it.
const STEP_PART: f64 = 1.0 / 64.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// The lag is drained at the time of the forecast.
    Draining,
    /// More orders arrive than the settings to come let through.
    Growing,
    /// The lag stays: nothing arrives and nothing is committed.
    Standing,
}

impl Trend {
    /// The name used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Growing => "growing",
            Self::Standing => "standing",
        }
    }
}

/// The pool, as far as the forecast needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) limited_by: LimitedBy,
    /// Orders a second.
    pub(super) committed: f64,
    /// Orders a second.
    pub(super) arriving: f64,
}

/// The trend, and the seconds until `waiting` orders are drained, with the arrivals of this moment and the cap of each
/// moment to come: ramp, schedule and pauses included.
pub(super) fn drained_in(
    settings: &GroupSettings,
    now_us: i64,
    waiting: f64,
    pace: Pace,
) -> (Trend, Option<f64>) {
    let cap_at = |seconds: f64| {
        let at = now_us.saturating_add((seconds * 1_000_000.0) as i64);
        f64::from(settings.cap_at(at).orders_per_second)
    };
    let now = cap_at(0.0);
    // What limits the pool below its cap now, also limits it under another cap.
    let (used, ceiling) = match pace.limited_by {
        LimitedBy::Cap if now > 0.0 => ((pace.committed / now).clamp(0.5, 1.0), f64::INFINITY),
        LimitedBy::Cap | LimitedBy::NothingWaits => (1.0, f64::INFINITY),
        LimitedBy::DatabaseLatency | LimitedBy::Connections | LimitedBy::Broker => (1.0, pace.committed),
    };
    let rate_at = |seconds: f64| (cap_at(seconds) * used).min(ceiling);
    let (mut passed, mut left, mut rate) = (0.0, waiting, rate_at(0.0));
    while left > 0.0 {
        if passed >= HORIZON_S {
            let trend = if left > waiting { Trend::Growing } else { Trend::Standing };
            return (trend, None);
        }
        let step = (passed * STEP_PART).max(1.0);
        let next = rate_at(passed + step);
        let fewer = (f64::midpoint(rate, next) - pace.arriving) * step;
        if fewer >= left {
            return (Trend::Draining, Some(passed + step * left / fewer));
        }
        (passed, left, rate) = (passed + step, left - fewer, next);
    }
    (Trend::Draining, Some(0.0))
}

/// The limit of the pool: that of the workers with the largest part of the cap, by `live` workers' shares and reports.
/// `None`: no worker is live, or all are cordoned. `waiting`: orders on the broker, if known.
pub(super) fn limited_by<'a>(
    cap: &Cap,
    committed: f64,
    waiting: Option<f64>,
    live: impl Iterator<Item = (u32, &'a WorkerReport)>,
) -> Option<LimitedBy> {
    let mut words = BTreeMap::new();
    for (share, report) in live {
        if let Some(word) = report.limited_by.filter(|_| report.state != WorkerState::Cordoned) {
            *words.entry(word).or_insert(0_u64) += u64::from(share) + 1;
        }
    }
    if words.is_empty() {
        return None;
    }
    if cap.source == CapSource::Paused || committed >= CAP_USED * f64::from(cap.orders_per_second) {
        return Some(LimitedBy::Cap);
    }
    words.remove(&LimitedBy::NothingWaits);
    let heaviest = words.into_iter().max_by_key(|&(_, share)| share).map(|(word, _)| word);
    let is_waiting = waiting.is_some_and(|orders| orders > BACKLOG_S * committed.max(1.0));
    Some(heaviest.unwrap_or(if is_waiting { LimitedBy::Broker } else { LimitedBy::NothingWaits }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{ManualRate, Rate, Schedule};

    /// 2026-11-11T00:00:00Z.
    const MIDNIGHT: i64 = 1_794_355_200 * 1_000_000;

    fn settings(default: u32) -> GroupSettings {
        GroupSettings::new(Rate::new(default).expect("within bounds"))
    }

    fn ramp(from: u32, to: u32, over_s: i64) -> GroupSettings {
        let rate = |orders| Rate::new(orders).expect("within bounds");
        let ends_us = MIDNIGHT + over_s * 1_000_000;
        let manual = ManualRate { from: rate(from), to: rate(to), began_us: MIDNIGHT, ends_us };
        GroupSettings { manual: Some(manual), ..settings(from) }
    }

    fn night() -> GroupSettings {
        let entries = r#"[{"from": "00:00", "rate": 100}, {"from": "01:00", "rate": 3000}]"#;
        let schedule: Schedule =
            serde_json::from_str(&format!(r#"{{"time_zone": "UTC", "entries": {entries}}}"#))
                .expect("a schedule");
        GroupSettings { schedule: Some(schedule), ..settings(100) }
    }

    /// Each expected time is the paper calculation beside it.
    #[test]
    fn the_forecast_follows_arrivals_and_the_settings_to_come() {
        use LimitedBy::{Cap, Connections, DatabaseLatency, NothingWaits};
        let plain = settings(2_000);
        for (what, settings, waiting, limited_by, committed, arriving, trend, expected_s) in [
            ("100,000 / 2,000", &plain, 100_000.0, Cap, 2_000.0, 0.0, Trend::Draining, Some(50.0)),
            (
                "100,000 / (2,000 − 1,000)",
                &plain,
                100_000.0,
                Cap,
                2_000.0,
                1_000.0,
                Trend::Draining,
                Some(100.0),
            ),
            ("more comes than goes", &plain, 14_000.0, Cap, 2_000.0, 50_000.0, Trend::Growing, None),
            ("96 % of the cap are used", &plain, 96_000.0, Cap, 1_920.0, 0.0, Trend::Draining, Some(50.0)),
            // ∫ of the ramp to 100 s: (1,000 + 3,000) / 2 × 100 = 200,000; the rest at 3,000/s.
            (
                "a ramp, then its end",
                &ramp(1_000, 3_000, 100),
                500_000.0,
                Cap,
                1_000.0,
                0.0,
                Trend::Draining,
                Some(200.0),
            ),
            // An hour at 100/s drains 360,000; 3,000,000 remain at 3,000/s.
            ("a schedule", &night(), 3_360_000.0, Cap, 100.0, 0.0, Trend::Draining, Some(4_600.0)),
            // It grows now by 400/s for an hour: 1,440,000 + 60,000, then falls by 2,500/s.
            ("grows until the night", &night(), 60_000.0, Cap, 100.0, 500.0, Trend::Draining, Some(4_200.0)),
            // Twice the cap does not help a database that commits 500/s.
            (
                "a slow database",
                &ramp(1_000, 2_000, 10),
                50_000.0,
                DatabaseLatency,
                500.0,
                0.0,
                Trend::Draining,
                Some(100.0),
            ),
            ("few connections", &plain, 50_000.0, Connections, 500.0, 400.0, Trend::Draining, Some(500.0)),
            (
                "nothing waits",
                &plain,
                200.0,
                NothingWaits,
                100.0,
                100.0,
                Trend::Draining,
                Some(200.0 / 1_900.0),
            ),
            ("no lag", &plain, 0.0, NothingWaits, 0.0, 0.0, Trend::Draining, Some(0.0)),
        ] {
            let pace = Pace { limited_by, committed, arriving };
            let (found, seconds) = drained_in(settings, MIDNIGHT, waiting, pace);
            assert_eq!(found, trend, "{what}");
            let within = |(found, expected): (f64, f64)| (found - expected).abs() <= 0.01 * expected + 1e-9;
            assert_eq!(seconds.is_some(), expected_s.is_some(), "{what}");
            assert!(seconds.zip(expected_s).is_none_or(within), "{what}: {seconds:?}, not {expected_s:?}");
        }
    }

    #[test]
    fn the_pool_is_limited_by_what_limits_most_of_it() {
        use LimitedBy::{Broker, Connections, NothingWaits};
        let cap = settings(2_000).cap_at(MIDNIGHT);
        for (what, words, committed, waiting, expected) in [
            ("no worker", &[][..], 0.0, None, None),
            ("at the cap", &[(2_000, NothingWaits)][..], 1_950.0, Some(0.0), Some("cap")),
            ("idle", &[(1_000, NothingWaits), (1_000, NothingWaits)], 0.0, Some(0.0), Some("nothing_waits")),
            ("the lag is not known", &[(2_000, NothingWaits)], 300.0, None, Some("nothing_waits")),
            ("on their way", &[(2_000, NothingWaits)], 300.0, Some(500.0), Some("nothing_waits")),
            ("not delivered", &[(2_000, NothingWaits)], 300.0, Some(5_000.0), Some("broker")),
            (
                "most of it",
                &[(300, Broker), (900, Connections), (800, NothingWaits)],
                1_000.0,
                Some(9_000.0),
                Some("connections"),
            ),
        ] {
            let reports: Vec<_> = words
                .iter()
                .map(|&(share, word)| {
                    (share, WorkerReport { limited_by: Some(word), ..WorkerReport::default() })
                })
                .collect();
            let live = reports.iter().map(|(share, report)| (*share, report));
            let found = limited_by(&cap, committed, waiting, live);
            assert_eq!(found.map(LimitedBy::as_str), expected, "{what}");
        }
    }

    #[test]
    fn the_command_line_and_the_api_have_one_name() {
        for trend in [Trend::Draining, Trend::Growing, Trend::Standing] {
            assert_eq!(serde_json::to_value(trend).expect("a name"), trend.as_str());
        }
        for limit in LimitedBy::ALL {
            assert_eq!(serde_json::to_value(limit).expect("a name"), limit.as_str());
        }
    }
}
