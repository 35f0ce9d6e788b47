//! Finds the rate at which a database stops keeping up, from measured steps. Pure.

use std::time::Duration;

use serde::Serialize;

/// One measured rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Orders a second.
    pub offered_per_s: f64,
    /// Orders a second.
    pub committed_per_s: f64,
    /// Median of the batches' commit latency, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Minimum fraction of the offered orders that must be committed.
    pub follow_min: f64,
    /// Maximum p99, as a multiple of the p99 at low rates.
    pub latency_factor_max: f64,
    /// Fraction by which the recommendation stays below the knee, 0 to 1.
    pub margin: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    FallsBehind,
    Slow,
}

/// Steps whose p99 is the base: several, because one of them may be disturbed.
const BASE_STEPS: usize = 3;

const BASE_MS_MIN: f64 = 2.0;

/// The p99 at low rates, milliseconds: the median of the first steps. `None`: no steps.
#[must_use]
pub fn base_ms(steps: &[Step]) -> Option<f64> {
    let mut first: Vec<_> = ascending(steps).into_iter().take(BASE_STEPS).map(|step| step.p99_ms).collect();
    first.sort_by(f64::total_cmp);
    first.get(first.len() / 2).map(|base| base.max(BASE_MS_MIN))
}

/// The reason why a step overloads the database, given the p99 at low rates.
#[must_use]
pub fn judge(step: &Step, base_ms: f64, limits: Limits) -> Option<Reason> {
    if step.committed_per_s < step.offered_per_s * limits.follow_min {
        Some(Reason::FallsBehind)
    } else if step.p99_ms > base_ms * limits.latency_factor_max {
        Some(Reason::Slow)
    } else {
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Knee {
    /// The highest sustained rate, orders a second.
    pub keeps_up_per_s: f64,
    /// The lowest overloading rate above it; `None`: the ramp ended before.
    pub too_much_per_s: Option<f64>,
    pub reason: Option<Reason>,
    /// The p99 at low rates, milliseconds.
    pub base_ms: f64,
    /// The cap to set, orders a second.
    pub recommended_per_s: u32,
}

/// The knee of `steps`, in any order. `None` if even the lowest rate overloads, or there are no steps.
///
/// A single slow step is ignored if the next higher one is good: something else disturbed it. Falling behind is never
/// ignored.
#[must_use]
pub fn find(steps: &[Step], limits: Limits) -> Option<Knee> {
    let base_ms = base_ms(steps)?;
    let steps = ascending(steps);
    let verdicts: Vec<_> = steps.iter().map(|step| judge(step, base_ms, limits)).collect();
    let is_forgiven = |index: usize| {
        verdicts[index] == Some(Reason::Slow) && verdicts.get(index + 1).is_some_and(Option::is_none)
    };
    let first_bad = (0..steps.len())
        .find(|&index| verdicts[index].is_some() && !is_forgiven(index))
        .unwrap_or(steps.len());
    let last_good = steps[..first_bad].iter().zip(&verdicts).rfind(|(_, verdict)| verdict.is_none())?.0;
    Some(Knee {
        keeps_up_per_s: last_good.offered_per_s,
        too_much_per_s: steps.get(first_bad).map(|step| step.offered_per_s),
        reason: verdicts.get(first_bad).copied().flatten(),
        base_ms,
        recommended_per_s: round_down(last_good.offered_per_s * (1.0 - limits.margin)),
    })
}

/// The next rate to offer after `steps`; `None`: the knee is known closely enough, or `to_per_s` was reached.
///
/// Rates grow by half until a rate overloads twice; then the gap is bisected until it is below a tenth.
#[must_use]
pub fn next_rate(steps: &[Step], from_per_s: f64, to_per_s: f64, limits: Limits) -> Option<f64> {
    const GROWTH: f64 = 1.5;
    const GAP_MIN: f64 = 1.1;
    let Some(highest) = ascending(steps).last().copied() else { return Some(from_per_s) };
    let base_ms = base_ms(steps)?;
    match find(steps, limits) {
        None => None,
        Some(Knee { keeps_up_per_s, too_much_per_s: Some(too_much), .. }) => {
            let slow_once =
                judge(&highest, base_ms, limits) == Some(Reason::Slow) && too_much >= highest.offered_per_s;
            if slow_once && too_much / keeps_up_per_s > GAP_MIN && highest.offered_per_s < to_per_s {
                // Something else may have disturbed it: the next rate shows.
                return Some((highest.offered_per_s * GROWTH).min(to_per_s));
            }
            (too_much / keeps_up_per_s > GAP_MIN).then(|| (too_much * keeps_up_per_s).sqrt().round())
        }
        Some(_) if highest.offered_per_s >= to_per_s => None,
        Some(_) => Some((highest.offered_per_s * GROWTH).min(to_per_s).round()),
    }
}

/// Upper bound of the duration of all steps.
#[must_use]
pub fn longest(from_per_s: f64, to_per_s: f64, step: Duration) -> Duration {
    // The growth, one more, and the bisections of a gap of a half (or two, after an ignored step).
    let growing = (to_per_s / from_per_s).max(1.0).log(1.5).ceil() as u32 + 2;
    step * (growing + 6)
}

fn ascending(steps: &[Step]) -> Vec<Step> {
    let mut steps = steps.to_vec();
    steps.sort_by(|left, right| left.offered_per_s.total_cmp(&right.offered_per_s));
    steps
}

fn round_down(rate: f64) -> u32 {
    let unit = 10_f64.powf((rate.max(1.0).log10().floor() - 1.0).max(0.0));
    ((rate / unit).floor() * unit) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { follow_min: 0.95, latency_factor_max: 4.0, margin: 0.3 };

    fn step(offered_per_s: f64, committed_per_s: f64, p99_ms: f64) -> Step {
        Step { offered_per_s, committed_per_s, p50_ms: p99_ms / 2.0, p99_ms }
    }

    #[test]
    fn the_knee_is_the_last_sustained_rate() {
        type Case<'a> = (&'a str, &'a [(f64, f64, f64)], Option<(f64, Option<f64>, Option<Reason>, u32)>);
        let cases: [Case<'_>; 7] = [
            ("nothing", &[], None),
            ("too much from the start", &[(500.0, 300.0, 90.0)], None),
            ("never too much", &[(500.0, 500.0, 5.0), (1000.0, 999.0, 6.0)], Some((1000.0, None, None, 700))),
            (
                "falls behind",
                &[(500.0, 500.0, 5.0), (1000.0, 1000.0, 6.0), (2000.0, 1500.0, 8.0)],
                Some((1000.0, Some(2000.0), Some(Reason::FallsBehind), 700)),
            ),
            (
                "slow, twice",
                &[(500.0, 500.0, 5.0), (1000.0, 1000.0, 6.0), (2000.0, 2000.0, 40.0), (3000.0, 3000.0, 90.0)],
                Some((1000.0, Some(2000.0), Some(Reason::Slow), 700)),
            ),
            (
                "slow once is forgiven",
                &[(500.0, 500.0, 5.0), (1000.0, 1000.0, 90.0), (2000.0, 2000.0, 6.0), (3000.0, 2000.0, 9.0)],
                Some((2000.0, Some(3000.0), Some(Reason::FallsBehind), 1400)),
            ),
            (
                "in any order",
                &[(2000.0, 1500.0, 8.0), (1234.0, 1234.0, 6.0), (500.0, 500.0, 5.0)],
                Some((1234.0, Some(2000.0), Some(Reason::FallsBehind), 860)),
            ),
        ];
        for (name, steps, expected) in cases {
            let steps: Vec<_> =
                steps.iter().map(|(offered, done, p99)| step(*offered, *done, *p99)).collect();
            let found = find(&steps, LIMITS)
                .map(|knee| (knee.keeps_up_per_s, knee.too_much_per_s, knee.reason, knee.recommended_per_s));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn recommendations_are_round_and_lower() {
        for (rate, round) in [(9.9, 9), (99.0, 99), (101.0, 100), (1_987.0, 1_900), (34_999.0, 34_000)] {
            assert_eq!(round_down(rate), round, "{rate}");
        }
    }

    /// A database that sustains `capacity` orders a second, slower under higher load.
    fn simulated(capacity: f64, base_ms: f64, offered_per_s: f64) -> Step {
        let load = offered_per_s / capacity;
        let p99_ms = if load < 1.0 { base_ms / (1.0 - load) } else { base_ms * 1e3 };
        step(offered_per_s, offered_per_s.min(capacity), p99_ms)
    }

    proptest! {
        #[test]
        fn a_ramp_finds_the_sustained_rate(capacity in 800.0..200_000.0_f64, base_ms in 2.5..30.0_f64) {
            let (from, to) = (200.0, 100_000.0);
            let mut steps = Vec::new();
            while let Some(rate) = next_rate(&steps, from, to, LIMITS) {
                prop_assert!((from..=to).contains(&rate), "{}", rate);
                steps.push(simulated(capacity, base_ms, rate));
                prop_assert!(
                    Duration::from_secs(steps.len() as u64) <= longest(from, to, Duration::from_secs(1)),
                    "{:?}", steps
                );
            }
            let knee = find(&steps, LIMITS).expect("it keeps up with the first");
            // At three quarters of the capacity the latency is four times its base; the base is measured slightly
            // above idle.
            let top = (capacity * 0.88).min(to);
            prop_assert!(knee.keeps_up_per_s <= top && knee.keeps_up_per_s >= top * 0.7, "{:?}", knee);
            prop_assert!(f64::from(knee.recommended_per_s) <= knee.keeps_up_per_s * 0.7);
        }
    }
}
