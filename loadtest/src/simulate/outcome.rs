//! What a simulation comes to. Units stand last in each name; what `fc-local` also tells has the same name there.

use serde::{Deserialize, Serialize};

use super::arrivals::Spacing;
use super::setup::Prewarm;
use crate::platform::{Census, Counts, Phases};
use crate::report::Quantiles;

/// Version of this shape.
pub const FORMAT: u32 = 1;

/// What a simulation comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// [`FORMAT`].
    pub format: u32,
    /// What was simulated.
    pub setup: Echo,
    /// Requests of the plan.
    pub planned: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests answered 429.
    pub throttled: u64,
    /// Requests without an answer when the simulation ended: none, or it ended too early.
    pub under_way_at_end: u64,
    /// From the simulation's beginning to the end of the sale's last request, milliseconds.
    pub uptime_ms: u64,
    /// Instances at the end.
    pub census: Census,
    /// Requests and instances by what became of them.
    pub counts: Counts,
    /// Time of all instances together in each phase, milliseconds: provisioned ones.
    pub provisioned_ms: Phases<u64>,
    /// The same: those started by requests.
    pub on_demand_ms: Phases<u64>,
    /// From a request's coming to its answer.
    pub latency: Quantiles,
    /// The same, of requests that came in the first seconds of the jump.
    pub latency_of_jump: Quantiles,
    /// When the rate jumps, since the sale's beginning, milliseconds.
    pub jump_at_ms: u64,
    /// The most instances at once.
    pub instances_max: u32,
    /// The most with a request under way at once.
    pub active_max: u32,
    /// CPU.
    pub cpu: Cpu,
    /// Little's law: both must agree.
    pub little: Little,
    /// What it costs.
    pub cost: Cost,
    /// Interval after interval of the sale.
    pub timeline: Vec<Moment>,
}

/// What was simulated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Echo {
    /// Phases of rate, as a flag writes them.
    pub phases: Vec<String>,
    /// How requests were spaced.
    pub spacing: Spacing,
    /// Seed.
    pub seed: u64,
    /// Requests at once in an instance.
    pub concurrency: u16,
    /// vCPUs of an instance.
    pub vcpu: f64,
    /// Its memory, MB.
    pub memory_mb: f64,
    /// CPU an order, microseconds.
    pub us_per_order: f64,
    /// Most instances.
    pub instances_quota: u32,
    /// Pre-warm.
    pub prewarm: Option<Prewarm>,
}

/// CPU of instances with at least one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Used, seconds.
    pub used_s: f64,
    /// There, seconds.
    pub given_s: f64,
    /// Used of what was there, 0 to 1.
    pub utilisation: f64,
}

/// Requests in the system over time against their latencies: L = λ·W, counted in two ways that share nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Little {
    /// Requests in the system, summed over time; request-seconds.
    pub under_way_s: f64,
    /// Latencies, summed; seconds.
    pub latency_s: f64,
}

/// What it costs on the managed service, list prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Calls, CU.
    pub invocations_cu: f64,
    /// Provisioned instances, CU.
    pub provisioned_cu: f64,
    /// Instances started by requests, CU.
    pub on_demand_cu: f64,
    /// All of it, CU.
    pub cu: f64,
    /// US dollar.
    pub usd: f64,
    /// Yuan.
    pub cny: f64,
}

/// An interval of the timeline: requests by when they came, instances at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Its beginning, since the sale's, milliseconds.
    pub at_ms: u64,
    /// Requests that came.
    pub planned: u64,
    /// Of these, answered, whenever that was.
    pub answered: u64,
    /// Of these, throttled.
    pub throttled: u64,
    /// Latency of those answered.
    pub p50_us: u64,
    /// The same.
    pub p99_us: u64,
    /// Instances starting.
    pub starting: u32,
    /// With a request.
    pub active: u32,
    /// Without one, with a processor.
    pub idle: u32,
    /// Without a processor.
    pub frozen: u32,
    /// Of all these, provisioned.
    pub provisioned: u32,
    /// All, stopping ones too.
    pub instances: u32,
}

impl Outcome {
    /// What must hold of every simulation, or the model is wrong.
    ///
    /// # Errors
    /// The law that is broken.
    pub fn check(&self) -> anyhow::Result<()> {
        let counts = &self.counts;
        anyhow::ensure!(
            self.planned == counts.arrived
                && counts.arrived == self.answered + self.throttled + self.under_way_at_end,
            "{} requests planned and {} came, but {} answered + {} throttled + {} under way",
            self.planned,
            counts.arrived,
            self.answered,
            self.throttled,
            self.under_way_at_end
        );
        anyhow::ensure!(
            counts.throttled() == self.throttled && self.latency.count == self.answered,
            "{} throttled, {} by the platform; {} latencies of {} answers",
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

    /// Share of requests that were throttled, 0 to 1.
    #[must_use]
    pub fn throttled_share(&self) -> f64 {
        self.throttled as f64 / (self.planned as f64).max(1.0)
    }
}
