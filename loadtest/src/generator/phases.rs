//! The requests of each phase that has expected ranges of its own.

use serde::{Deserialize, Serialize};

use super::end_counts::EndCounts;
use super::in_flight::{InFlight, LatencyKind, RequestEnd};
use super::latency::{CensoredLatency, histogram};
use crate::scenario::{Scenario, SendSchedule};

/// Added to the end of a phase, nanoseconds: its last request is due at the very end, up to rounding.
const ROUNDING_NS: u64 = 100;

/// Numbers of the planned requests by phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct PhasePlan {
    /// The first number after each phase.
    ends: Vec<u64>,
    is_judged: Vec<bool>,
}

/// The requests planned in one phase, with their retries.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PhaseRecord {
    pub(super) sent: u64,
    pub(super) ends: EndCounts,
    pub(super) latency: CensoredLatency<u64>,
}

/// One record for each judged phase of one thread or of several; empty before the first of them is merged.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct PhaseRecords(pub(super) Vec<Option<PhaseRecord>>);

impl PhasePlan {
    pub(crate) fn new(scenario: &Scenario, schedule: &SendSchedule) -> Self {
        let ends =
            scenario.phase_ends_s().map(|end_s| schedule.requests_before((end_s * 1e9) as u64 + ROUNDING_NS));
        Self {
            ends: ends.collect(),
            is_judged: scenario.phases.iter().map(|phase| !phase.expect.is_empty()).collect(),
        }
    }

    /// Allocates the records of a thread.
    pub(super) fn records(&self) -> PhaseRecords {
        let record = || PhaseRecord {
            sent: 0,
            ends: EndCounts::default(),
            latency: CensoredLatency::new(histogram(3)),
        };
        PhaseRecords(self.is_judged.iter().map(|is_judged| is_judged.then(record)).collect())
    }

    /// The record in `records` of the phase in which `flight`, or the request that it retries, was planned.
    pub(super) fn record<'a>(
        &self,
        records: &'a mut PhaseRecords,
        flight: &InFlight,
    ) -> Option<&'a mut PhaseRecord> {
        records.0.get_mut(self.phase_of(flight.spec.number))?.as_mut()
    }

    /// Index of the phase in which request `number` is planned.
    fn phase_of(&self, number: u64) -> usize {
        self.ends.partition_point(|end| *end <= number)
    }
}

impl PhaseRecords {
    pub(super) fn merge(&mut self, other: Self) -> anyhow::Result<()> {
        if self.0.is_empty() {
            *self = other;
            return Ok(());
        }
        for (record, other) in self.0.iter_mut().flatten().zip(other.0.into_iter().flatten()) {
            record.sent += other.sent;
            record.ends.add(&other.ends);
            record.latency.merge(&other.latency)?;
        }
        Ok(())
    }
}

impl PhaseRecord {
    pub(super) fn ended(&mut self, flight: &InFlight, end: RequestEnd, latency_us: u64) {
        self.ends.count(flight, end);
        match end.latency_kind(flight) {
            Some(LatencyKind::Accepted) => self.latency.record(latency_us, false),
            Some(LatencyKind::Censored) => self.latency.record(latency_us, true),
            Some(LatencyKind::Rejected) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{RatePhase, Spacing};

    #[test]
    fn a_request_is_planned_in_the_phase_of_its_due_time() {
        let rates = [
            RatePhase::Constant { rps: 100.0, seconds: 3.0 },
            RatePhase::Spike { base_rps: 10.0, peak_rps: 700.0, seconds: 0.7 },
            RatePhase::Exponential { from_rps: 900.0, to_rps: 3.0, seconds: 1.1 },
            RatePhase::Constant { rps: 1_000.0, seconds: 0.3 },
        ];
        let mut scenario = crate::scenario::load("baseline").expect("ships");
        scenario.phases = rates.map(Into::into).to_vec();
        for spacing in [Spacing::Even, Spacing::Poisson] {
            let schedule = SendSchedule::with_spacing(rates.map(|rate| (rate, spacing)), 3);
            let plan = PhasePlan::new(&scenario, &schedule);
            assert_eq!(plan.ends.last(), Some(&schedule.requests()));
            let (ends_s, mut counts) = ([0.0, 3.0, 3.7, 4.8, 5.1], [0; 4]);
            for number in 0..schedule.requests() {
                let (phase, due_s) = (plan.phase_of(number), schedule.due_ns(number) as f64 / 1e9);
                counts[phase] += 1;
                assert!(
                    due_s > ends_s[phase] - 1e-6 && due_s < ends_s[phase + 1] + 1e-6,
                    "{number} at {due_s} s"
                );
            }
            if spacing == Spacing::Even {
                assert_eq!((counts[0], counts[3]), (300, 300));
            }
        }
    }
}
