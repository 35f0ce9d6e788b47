use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::config::ConfigErrors;

use super::service::{ColdStarts, PublishLatency};
use crate::scenario::Spacing;
use crate::scenario::{RatePhase, SendSchedule, check_phase};
use fc_model::{PlatformRules, ProvisionedWindow};

const REQUESTS_MAX: u64 = 2_000_000_000;

const INTERVALS_MAX: u64 = 3_600;

#[derive(Clone, Debug, PartialEq)]
pub struct SimulationSetup {
    pub phases: Vec<RatePhase>,
    pub spacing: Spacing,
    /// Seed of all random choices. Arrivals, publish waits and cold starts have streams of their own, so that settings
    /// are compared under the same randomness.
    pub seed: u64,
    /// The platform's rules; [`Self::prewarm`] is added to their provisioned windows.
    pub rules: PlatformRules,
    /// Instances provisioned from before the jump.
    pub prewarm: Option<Prewarm>,
    pub vcpu: f64,
    pub memory_mb: f64,
    /// CPU per order, microseconds of a whole vCPU.
    pub us_per_order: f64,
    pub publish: PublishLatency,
    pub cold_starts: ColdStarts,
    pub overhead_ms: f64,
    /// Time to thaw a frozen instance, milliseconds.
    pub thaw_ms: f64,
    pub stop_ms: f64,
    pub interval: Duration,
    pub window: Duration,
}

/// Instances provisioned from before the jump until the sale ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prewarm {
    pub target: u32,
    /// Lead time before the jump, seconds.
    pub lead_s: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SaleTimes {
    pub(super) sale: Duration,
    pub(super) jump: Duration,
    pub(super) end: Duration,
}

impl SimulationSetup {
    pub fn check(&self) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::default();
        self.check_into(&mut errors);
        errors.into_result()
    }

    pub(super) fn check_into(&self, errors: &mut ConfigErrors) {
        let faults_before = errors.len();
        errors.require(!self.phases.is_empty(), "phases: give at least one");
        for (number, phase) in (1..).zip(&self.phases) {
            check_phase(number, phase, errors);
        }
        if let Err(error) = self.rules.check() {
            errors.push(error);
        }
        let mut within = |name: &str, value: f64, least: f64, most: f64| {
            errors.require(
                (least..=most).contains(&value),
                format_args!("{name} is {value}; it must be {least} to {most}"),
            );
        };
        within("vcpu", self.vcpu, 0.001, 64.0);
        within("memory_mb", self.memory_mb, 1.0, 1e6);
        within("us_per_order", self.us_per_order, 0.001, 1e7);
        within("publish p50_ms", self.publish.p50_ms, 0.0, 60_000.0);
        within("publish p99_ms", self.publish.p99_ms, self.publish.p50_ms, 60_000.0);
        for (name, ms) in
            [("overhead_ms", self.overhead_ms), ("thaw_ms", self.thaw_ms), ("stop_ms", self.stop_ms)]
        {
            within(name, ms, 0.0, 600_000.0);
        }
        match &self.cold_starts {
            ColdStarts::Between { min_ms, max_ms } => {
                within("cold start", *min_ms, 0.0, 600_000.0);
                within("cold start", *max_ms, *min_ms, 600_000.0);
            }
            ColdStarts::Measured(times) => {
                within("measured cold starts", times.len() as f64, 1.0, 1e7);
                times.iter().for_each(|ms| within("cold start", *ms, 0.0, 600_000.0));
            }
        }
        if let Some(prewarm) = self.prewarm {
            within("prewarm lead_s", prewarm.lead_s, 0.0, 86_400.0);
        }
        errors.require(
            self.publish.p50_ms > 0.0 || self.publish.p99_ms == 0.0,
            "publish p50_ms must be above 0 where p99_ms is",
        );
        errors.require(!self.interval.is_zero(), "interval must be above 0");
        if errors.len() == faults_before {
            let schedule = SendSchedule::new(&self.phases);
            let requests = schedule.requests();
            errors.require(
                (1..=REQUESTS_MAX).contains(&requests),
                format_args!("phases: 1 to {REQUESTS_MAX} requests in all; these plan {requests}"),
            );
            let intervals = schedule.length().as_nanos() / self.interval.as_nanos();
            errors.require(
                intervals <= u128::from(INTERVALS_MAX),
                format_args!("interval: at most {INTERVALS_MAX} intervals; this gives {intervals}"),
            );
        }
    }

    pub(super) fn times(&self) -> SaleTimes {
        let jump = jump_of(&self.phases);
        let lead = self.prewarm.map_or(0.0, |prewarm| prewarm.lead_s);
        let sale = Duration::from_secs_f64(lead).saturating_sub(jump);
        SaleTimes { sale, jump: sale + jump, end: sale + SendSchedule::new(&self.phases).length() }
    }

    pub(super) fn rules_with_prewarm(&self) -> PlatformRules {
        let mut rules = self.rules.clone();
        if let Some(prewarm) = self.prewarm {
            let times = self.times();
            let from = times.jump.saturating_sub(Duration::from_secs_f64(prewarm.lead_s));
            rules.provisioned.push(ProvisionedWindow { target: prewarm.target, from, until: times.end });
        }
        rules
    }
}

/// The time of the jump: the start of the first phase in which the rate more than doubles, against the start of that
/// phase or of the sale; else the very start.
fn jump_of(phases: &[RatePhase]) -> Duration {
    let ends = |phase: &RatePhase| match *phase {
        RatePhase::Constant { rps, seconds } => (rps, rps, seconds),
        RatePhase::Linear { from_rps, to_rps, seconds }
        | RatePhase::Exponential { from_rps, to_rps, seconds } => (from_rps, to_rps, seconds),
        RatePhase::Spike { base_rps, peak_rps, seconds } => (base_rps, peak_rps, seconds),
    };
    let base = phases.first().map_or(0.0, |phase| ends(phase).0);
    let mut begins_s = 0.0;
    for phase in phases {
        let (from, to, seconds) = ends(phase);
        if from.max(to) > 2.0 * base {
            return Duration::from_secs_f64(begins_s);
        }
        begins_s += seconds;
    }
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jump_is_the_first_doubling_of_the_rate() {
        let phases = |list: &[&str]| -> Vec<RatePhase> {
            list.iter().map(|text| text.parse().expect("a phase")).collect()
        };
        for (list, jump_s) in [
            (vec!["constant:100:3s", "linear:100:50000:1s", "constant:50000:5s"], 3.0),
            (vec!["constant:100:3s", "constant:110:4s", "constant:50000:5s"], 7.0),
            (vec!["constant:100:3s", "spike:100:5000:2s"], 3.0),
            (vec!["constant:100:3s"], 0.0),
            (vec!["constant:0:3s", "constant:10:1s"], 3.0),
        ] {
            assert_eq!(jump_of(&phases(&list)), Duration::from_secs_f64(jump_s), "{list:?}");
        }
    }
}
