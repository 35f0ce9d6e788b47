//! Many settings of one sale: the cheapest one that meets the goal.

use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::model::simulate;
use super::outcome::SimulationOutcome;
use super::setup::{Prewarm, SimulationSetup};
use crate::plan::facts::PlanFacts;
use crate::plan::sizing::{self, SaleLoad};
use crate::plan::span::Seconds;
use crate::scenario::SendSchedule;

const SETTINGS_MAX: usize = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepParameter {
    /// Instances provisioned from before the jump.
    Prewarm,
    /// Lead time before the jump, seconds.
    Lead,
    Concurrency,
    /// vCPUs of an instance, each with its minimum memory.
    Vcpu,
    /// Memory of an instance, MB, each with as many vCPUs as GB.
    Memory,
}

/// A parameter and its values; empty: values that suit the sale.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepAxis {
    pub dial: SweepParameter,
    pub values: Vec<f64>,
}

impl FromStr for SweepAxis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, values) = text.split_once('=').unwrap_or((text, ""));
        let dial = match name {
            "prewarm" => SweepParameter::Prewarm,
            "lead" => SweepParameter::Lead,
            "concurrency" => SweepParameter::Concurrency,
            "vcpu" => SweepParameter::Vcpu,
            "memory" => SweepParameter::Memory,
            _ => return Err("prewarm, lead, concurrency, vcpu or memory, with =A,B,… or without".to_owned()),
        };
        let value = |text: &str| match dial {
            SweepParameter::Lead => text.parse().map(|Seconds(seconds)| seconds),
            _ => match text.parse::<f64>() {
                Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
                _ => Err(format!("{text} is not a value of {name}")),
            },
        };
        let values =
            values.split(',').filter(|text| !text.is_empty()).map(value).collect::<Result<_, _>>()?;
        Ok(Self { dial, values })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepGoal {
    /// Number of seeds, from the setup's on: each must meet the goal.
    pub seeds: u32,
    /// p99 of the latency, in the jump and in total, milliseconds.
    pub p99_ms: f64,
    /// Maximum share of throttled requests, 0 to 1.
    pub throttled_max: f64,
}

impl SweepGoal {
    pub fn is_kept(&self, outcome: &SimulationOutcome) -> bool {
        let p99_us = self.p99_ms * 1_000.0;
        outcome.throttled_share() <= self.throttled_max
            && outcome.answered > 0
            && outcome.latency.p99_us as f64 <= p99_us
            && outcome.latency_of_jump.p99_us as f64 <= p99_us
    }
}

/// A setting and its outcome: the worst of its seeds, except the means of utilisation and cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    pub prewarm: u32,
    pub lead_s: f64,
    pub concurrency: u16,
    pub vcpu: f64,
    pub memory_mb: f64,
    /// p99 of all requests, microseconds.
    pub p99_us: u64,
    pub p99_of_jump_us: u64,
    pub throttled: u64,
    pub cold_starts: u64,
    pub instances_max: u32,
    /// Used share of the active instances' CPU, 0 to 1.
    pub utilisation: f64,
    pub cu: f64,
    pub usd: f64,
    pub cny: f64,
    pub keeps_goal: bool,
    /// True if the setting was not requested but added beside the best one.
    pub refined: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    pub goal: SweepGoal,
    pub dials: Vec<SweepParameter>,
    pub rows: Vec<SweepRow>,
    /// Index in `rows` of the cheapest setting that meets the goal.
    pub best: Option<usize>,
}

/// Simulates every combination of `axes` on `threads`, then searches the smallest sufficient pre-warm.
pub fn sweep(
    setup: &SimulationSetup,
    axes: &[SweepAxis],
    goal: SweepGoal,
    facts: &PlanFacts,
    threads: usize,
) -> anyhow::Result<Sweep> {
    let mut settings = vec![setup.clone()];
    for axis in axes {
        let values =
            if axis.values.is_empty() { usual(axis.dial, setup, facts) } else { axis.values.clone() };
        let mut varied = Vec::new();
        for setting in &settings {
            for value in &values {
                varied.push(turned(setting.clone(), axis.dial, *value, facts)?);
            }
        }
        settings = varied;
        anyhow::ensure!(settings.len() <= SETTINGS_MAX, "at most {SETTINGS_MAX} settings in one sweep");
    }
    anyhow::ensure!(goal.seeds >= 1, "at least one seed");
    for setting in &settings {
        setting.check()?;
    }
    let rows = run_all(&settings, goal, facts, threads)?;
    let mut sweep = Sweep { goal, dials: axes.iter().map(|axis| axis.dial).collect(), best: None, rows };
    sweep.choose();
    if sweep.dials.contains(&SweepParameter::Prewarm) {
        sweep.refine(&settings, facts)?;
    }
    Ok(sweep)
}

impl Sweep {
    /// Selects the cheapest setting that meets the goal; of equally cheap ones the smallest.
    fn choose(&mut self) {
        let kept = self.rows.iter().enumerate().filter(|(_, row)| row.keeps_goal);
        let best = kept
            .min_by(|(_, one), (_, other)| one.cu.total_cmp(&other.cu).then(one.prewarm.cmp(&other.prewarm)));
        self.best = best.map(|(place, _)| place);
    }

    /// Searches the smallest sufficient pre-warm near the best one.
    fn refine(&mut self, settings: &[SimulationSetup], facts: &PlanFacts) -> anyhow::Result<()> {
        let Some(place) = self.best else { return Ok(()) };
        let best = &self.rows[place];
        let setting = &settings[place];
        let like = |row: &SweepRow| (row.lead_s, row.concurrency, row.vcpu, row.memory_mb);
        let short =
            |row: &&SweepRow| like(row) == like(best) && row.prewarm < best.prewarm && !row.keeps_goal;
        let Some(mut below) = self.rows.iter().filter(short).map(|row| row.prewarm).max() else {
            return Ok(());
        };
        let kept =
            self.rows.iter().filter(|row| like(row) == like(best) && row.keeps_goal && row.prewarm > below);
        let mut enough = kept.map(|row| row.prewarm).min().unwrap_or(best.prewarm);
        while enough - below > 1 {
            let middle = below + (enough - below) / 2;
            let setting = turned(setting.clone(), SweepParameter::Prewarm, middle.into(), facts)?;
            let row = SweepRow { refined: true, ..SweepRow::of(&setting, self.goal, facts)? };
            if row.keeps_goal {
                enough = middle;
            } else {
                below = middle;
            }
            self.rows.push(row);
        }
        self.choose();
        Ok(())
    }
}

impl SweepRow {
    fn of(setup: &SimulationSetup, goal: SweepGoal, facts: &PlanFacts) -> anyhow::Result<Self> {
        let mut row = Self {
            prewarm: setup.prewarm.map_or(0, |prewarm| prewarm.target),
            lead_s: setup.prewarm.map_or(0.0, |prewarm| prewarm.lead_s),
            concurrency: setup.rules.concurrency,
            vcpu: setup.vcpu,
            memory_mb: setup.memory_mb,
            keeps_goal: true,
            ..Self::default()
        };
        let share = 1.0 / f64::from(goal.seeds);
        for luck in 0..goal.seeds {
            let setup = SimulationSetup { seed: setup.seed.wrapping_add(luck.into()), ..setup.clone() };
            let outcome = simulate(&setup, &facts.prices)?;
            row.p99_us = row.p99_us.max(outcome.latency.p99_us);
            row.p99_of_jump_us = row.p99_of_jump_us.max(outcome.latency_of_jump.p99_us);
            row.throttled = row.throttled.max(outcome.throttled);
            row.cold_starts = row.cold_starts.max(outcome.counts.started);
            row.instances_max = row.instances_max.max(outcome.instances_max);
            row.utilisation += outcome.cpu.utilisation * share;
            row.cu += outcome.cost.cu * share;
            row.usd += outcome.cost.usd * share;
            row.cny += outcome.cost.cny * share;
            row.keeps_goal &= goal.is_kept(&outcome);
        }
        Ok(row)
    }
}

fn run_all(
    settings: &[SimulationSetup],
    goal: SweepGoal,
    facts: &PlanFacts,
    threads: usize,
) -> anyhow::Result<Vec<SweepRow>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut rows = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(setting) = settings.get(place) else { return Ok(rows) };
            rows.push((place, SweepRow::of(setting, goal, facts)?));
        }
    };
    let done: anyhow::Result<Vec<Vec<(usize, SweepRow)>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.clamp(1, settings.len())).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a simulation panicked"))))
            .collect()
    });
    let mut rows: Vec<_> = done?.into_iter().flatten().collect();
    rows.sort_by_key(|(place, _)| *place);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn turned(
    mut setup: SimulationSetup,
    dial: SweepParameter,
    value: f64,
    facts: &PlanFacts,
) -> anyhow::Result<SimulationSetup> {
    let whole = || {
        anyhow::ensure!(
            value.fract() == 0.0 && value <= 100_000.0,
            "{dial:?}: {value} is not a whole number up to 100,000"
        );
        Ok(value as u32)
    };
    let default_lead_s = facts.specs.instance.lead_s.value;
    match dial {
        SweepParameter::Prewarm => {
            let lead_s = setup.prewarm.map_or(default_lead_s, |prewarm| prewarm.lead_s);
            // A pre-warm of 0 still has a lead, so that the two parameters can be set in any order.
            setup.prewarm = Some(Prewarm { target: whole()?, lead_s });
        }
        SweepParameter::Lead => {
            let target = setup.prewarm.map_or(0, |prewarm| prewarm.target);
            setup.prewarm = Some(Prewarm { target, lead_s: value });
        }
        SweepParameter::Concurrency => setup.rules.concurrency = u16::try_from(whole()?)?,
        SweepParameter::Vcpu => resize(&mut setup, value, None, facts)?,
        SweepParameter::Memory => {
            resize(&mut setup, (value / 1024.0 / 0.05).floor() * 0.05, Some(value), facts)?;
        }
    }
    Ok(setup)
}

fn resize(
    setup: &mut SimulationSetup,
    vcpu: f64,
    memory_mb: Option<f64>,
    facts: &PlanFacts,
) -> anyhow::Result<()> {
    let needed_mb = facts.measured.ingest.rss_mb.value;
    let Some(memory_mb) = sizing::size(&facts.specs.instance, vcpu, memory_mb, needed_mb) else {
        anyhow::bail!("{}", sizing::SIZES);
    };
    (setup.vcpu, setup.memory_mb) = (vcpu, memory_mb);
    if let Some(compute) = &mut setup.rules.compute {
        compute.instance_millivcpu = (vcpu * 1_000.0).round() as u32;
        compute.instance_mb = memory_mb as u32;
    }
    Ok(())
}

fn usual(dial: SweepParameter, setup: &SimulationSetup, facts: &PlanFacts) -> Vec<f64> {
    match dial {
        SweepParameter::Prewarm => {
            let load = SaleLoad {
                peak_rps: SendSchedule::new(&setup.phases).peak_rps(),
                publish_ms: setup.publish.p50_ms,
                us_per_order: setup.us_per_order,
                concurrency_max: setup.rules.concurrency.into(),
                headroom: facts.measured.assumed.headroom.value,
                p99_ms: facts.measured.assumed.p99_ms.value,
                order_bytes: facts.measured.ingest.order_bytes.value,
                orders_per_message: None,
            };
            let planned =
                load.at(setup.vcpu, setup.memory_mb, &facts.measured.coalescing, &facts.prices).instances;
            let mut values: Vec<_> = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0]
                .map(|share: f64| (share * planned).ceil())
                .to_vec();
            values.dedup();
            values
        }
        SweepParameter::Lead => vec![0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 60.0, 300.0, 600.0],
        SweepParameter::Concurrency => vec![1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 150.0, 200.0],
        SweepParameter::Vcpu => vec![0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1.0, 2.0, 4.0],
        SweepParameter::Memory => vec![128.0, 256.0, 384.0, 512.0, 768.0, 1024.0, 2048.0, 4096.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_parse_with_and_without_values() {
        assert_eq!("prewarm".parse(), Ok(SweepAxis { dial: SweepParameter::Prewarm, values: Vec::new() }));
        assert_eq!(
            "lead=500ms,10m".parse(),
            Ok(SweepAxis { dial: SweepParameter::Lead, values: vec![0.5, 600.0] })
        );
        assert_eq!(
            "vcpu=0.1,1".parse(),
            Ok(SweepAxis { dial: SweepParameter::Vcpu, values: vec![0.1, 1.0] })
        );
        for text in ["speed", "prewarm=x", "vcpu=-1", "lead=soon"] {
            assert!(text.parse::<SweepAxis>().is_err(), "{text}");
        }
    }
}
