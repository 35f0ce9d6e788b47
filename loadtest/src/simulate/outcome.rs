//! The outcome of a simulation. Each name ends with its unit; fields that `fc-local` also reports have the same names.

use serde::{Deserialize, Serialize};

use super::setup::Prewarm;
use crate::report::Quantiles;
use crate::scenario::Spacing;
use fc_model::{EventCounts, InstanceCounts, PerPhase};

pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimulationOutcome {
    /// [`FORMAT`].
    pub format: u32,
    pub setup: SimulationInputs,
    pub planned: u64,
    pub answered: u64,
    pub throttled: u64,
    /// Requests without a response at the end of the simulation: 0, or it ended too early.
    pub under_way_at_end: u64,
    /// From the start of the simulation to the end of the sale's last request, milliseconds.
    pub uptime_ms: u64,
    pub instance_counts: InstanceCounts,
    /// Requests and instances by outcome.
    pub counts: EventCounts,
    /// Sum over the provisioned instances of the time in each phase, milliseconds.
    pub provisioned_ms: PerPhase<u64>,
    pub on_demand_ms: PerPhase<u64>,
    /// From arrival to response.
    pub latency: Quantiles,
    /// The latency of requests that arrived in the first seconds of the jump.
    pub latency_of_jump: Quantiles,
    pub jump_at_ms: u64,
    pub instances_max: u32,
    /// Maximum instances with a request in flight at one time.
    pub active_max: u32,
    pub cpu: CpuUse,
    pub little: Little,
    pub cost: SimulatedCost,
    pub timeline: Vec<TimelineSample>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimulationInputs {
    /// Phases of the rate, as flags write them.
    pub phases: Vec<String>,
    pub spacing: Spacing,
    pub seed: u64,
    pub concurrency: u16,
    pub vcpu: f64,
    pub memory_mb: f64,
    pub us_per_order: f64,
    pub instances_quota: u32,
    pub prewarm: Option<Prewarm>,
}

/// CPU of instances with at least one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuUse {
    pub used_s: f64,
    pub given_s: f64,
    /// Used share of the available CPU, 0 to 1.
    pub utilisation: f64,
}

/// Requests in the system over time against their latencies: L = λ·W, counted in two independent ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Little {
    /// Integral of the requests in the system; request-seconds.
    pub under_way_s: f64,
    pub latency_s: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SimulatedCost {
    pub invocations_cu: f64,
    pub provisioned_cu: f64,
    pub on_demand_cu: f64,
    pub cu: f64,
    pub usd: f64,
    pub cny: f64,
}

/// An interval of the timeline: requests by arrival, instances at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineSample {
    pub at_ms: u64,
    pub planned: u64,
    pub answered: u64,
    pub throttled: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub starting: u32,
    pub active: u32,
    pub idle: u32,
    pub frozen: u32,
    pub provisioned: u32,
    pub instances: u32,
}

impl SimulationOutcome {
    /// Checks the laws of every simulation.
    pub fn check(&self) -> anyhow::Result<()> {
        let counts = &self.counts;
        anyhow::ensure!(
            self.planned == counts.arrived
                && counts.arrived == self.answered + self.throttled + self.under_way_at_end,
            "{} requests planned, {} arrived, but {} responses + {} throttled + {} in flight",
            self.planned,
            counts.arrived,
            self.answered,
            self.throttled,
            self.under_way_at_end
        );
        anyhow::ensure!(
            counts.throttled() == self.throttled && self.latency.count == self.answered,
            "{} throttled, {} by the platform; {} latencies of {} responses",
            self.throttled,
            counts.throttled(),
            self.latency.count,
            self.answered
        );
        let Little { under_way_s, latency_s } = self.little;
        anyhow::ensure!(
            (under_way_s - latency_s).abs() <= 1e-6 * latency_s.max(1e-3),
            "Little's law: {under_way_s} request-seconds in the system, {latency_s} seconds of latency"
        );
        Ok(())
    }

    /// Share of throttled requests, 0 to 1.
    pub fn throttled_share(&self) -> f64 {
        self.throttled as f64 / (self.planned as f64).max(1.0)
    }
}
