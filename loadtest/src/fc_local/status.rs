//! What a front tells about itself. Units stand last in each name.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::driver::Driver;
use crate::platform::{Census, Counts, Phase, Phases, Usage};

/// A front at this moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Every instance.
    pub instances: Vec<InstanceStatus>,
    /// What has happened so far.
    pub summary: Summary,
}

/// An instance at this moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Its name in this run.
    pub number: u64,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// Where it listens, once that is known.
    pub address: Option<SocketAddr>,
    /// What it is doing.
    pub phase: Phase,
    /// Whether it is kept whatever the load.
    pub provisioned: bool,
    /// Requests under way, or waiting for it.
    pub requests: u16,
}

/// What has happened since the front was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Since the front was started, milliseconds.
    pub uptime_ms: u64,
    /// Instances at this moment.
    pub census: Census,
    /// Requests and instances so far.
    pub counts: Counts,
    /// Time of all instances together in each phase, milliseconds: provisioned ones.
    pub provisioned_ms: Phases<u64>,
    /// The same: those started by requests.
    pub on_demand_ms: Phases<u64>,
    /// Every start, at most the first 10,000.
    pub cold_starts: Vec<ColdStartRecord>,
    /// From a request's coming to its answer where its instance had to be thawed.
    pub thaw_to_answer: Times,
    /// How instances took their pre-stop.
    pub pre_stops: PreStops,
    /// Instances that did not end on SIGTERM.
    pub killed: u64,
    /// Answers of the front's own, by the problem's code.
    pub refused_by_code: BTreeMap<String, u64>,
    /// What the last instance that failed said.
    pub last_failure: Option<String>,
}

/// One start. All times from the decision to start, but for the initialisation's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColdStartRecord {
    /// Until the port takes connections, milliseconds.
    pub listening_ms: f64,
    /// Until it answers, which is when it has reached its broker, milliseconds.
    pub answering_ms: f64,
    /// How long its `POST /initialize` took, milliseconds; `None`: it is not asked.
    pub initialize_ms: Option<f64>,
    /// Until it gets its first request, padding included, milliseconds.
    pub ready_ms: f64,
}

/// A distribution of times, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// How many.
    pub count: u64,
    /// Median.
    pub p50_us: u64,
    /// 99 in 100 are not above it.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// How instances took their `GET /pre-stop`. None of this keeps an instance from being stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreStops {
    /// With 2xx.
    pub answered: u64,
    /// With another status.
    pub refused: u64,
    /// Not, or not in time.
    pub unanswered: u64,
}

impl Times {
    /// Takes times up to a day, longer ones as a day. One that grows as it needs would not do: it takes what is beyond
    /// its present range as the end of that range.
    pub(super) fn histogram() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
        Histogram::new_with_max(24 * 3_600 * 1_000_000, 3)
    }
}

impl From<&Histogram<u64>> for Times {
    fn from(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        }
    }
}

impl Driver {
    pub(super) fn summary(&self) -> Summary {
        let now = self.now();
        let refused_by_code = self.refusals.by_code();
        self.with(|state| {
            let Usage { provisioned, on_demand } = state.platform.usage(now);
            Summary {
                uptime_ms: now / 1_000_000,
                census: *state.platform.census(),
                counts: *state.platform.counts(),
                provisioned_ms: provisioned.as_millis(),
                on_demand_ms: on_demand.as_millis(),
                cold_starts: state.records.cold_starts.clone(),
                thaw_to_answer: Times::from(&state.records.thaw_to_answer_us),
                pre_stops: state.records.pre_stops,
                killed: state.records.killed,
                refused_by_code,
                last_failure: state.records.last_failure.clone(),
            }
        })
    }

    pub(super) fn status(&self) -> Status {
        let instances = self.with(|state| {
            let status = |instance: &std::sync::Arc<super::instance::Instance>| {
                Some(InstanceStatus {
                    number: instance.id.number(),
                    pid: instance.pid(),
                    address: instance.address(),
                    phase: state.platform.phase_of(instance.id)?,
                    provisioned: state.platform.is_provisioned(instance.id),
                    requests: state.platform.requests_of(instance.id)?,
                })
            };
            state.instances().filter_map(status).collect()
        });
        Status { instances, summary: self.summary() }
    }
}

impl Summary {
    /// The median of what `of` says about each start; `None` where there were none.
    #[must_use]
    pub fn median_start_ms(&self, of: impl Fn(&ColdStartRecord) -> f64) -> Option<f64> {
        let mut times: Vec<_> = self.cold_starts.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    }
}

impl std::fmt::Display for Summary {
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
        let of = |phases: &Phases<u64>, which: fn(&Phases<u64>) -> u64| which(phases) as f64 / 1_000.0;
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
        let mut histogram = Times::histogram().expect("within bounds");
        for micros in [800, 5_000, 70_000_000] {
            histogram.saturating_record(micros);
        }
        let times = Times::from(&histogram);
        let close = |told: u64, is: u64| told.abs_diff(is) <= is / 1_000;
        assert_eq!(times.count, 3);
        assert!(close(times.p50_us, 5_000) && close(times.max_us, 70_000_000), "{times:?}");
    }
}
