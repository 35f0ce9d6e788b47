use std::path::PathBuf;
use std::str::FromStr;

use super::sweep::SweepAxis;
use crate::plan::cost::PriceCurrency;
use crate::plan::span::Seconds;
use crate::quota_args::QuotaArgs;
use crate::scenario::Spacing;
use crate::scenario::{PHASE_SYNTAX, RatePhase};

/// Simulate a sale on Function Compute: fc-local's rules on a virtual clock, up to 10,000 instances and 1,000,000
/// requests a second.
///
/// An instance processes orders in turn on its CPU, then each order waits for the broker. Throttled requests are not
/// retried. Measurements and documents supply what the flags do not: see loadtest/docs/simulate.md.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SimulateArgs {
    /// A shipped scenario (see `loadtest scenarios`) or a TOML file; only its phases and seed are used
    #[arg(value_name = "SCENARIO", default_value = "flash-sale")]
    pub scenario: String,

    /// A phase that replaces the scenario's; may be repeated
    #[arg(long, value_name = "PHASE", help = format!("Phase that replaces the scenario's; may be repeated: {PHASE_SYNTAX}"))]
    pub phase: Vec<RatePhase>,

    /// Seed that replaces the scenario's
    #[arg(long)]
    pub seed: Option<u64>,

    /// Random arrivals (Poisson) instead of even ones
    #[arg(long)]
    pub poisson: bool,

    /// vCPUs of an instance
    #[arg(long, value_name = "VCPU", default_value_t = 0.25)]
    pub vcpu: f64,

    /// Memory of an instance, MB [default: the minimum for its vCPUs]
    #[arg(long, value_name = "MB")]
    pub memory_mb: Option<f64>,

    /// Concurrent requests of one instance
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub concurrency: u16,

    /// CPU of ingest-fn per order, microseconds [default: as measured]
    #[arg(long, value_name = "US")]
    pub us_per_order: Option<f64>,

    /// Median time to publish, milliseconds [default: assumed]
    #[arg(long, value_name = "MS")]
    pub publish_ms: Option<f64>,

    /// p99 of the time to publish, milliseconds; lognormal [default: the median, constant]
    #[arg(long, value_name = "MS")]
    pub publish_p99_ms: Option<f64>,

    /// Duration of a start: container (1.2 to 4.5 s), interpreted (120 to 250 ms), milliseconds, or a range MIN..MAX
    #[arg(long, value_name = "KIND", default_value = "container")]
    pub cold_start: ColdStartFlag,

    /// JSON file of fc-local, whose measured starts are used
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cold_start", "vpc"])]
    pub cold_starts_of: Option<PathBuf>,

    /// Add 0.5 to 1.5 s to each start, for a VPC
    #[arg(long)]
    pub vpc: bool,

    /// Time that gateway and platform add to each request, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    pub overhead_ms: f64,

    /// Time to thaw a frozen instance, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    pub thaw_ms: f64,

    /// Time to stop an instance, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100.0)]
    pub stop_ms: f64,

    #[command(flatten)]
    pub quota: QuotaArgs,

    /// Maximum instances, instead of the quota's
    #[arg(long, value_name = "COUNT")]
    pub instances_max: Option<u32>,

    /// Instances delivered at once, instead of the quota's
    #[arg(long, value_name = "COUNT")]
    pub burst: Option<u32>,

    /// Instances delivered in each minute after that, instead of the quota's
    #[arg(long, value_name = "COUNT")]
    pub per_min: Option<u32>,

    /// Ignore the quota on vCPUs and memory
    #[arg(long)]
    pub no_compute_quota: bool,

    /// Idle time until an instance stops, milliseconds [default: the platform's, one minute]
    #[arg(long, value_name = "MS")]
    pub idle_linger_ms: Option<u32>,

    /// Idle time until an instance is frozen, milliseconds [default: 100; the platform's is not documented]
    #[arg(long, value_name = "MS")]
    pub freeze_after_ms: Option<u32>,

    /// Never freeze
    #[arg(long, conflicts_with_all = ["freeze_after_ms", "freeze_provisioned"])]
    pub no_freeze: bool,

    /// Instances provisioned from before the jump until the sale ends
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub prewarm: u32,

    /// Lead time of the pre-warm before the jump, such as 10m
    #[arg(long, value_name = "TIME")]
    pub lead: Option<Seconds>,

    /// Provisioned instances lose their CPU while idle (always_allocate_cpu = false)
    #[arg(long)]
    pub freeze_provisioned: bool,

    /// Length of the jump's own measurement, such as 5s
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub window: Seconds,

    /// Interval of the timeline, milliseconds [default: a sixtieth of the sale, in steps of 100]
    #[arg(long, value_name = "MS")]
    pub interval_ms: Option<u32>,

    /// Compare every combination of settings: prewarm, lead, concurrency, vcpu, memory, or with values such as
    /// prewarm=0,10,20 or lead=10s,5m
    #[arg(long, value_name = "WHAT[=A,B,…]")]
    pub sweep: Vec<SweepAxis>,

    /// With --sweep: goal for the p99 latency, in the jump and in total, milliseconds [default: 50]
    #[arg(long, value_name = "MS", requires = "sweep")]
    pub p99_ms: Option<f64>,

    /// With --sweep: maximum share of throttled requests, 0 to 1
    #[arg(long, value_name = "SHARE", requires = "sweep", default_value_t = 0.0)]
    pub throttled_max: f64,

    /// With --sweep: seeds per setting; the worst one counts
    #[arg(long, value_name = "COUNT", requires = "sweep", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub seeds: u32,

    /// With --sweep: threads to use
    #[arg(long, value_name = "COUNT", requires = "sweep", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: u8,

    /// Currency of prices
    #[arg(long, value_enum, default_value = "usd")]
    pub currency: PriceCurrency,

    /// Also write the outcome or the sweep to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  loadtest simulate flash-sale --prewarm 15
  loadtest simulate flash-sale --sweep prewarm
  loadtest simulate flash-sale --sweep vcpu --sweep concurrency=20,50,100,200 --prewarm 15
  loadtest simulate --phase constant:1000000:5s --quota article --prewarm 10000

Exit codes: 0 simulated, 1 failed, or no setting of the sweep keeps the goal, 2 wrong flags (all named at once).";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColdStartFlag {
    Container,
    /// As published for interpreted runtimes.
    Interpreted,
    Between(f64, f64),
}

impl FromStr for ColdStartFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let number = text.parse::<f64>().ok().filter(|ms| ms.is_finite() && *ms >= 0.0);
            number.ok_or_else(|| "container, interpreted, milliseconds, or MIN..MAX".to_owned())
        };
        match text {
            "container" => Ok(Self::Container),
            "interpreted" => Ok(Self::Interpreted),
            _ => match text.split_once("..") {
                Some((min, max)) => Ok(Self::Between(number(min)?, number(max)?)),
                None => number(text).map(|ms| Self::Between(ms, ms)),
            },
        }
    }
}

impl SimulateArgs {
    pub fn spacing(&self) -> Spacing {
        if self.poisson { Spacing::Poisson } else { Spacing::Even }
    }
}
