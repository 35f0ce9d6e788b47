//! Status and summary of a front. Each name ends with its unit.

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
    /// In flight, or waiting for the start.
    pub requests: u16,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrontSummary {
    pub uptime_ms: u64,
    pub instance_counts: InstanceCounts,
    pub counts: EventCounts,
    /// Sum over the provisioned instances of the time in each phase, milliseconds.
    pub provisioned_ms: PerPhase<u64>,
    pub on_demand_ms: PerPhase<u64>,
    /// The first 10,000 starts.
    pub cold_starts: Vec<ColdStartRecord>,
    /// Time from arrival to response of requests whose instance had to thaw.
    pub thaw_to_answer: ThawTimes,
    pub pre_stops: PreStops,
    /// Instances that did not end after SIGTERM.
    pub killed: u64,
    /// Responses of the front itself, by problem code.
    pub refused_by_code: BTreeMap<String, u64>,
    pub last_failure: Option<String>,
}

/// One start. Times count from the decision to start, except `initialize_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColdStartRecord {
    pub listening_ms: f64,
    /// Time until the instance responds, which is when it has reached its broker, milliseconds.
    pub answering_ms: f64,
    /// Duration of `POST /initialize`, milliseconds; `None`: not sent.
    pub initialize_ms: Option<f64>,
    /// Time until its first request, padding included, milliseconds.
    pub ready_ms: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThawTimes {
    pub count: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// Results of `GET /pre-stop`. An instance stops in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreStops {
    pub answered: u64,
    pub refused: u64,
    pub unanswered: u64,
}

impl ThawTimes {
    /// Records times up to a day; longer ones count as a day. An auto-resizing histogram would record them at the end
    /// of its current range.
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
    /// The median of `of` over the starts; `None` if there were none.
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
        line("  to a frozen instance", &counts.thawed)?;
        line("  to a starting instance", &counts.waited)?;
        line("  throttled (429): instances", &counts.throttled_instances)?;
        line("  throttled (429): delivery", &counts.throttled_delivery)?;
        line("  throttled (429): compute", &counts.throttled_compute)?;
        line("instances started by requests", &counts.started)?;
        line("instances started for provisioning", &counts.started_provisioned)?;
        line("  failed", &counts.failed)?;
        line("  stopped", &counts.stopped)?;
        line("  pre-stop accepted", &self.pre_stops.answered)?;
        line(
            "  pre-stop rejected or without response",
            &(self.pre_stops.refused + self.pre_stops.unanswered),
        )?;
        line("  killed after SIGTERM", &self.killed)?;
        line("freezes", &counts.frozen)?;
        let median = |of: fn(&ColdStartRecord) -> f64| {
            self.median_start_ms(of).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"))
        };
        line("start, median: listening, ms", &median(|start| start.listening_ms))?;
        line("start, median: responding, ms", &median(|start| start.answering_ms))?;
        line("start, median: with padding, ms", &median(|start| start.ready_ms))?;
        line("thaw to response, p50, us", &self.thaw_to_answer.p50_us)?;
        line("thaw to response, p99, us", &self.thaw_to_answer.p99_us)?;
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
            Some(failure) => writeln!(f, "Last failed instance: {failure}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_any_length_are_recorded_exactly() {
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
