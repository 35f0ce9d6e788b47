//! The planned send time of each request, fixed in advance and independent of the server (an open model).

use std::time::Duration;

use super::RatePhase;

/// Planned send times. Request number n is due when the integral of the rate reaches n + 1.
///
/// Times are computed, not stored: a plan of a hundred million requests needs no memory.
#[derive(Clone, Debug, PartialEq)]
pub struct SendSchedule {
    segments: Vec<RateSegment>,
    requests: u64,
    length_s: f64,
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

impl SendSchedule {
    /// Spreads requests evenly under the rate curve.
    pub fn new(phases: &[RatePhase]) -> Self {
        let mut segments = Vec::with_capacity(phases.len());
        let (mut start_s, mut before) = (0.0, 0.0);
        for (curve, length_s) in phases.iter().flat_map(curves) {
            segments.push(RateSegment { curve, start_s, length_s, before });
            start_s += length_s;
            before += curve.integral(length_s);
        }
        // An integer that rounding has put slightly below itself is that integer.
        Self { segments, requests: (before + 1e-6).floor() as u64, length_s: start_s }
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
        self.at_ns(number as f64 + 1.0)
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
