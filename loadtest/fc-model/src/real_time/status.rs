//! What a front tells about itself. Units stand last in each name.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::platform::{EventCounts, InstanceCounts, InstancePhase, PerPhase};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrontStatus {
    pub instances: Vec<InstanceStatus>,
    pub summary: FrontSummary,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceStatus {
    pub number: u64,
    pub pid: Option<u32>,
    pub address: Option<SocketAddr>,
    pub phase: InstancePhase,
    pub provisioned: bool,
    /// Requests under way, or waiting for it.
    pub requests: u16,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrontSummary {
    pub uptime_ms: u64,
    pub instance_counts: InstanceCounts,
    pub counts: EventCounts,
    /// Time of all instances together in each phase, milliseconds: provisioned ones.
    pub provisioned_ms: PerPhase<u64>,
    pub on_demand_ms: PerPhase<u64>,
    /// Every start, at most the first 10,000.
    pub cold_starts: Vec<ColdStartRecord>,
    /// From a request's coming to its answer where its instance had to be thawed.
    pub thaw_to_answer: ThawTimes,
    pub pre_stops: PreStops,
    /// Instances that did not end on SIGTERM.
    pub killed: u64,
    /// Answers of the front's own, by the problem's code.
    pub refused_by_code: BTreeMap<String, u64>,
    pub last_failure: Option<String>,
}

/// One start. All times from the decision to start, but for the initialisation's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColdStartRecord {
    pub listening_ms: f64,
    /// Until it answers, which is when it has reached its broker, milliseconds.
    pub answering_ms: f64,
    /// How long its `POST /initialize` took, milliseconds; `None`: it is not asked.
    pub initialize_ms: Option<f64>,
    /// Until it gets its first request, padding included, milliseconds.
    pub ready_ms: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThawTimes {
    pub count: u64,
    pub p50_us: u64,
    /// 99 in 100 are not above it.
    pub p99_us: u64,
    pub max_us: u64,
}

/// How instances took their `GET /pre-stop`. None of this keeps an instance from being stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreStops {
    pub answered: u64,
    pub refused: u64,
    pub unanswered: u64,
}

impl ThawTimes {
    /// Takes times up to a day, longer ones as a day. One that grows as it needs would not do: it takes what is beyond
    /// its present range as the end of that range.
    pub(super) fn histogram() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
        Histogram::new_with_max(24 * 3_600 * 1_000_000, 3)
    }
}

impl From<&Histogram<u64>> for ThawTimes {
    fn from(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        }
    }
}

impl FrontSummary {
    /// The median of what `of` says about each start; `None` where there were none.
    pub fn median_start_ms(&self, of: impl Fn(&ColdStartRecord) -> f64) -> Option<f64> {
        let mut times: Vec<_> = self.cold_starts.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    }
}

impl std::fmt::Display for FrontSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = &self.counts;
        let mut line = |name: &str, value: &dyn std::fmt::Display| writeln!(f, "  {name:<40} {value:>12}");
        line("requests", &counts.arrived)?;
        line("  to a ready instance", &counts.assigned)?;
        line("  to one that had to be thawed", &counts.thawed)?;
        line("  that waited for a start", &counts.waited)?;
        line("  throttled (429): instances", &counts.throttled_instances)?;
        line("  throttled (429): delivery", &counts.throttled_delivery)?;
        line("  throttled (429): compute", &counts.throttled_compute)?;
        line("instances started by requests", &counts.started)?;
        line("instances started to be kept", &counts.started_provisioned)?;
        line("  failed", &counts.failed)?;
        line("  stopped", &counts.stopped)?;
        line("  pre-stop answered", &self.pre_stops.answered)?;
        line("  pre-stop refused or unanswered", &(self.pre_stops.refused + self.pre_stops.unanswered))?;
        line("  killed after SIGTERM", &self.killed)?;
        line("freezes", &counts.frozen)?;
        let median = |of: fn(&ColdStartRecord) -> f64| {
            self.median_start_ms(of).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"))
        };
        line("start, median: listening, ms", &median(|start| start.listening_ms))?;
        line("start, median: answering, ms", &median(|start| start.answering_ms))?;
        line("start, median: with padding, ms", &median(|start| start.ready_ms))?;
        line("thaw to answer, p50, us", &self.thaw_to_answer.p50_us)?;
        line("thaw to answer, p99, us", &self.thaw_to_answer.p99_us)?;
        for (code, count) in &self.refused_by_code {
            line(&format!("answered {code}"), count)?;
        }
        let of = |phases: &PerPhase<u64>, which: fn(&PerPhase<u64>) -> u64| which(phases) as f64 / 1_000.0;
        let both = |which| format!("{:.1}", of(&self.provisioned_ms, which) + of(&self.on_demand_ms, which));
        line("instance-seconds: starting", &both(|phases| phases.starting))?;
        line("instance-seconds: active", &both(|phases| phases.active))?;
        line("instance-seconds: idle", &both(|phases| phases.idle))?;
        line("instance-seconds: frozen", &both(|phases| phases.frozen))?;
        match &self.last_failure {
            Some(failure) => writeln!(f, "The last instance that failed: {failure}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_any_length_are_told_as_they_are() {
        let mut histogram = ThawTimes::histogram().expect("within bounds");
        for micros in [800, 5_000, 70_000_000] {
            histogram.saturating_record(micros);
        }
        let times = ThawTimes::from(&histogram);
        let close = |told: u64, is: u64| told.abs_diff(is) <= is / 1_000;
        assert_eq!(times.count, 3);
        assert!(close(times.p50_us, 5_000) && close(times.max_us, 70_000_000), "{times:?}");
    }
}
