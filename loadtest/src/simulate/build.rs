//! Builds a setup from flags and facts.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use shared::config::ConfigErrors;

use super::args::{ColdStartFlag, SimulateArgs};
use super::service::{ColdStarts, PublishLatency};
use super::setup::{Prewarm, SimulationSetup};
use crate::plan::facts::PlanFacts;
use crate::plan::sizing;
use crate::plan::span::Seconds;
use crate::scenario::{self, SendSchedule};
use fc_model::{DeliveryRate, PlatformRules, QuotaFacts, StartRange};

#[derive(Debug, Deserialize)]
struct MeasuredStarts {
    cold_starts: Vec<MeasuredStart>,
}

#[derive(Debug, Deserialize)]
struct MeasuredStart {
    ready_ms: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Wrong(#[from] ConfigErrors),
    #[error("{0:#}")]
    File(anyhow::Error),
}

impl SimulationSetup {
    /// Combines flags and facts and validates the result.
    ///
    /// # Errors
    ///
    /// If flags are inconsistent (all of them are listed), or a file cannot be read.
    pub fn from_flags(args: &SimulateArgs, facts: &PlanFacts) -> Result<Self, BuildError> {
        let mut errors = ConfigErrors::default();
        let scenario = scenario::load(&args.scenario).map_err(|error| BuildError::File(error.into()))?;
        let phases = if args.phase.is_empty() { scenario.rates() } else { args.phase.clone() };
        let needed_mb = facts.measured.ingest.rss_mb.value;
        let memory_mb = sizing::size(&facts.specs.instance, args.vcpu, args.memory_mb, needed_mb);
        errors.require(memory_mb.is_some(), sizing::SIZES);
        let memory_mb = memory_mb.unwrap_or(128.0);
        let quota = args.quota.select(&facts.platform).map_err(|error| errors.push(error)).ok();
        errors.require((0.0..=1.0).contains(&args.throttled_max), "--throttled-max is 0 to 1");
        let quota = quota.unwrap_or(&facts.platform.quotas[0]);
        let publish_ms = args.publish_ms.unwrap_or(facts.measured.assumed.publish_ms.value);
        let Seconds(lead_s) = args.lead.unwrap_or(Seconds(facts.specs.instance.lead_s.value));
        let Seconds(window_s) = args.window;
        errors.require(window_s <= 86_400.0, "--window is at most a day");
        let setup = Self {
            spacing: args.spacing(),
            seed: args.seed.unwrap_or(scenario.seed),
            rules: rules(args, facts, quota, memory_mb),
            prewarm: (args.prewarm > 0).then_some(Prewarm { target: args.prewarm, lead_s }),
            vcpu: args.vcpu,
            memory_mb,
            us_per_order: args.us_per_order.unwrap_or(facts.measured.ingest.us_per_order.value),
            publish: PublishLatency { p50_ms: publish_ms, p99_ms: args.publish_p99_ms.unwrap_or(publish_ms) },
            cold_starts: cold_starts(args, facts)?,
            overhead_ms: args.overhead_ms,
            thaw_ms: args.thaw_ms,
            stop_ms: args.stop_ms,
            interval: interval(args, &phases),
            window: Duration::from_secs_f64(window_s.min(86_400.0)),
            phases,
        };
        setup.check_into(&mut errors);
        errors.into_result()?;
        Ok(setup)
    }
}

fn rules(args: &SimulateArgs, facts: &PlanFacts, quota: &QuotaFacts, memory_mb: f64) -> PlatformRules {
    let mut rules = facts.platform.rules(quota, args.concurrency);
    let ms = |ms: u32| Duration::from_millis(ms.into());
    rules.instances_max = args.instances_max.unwrap_or(rules.instances_max);
    rules.delivery = DeliveryRate {
        burst: args.burst.unwrap_or(rules.delivery.burst),
        per_min: args.per_min.unwrap_or(rules.delivery.per_min),
    };
    if !args.no_compute_quota {
        rules.compute = quota.compute((args.vcpu * 1_000.0).round() as u32, memory_mb as u32);
    }
    rules.idle_linger = args.idle_linger_ms.map_or(rules.idle_linger, ms);
    rules.freeze_after_idle = match args.freeze_after_ms {
        _ if args.no_freeze => None,
        Some(after) => Some(ms(after)),
        None => rules.freeze_after_idle,
    };
    rules.provisioned_always_cpu = !args.freeze_provisioned;
    rules
}

fn cold_starts(args: &SimulateArgs, facts: &PlanFacts) -> Result<ColdStarts, BuildError> {
    if let Some(path) = &args.cold_starts_of {
        let read = || -> anyhow::Result<ColdStarts> {
            let json = fs::read(path)?;
            let measured: MeasuredStarts = serde_json::from_slice(&json)?;
            anyhow::ensure!(!measured.cold_starts.is_empty(), "the file has no cold starts");
            Ok(ColdStarts::Measured(measured.cold_starts.iter().map(|start| start.ready_ms).collect()))
        };
        return read().with_context(|| path.display().to_string()).map_err(BuildError::File);
    }
    let known = &facts.platform.cold_start;
    let of = |range: &StartRange| (f64::from(range.min_ms), f64::from(range.max_ms));
    let (min_ms, max_ms) = match args.cold_start {
        ColdStartFlag::Container => of(&known.container),
        ColdStartFlag::Interpreted => of(&known.interpreted),
        ColdStartFlag::Between(min_ms, max_ms) => (min_ms, max_ms),
    };
    let (vpc_min, vpc_max) = if args.vpc { of(&known.vpc) } else { (0.0, 0.0) };
    Ok(ColdStarts::Between { min_ms: min_ms + vpc_min, max_ms: max_ms + vpc_max })
}

fn interval(args: &SimulateArgs, phases: &[scenario::RatePhase]) -> Duration {
    let length_ms = || SendSchedule::new(phases).length().as_millis();
    let steps = || (length_ms() / 6_000).clamp(1, 36_000_000) as u64;
    args.interval_ms
        .map_or_else(|| Duration::from_millis(steps() * 100), |ms| Duration::from_millis(ms.into()))
}
