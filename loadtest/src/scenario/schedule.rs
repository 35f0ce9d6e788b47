//! The planned send time of each request, fixed in advance and independent of the server (an open model).

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Exp1};

use super::{RatePhase, Scenario, Spacing};

/// Requests whose random steps are computed together.
const STEPS: u64 = 32;

/// Planned send times. Evenly spaced, request number n is due when the integral of the rate reaches n + 1; in a Poisson
/// process the integral grows by a random step with the mean 1 from request to request.
///
/// Times are computed, not stored: a plan of a hundred million requests needs no memory, or 8 bytes for each 32 random
/// steps.
#[derive(Clone, Debug, PartialEq)]
pub struct SendSchedule {
    segments: Vec<RateSegment>,
    /// At least one, the first one at number 0.
    spans: Vec<ArrivalSpan>,
    requests: u64,
    length_s: f64,
}

/// Phases in succession whose requests have one spacing.
#[derive(Clone, Debug, PartialEq)]
struct ArrivalSpan {
    /// Number of its first request.
    first: u64,
    /// The integral of the rate at its start.
    before: f64,
    /// `None`: even.
    random: Option<RandomSteps>,
}

/// The steps of a Poisson process, a function of seed, stream and number.
#[derive(Clone, Debug, PartialEq)]
struct RandomSteps {
    seed: u64,
    stream: u32,
    /// The sum of all steps before each [`STEPS`] requests.
    sums: Arc<[f64]>,
}

impl RandomSteps {
    /// Steps up to the sum `end`; returns their number too.
    fn until(end: f64, seed: u64, stream: u32) -> (Self, u64) {
        let (mut sums, mut sum) = (Vec::with_capacity((end / STEPS as f64 * 1.1) as usize), 0.0);
        loop {
            sums.push(sum);
            let mut block = Self::block(seed, stream, sums.len() as u64 - 1);
            for within in 0..STEPS {
                sum += Distribution::<f64>::sample(&Exp1, &mut block);
                if sum > end {
                    let count = (sums.len() as u64 - 1) * STEPS + within;
                    return (Self { seed, stream, sums: sums.into() }, count);
                }
            }
        }
    }

    fn block(seed: u64, stream: u32, block: u64) -> SmallRng {
        // Requests and their retries rotate the seed by other amounts.
        SmallRng::seed_from_u64(seed.rotate_left(48) ^ (u64::from(stream) << 32) ^ block)
    }

    /// The sum of all steps to request `number`.
    fn sum(&self, number: u64) -> f64 {
        let block = number / STEPS;
        let mut random = Self::block(self.seed, self.stream, block);
        let before = self.sums.get(block as usize).copied().unwrap_or(f64::INFINITY);
        let steps = Exp1.sample_iter(&mut random).take((number % STEPS) as usize + 1);
        steps.fold(before, |sum, step: f64| sum + step)
    }
}

/// A period whose rate is one formula.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RateSegment {
    curve: RateCurve,
    start_s: f64,
    length_s: f64,
    /// Requests before it, as a fraction, so that segments join without a gap.
    before: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum RateCurve {
    Linear { from: f64, slope: f64 },
    Exponential { from: f64, growth: f64 },
}

impl RateCurve {
    fn linear(from: f64, to: f64, length_s: f64) -> Self {
        Self::Linear { from, slope: (to - from) / length_s }
    }

    fn rate(self, t: f64) -> f64 {
        match self {
            Self::Linear { from, slope } => from + slope * t,
            Self::Exponential { from, growth } => from * (growth * t).exp(),
        }
    }

    fn integral(self, t: f64) -> f64 {
        match self {
            Self::Linear { from, slope } => (slope / 2.0 * t + from) * t,
            Self::Exponential { from, growth } if growth.abs() < 1e-9 => from * t,
            Self::Exponential { from, growth } => from / growth * (growth * t).exp_m1(),
        }
    }

    /// The seconds after which `count` requests were due: the inverted integral.
    fn time_of(self, count: f64) -> f64 {
        match self {
            Self::Linear { from, slope } if slope.abs() < 1e-9 => count / from,
            Self::Linear { from, slope } => {
                ((from * from + 2.0 * slope * count).max(0.0).sqrt() - from) / slope
            }
            Self::Exponential { from, growth } if growth.abs() < 1e-9 => count / from,
            Self::Exponential { from, growth } => (growth * count / from).ln_1p() / growth,
        }
    }
}

impl Scenario {
    /// The planned send times.
    pub fn schedule(&self) -> SendSchedule {
        let phases = self.phases.iter().map(|phase| (phase.rate, phase.arrivals.unwrap_or(self.arrivals)));
        SendSchedule::with_spacing(phases, self.seed)
    }
}

impl SendSchedule {
    /// Spreads requests evenly under the rate curve.
    pub fn new(phases: &[RatePhase]) -> Self {
        Self::with_spacing(phases.iter().map(|phase| (*phase, Spacing::Even)), 0)
    }

    /// Spreads the requests of each phase as its spacing demands. The same seed gives the same times.
    pub fn with_spacing(phases: impl IntoIterator<Item = (RatePhase, Spacing)>, seed: u64) -> Self {
        let mut segments = Vec::new();
        let mut bounds: Vec<(Spacing, f64)> = Vec::new();
        let (mut start_s, mut before) = (0.0, 0.0);
        for (phase, spacing) in phases {
            if bounds.last().is_none_or(|(last, _)| *last != spacing) {
                bounds.push((spacing, before));
            }
            for (curve, length_s) in curves(&phase) {
                segments.push(RateSegment { curve, start_s, length_s, before });
                start_s += length_s;
                before += curve.integral(length_s);
            }
        }
        let ends = bounds.iter().skip(1).map(|(_, next)| *next).chain([before]);
        let (mut spans, mut requests) = (Vec::with_capacity(bounds.len()), 0);
        for (stream, ((spacing, before), end)) in (0..).zip(bounds.iter().zip(ends)) {
            // An integer that rounding has put slightly below itself is that integer.
            let even = (end - before + 1e-6).floor();
            let (random, count) = match spacing {
                Spacing::Even => (None, even as u64),
                Spacing::Poisson => {
                    let (steps, count) = RandomSteps::until(even, seed, stream);
                    (Some(steps), count)
                }
            };
            spans.push(ArrivalSpan { first: requests, before: *before, random });
            requests += count;
        }
        Self { segments, spans, requests, length_s: start_s }
    }

    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// From the start to the end of the last phase.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.length_s)
    }

    /// The due time of request `number` (from 0), nanoseconds since the start; ascending in `number`.
    pub fn due_ns(&self, number: u64) -> u64 {
        let next = self.spans.partition_point(|span| span.first <= number);
        let Some(span) = self.spans.get(next.saturating_sub(1)) else { return 0 };
        let within = number - span.first;
        self.at_ns(span.before + span.random.as_ref().map_or(within as f64 + 1.0, |steps| steps.sum(within)))
    }

    /// Number of requests that are due before `time_ns`.
    pub fn requests_before(&self, time_ns: u64) -> u64 {
        let (mut from, mut until) = (0, self.requests);
        while from < until {
            let middle = from + (until - from) / 2;
            if self.due_ns(middle) < time_ns { from = middle + 1 } else { until = middle }
        }
        from
    }

    /// The time at which the integral of the rate reaches `count`, nanoseconds since the start; after all requests, the
    /// end.
    pub fn at_ns(&self, count: f64) -> u64 {
        let next = self.segments.partition_point(|segment| segment.before < count);
        let Some(segment) = self.segments.get(next.saturating_sub(1)) else { return 0 };
        let within = segment.curve.time_of(count - segment.before).clamp(0.0, segment.length_s);
        ((segment.start_s + within) * 1e9) as u64
    }

    pub fn peak_rps(&self) -> f64 {
        let ends = |segment: &RateSegment| segment.curve.rate(0.0).max(segment.curve.rate(segment.length_s));
        self.segments.iter().map(ends).fold(0.0, f64::max)
    }
}

/// A spike has two segments, every other phase one.
fn curves(phase: &RatePhase) -> impl Iterator<Item = (RateCurve, f64)> {
    let (first, second) = match *phase {
        RatePhase::Constant { rps, seconds } => ((RateCurve::linear(rps, rps, seconds), seconds), None),
        RatePhase::Linear { from_rps, to_rps, seconds } => {
            ((RateCurve::linear(from_rps, to_rps, seconds), seconds), None)
        }
        RatePhase::Exponential { from_rps, to_rps, seconds } => {
            let growth = (to_rps / from_rps).ln() / seconds;
            ((RateCurve::Exponential { from: from_rps, growth }, seconds), None)
        }
        RatePhase::Spike { base_rps, peak_rps, seconds } => {
            let half = seconds / 2.0;
            let up = (RateCurve::linear(base_rps, peak_rps, half), half);
            (up, Some((RateCurve::linear(peak_rps, base_rps, half), half)))
        }
    };
    std::iter::once(first).chain(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts_by_half_second(phases: &[RatePhase]) -> Vec<u64> {
        let schedule = SendSchedule::new(phases);
        let mut counts = vec![0; (schedule.length().as_secs_f64() * 2.0).ceil() as usize];
        let mut last = 0;
        for number in 0..schedule.requests() {
            let due = schedule.due_ns(number);
            assert!(due >= last, "request {number} is due before its predecessor");
            last = due;
            // The last request of a phase is due exactly at its end.
            let slot = (due.saturating_sub(1) / 500_000_000) as usize;
            counts[slot] += 1;
        }
        counts
    }

    #[test]
    fn each_shape_sends_its_integral() {
        let cases: [(&str, RatePhase, Vec<u64>); 4] = [
            ("constant", RatePhase::Constant { rps: 100.0, seconds: 2.0 }, vec![50, 50, 50, 50]),
            // 100·0.5 + 4900/8, and the rest of 2550.
            (
                "linear",
                RatePhase::Linear { from_rps: 100.0, to_rps: 5_000.0, seconds: 1.0 },
                vec![662, 1_888],
            ),
            // a/k·(e^(kt) − 1) with k = ln 100.
            (
                "exponential",
                RatePhase::Exponential { from_rps: 100.0, to_rps: 10_000.0, seconds: 1.0 },
                vec![195, 1_954],
            ),
            (
                "spike",
                RatePhase::Spike { base_rps: 0.0, peak_rps: 1_000.0, seconds: 2.0 },
                vec![125, 375, 375, 125],
            ),
        ];
        for (name, phase, expected) in cases {
            assert_eq!(counts_by_half_second(&[phase]), expected, "{name}");
        }
    }

    fn poisson(phases: &[RatePhase], seed: u64) -> SendSchedule {
        SendSchedule::with_spacing(phases.iter().map(|phase| (*phase, Spacing::Poisson)), seed)
    }

    #[test]
    fn each_phase_has_its_own_spacing() {
        let phase = RatePhase::Constant { rps: 1_000.0, seconds: 10.0 };
        let spacings = [Spacing::Even, Spacing::Poisson, Spacing::Even, Spacing::Poisson];
        let schedule = SendSchedule::with_spacing(spacings.map(|spacing| (phase, spacing)), 5);
        let times: Vec<_> = (0..schedule.requests()).map(|number| schedule.due_ns(number)).collect();
        assert!(times.is_sorted());
        let of_phase = |index: u64| -> Vec<u64> {
            // The last request of an even phase is due at its very end.
            let within = index * 10_000_000_000 + 1..=(index + 1) * 10_000_000_000;
            times.iter().copied().filter(|time| within.contains(time)).collect()
        };
        // The share of gaps that are longer than their mean: 1/e, with the standard error √(share · (1 − share) / 10,000).
        let (share, error) = ((-1.0_f64).exp(), 0.0049);
        for (index, spacing) in (0..).zip(spacings) {
            let times = of_phase(index);
            let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
            let long = gaps.filter(|gap| *gap > 1_010_000).count() as f64 / times.len() as f64;
            let (count, deviation) = (times.len() as f64 - 10_000.0, 100.0);
            match spacing {
                Spacing::Even => assert!(long == 0.0 && count.abs() <= 1.0, "{index}: {long} {count}"),
                Spacing::Poisson => {
                    assert!((long - share).abs() < 5.0 * error, "{index}: {long}");
                    assert!(count.abs() < 5.0 * deviation, "{index}: {count}");
                }
            }
        }
        assert_ne!(of_phase(1).len(), of_phase(3).len(), "phases do not repeat the steps of another one");
    }

    #[test]
    fn poisson_arrivals_have_the_dispersion_and_the_gaps_of_the_theory() {
        let phases = [RatePhase::Constant { rps: 1_000.0, seconds: 100.0 }];
        let schedule = poisson(&phases, 5);
        // The count of the whole has the variance of its mean.
        let total = schedule.requests() as f64;
        assert!((total - 100_000.0).abs() < 4.0 * 100_000_f64.sqrt(), "{total}");
        let times: Vec<_> = (0..schedule.requests()).map(|number| schedule.due_ns(number)).collect();
        assert!(times.is_sorted());
        let mut counts = vec![0.0; 1_000];
        for time in &times {
            counts[(*time / 100_000_000) as usize] += 1.0;
        }
        let mean = total / 1_000.0;
        let variance = counts.iter().map(|count: &f64| (count - mean).powi(2)).sum::<f64>() / 999.0;
        // The index of dispersion is 1, with the standard error √(2 / 999); of even arrivals it is 0.
        assert!((variance / mean - 1.0).abs() < 4.0 * (2.0_f64 / 999.0).sqrt(), "{}", variance / mean);
        // A share of 1/e of the gaps is longer than their mean.
        let long = times.windows(2).filter(|pair| pair[1] - pair[0] > 1_000_000).count() as f64 / total;
        let share = (-1.0_f64).exp();
        assert!((long - share).abs() < 4.0 * (share * (1.0 - share) / total).sqrt(), "{long}");
    }

    #[test]
    fn poisson_arrivals_follow_the_rate_and_from_seed_and_number_alone() {
        let phases = [RatePhase::Linear { from_rps: 0.0, to_rps: 20_000.0, seconds: 2.0 }];
        let schedule = |seed| poisson(&phases, seed);
        let one = schedule(5);
        // The integral of the first second is a quarter of the whole.
        let first = one.requests_before(1_000_000_000) as f64;
        assert!((first - 5_000.0).abs() < 4.0 * 5_000_f64.sqrt(), "{first}");
        let backwards: Vec<_> =
            (0..one.requests()).rev().map(|number| schedule(5).due_ns(number)).take(200).collect();
        let forwards: Vec<_> =
            (one.requests() - 200..one.requests()).map(|number| one.due_ns(number)).collect();
        assert!(backwards.iter().rev().eq(&forwards));
        assert_ne!(one.due_ns(100), schedule(6).due_ns(100));
    }

    #[test]
    fn phases_join_without_a_gap_or_a_duplicate() {
        let phases = [
            RatePhase::Constant { rps: 10.0, seconds: 0.55 },
            RatePhase::Constant { rps: 10.0, seconds: 0.45 },
            RatePhase::Exponential { from_rps: 10.0, to_rps: 10.0, seconds: 1.0 },
        ];
        let schedule = SendSchedule::new(&phases);
        assert_eq!(schedule.requests(), 20);
        for number in 1..20 {
            let gap = schedule.due_ns(number) - schedule.due_ns(number - 1);
            assert!((99_900_000..=100_100_000).contains(&gap), "{number}: {gap}");
        }
    }

    #[test]
    fn the_flash_sale_rises_from_100_to_50_000_in_a_second() {
        let phases = [
            RatePhase::Constant { rps: 100.0, seconds: 1.0 },
            RatePhase::Linear { from_rps: 100.0, to_rps: 50_000.0, seconds: 1.0 },
            RatePhase::Constant { rps: 50_000.0, seconds: 1.0 },
        ];
        let schedule = SendSchedule::new(&phases);
        assert_eq!(schedule.requests(), 100 + 25_050 + 50_000);
        assert!((schedule.peak_rps() - 50_000.0).abs() < 1e-6);
        assert_eq!(schedule.length(), Duration::from_secs(3));
        assert_eq!(SendSchedule::new(&[]).requests(), 0);
    }
}
