use fc_model::virtual_time::{InstanceModel, VirtualDriver};
use fc_model::{InstanceCounts, Nanos};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::arrivals::Arrivals;
use super::bill;
use super::outcome::{CpuUse, FORMAT, Little, SimulationInputs, SimulationOutcome};
use super::recorder::SimulationRecorder;
use super::service::{ColdStarts, InstanceCpus, PublishWait};
use super::setup::SimulationSetup;
use crate::generator::quantiles;
use crate::plan::cost::Prices;
use crate::scenario::SendSchedule;

/// Random streams of the seed.
const ARRIVALS: u64 = 1;
const PUBLISHES: u64 = 2;
const COLD_STARTS: u64 = 3;

/// Simulates until every request has a response and every instance has stopped.
///
/// # Errors
///
/// If the setup is out of bounds, or the result violates a law of [`SimulationOutcome::check`].
pub fn simulate(setup: &SimulationSetup, prices: &Prices) -> anyhow::Result<SimulationOutcome> {
    setup.check()?;
    let mut driver = VirtualDriver::new(&setup.rules_with_prewarm(), SaleModel::new(setup)?)?;
    driver.run();
    let outcome = outcome(driver, setup, prices);
    outcome.check()?;
    Ok(outcome)
}

#[derive(Debug)]
struct SaleModel {
    arrivals: Arrivals,
    cpus: InstanceCpus,
    publish: PublishWait,
    cold_starts: ColdStarts,
    publishes: SmallRng,
    starts: SmallRng,
    thaw: Nanos,
    stop: Nanos,
    overhead: Nanos,
    recorder: SimulationRecorder,
    planned: u64,
    answered: u64,
    throttled: u64,
    /// The time of the last response, at least the end of the sale.
    ended: Nanos,
}

impl SaleModel {
    fn new(setup: &SimulationSetup) -> anyhow::Result<Self> {
        let times = setup.times();
        let begins = u64::try_from(times.sale.as_nanos())?;
        let stream = |number: u64| setup.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number);
        let nanos = |ms: f64| (ms * 1e6) as Nanos;
        let schedule = SendSchedule::new(&setup.phases);
        Ok(Self {
            arrivals: Arrivals::new(schedule, setup.spacing, begins, stream(ARRIVALS)),
            cpus: InstanceCpus::new(setup.vcpu, setup.us_per_order),
            publish: PublishWait::new(setup.publish),
            cold_starts: setup.cold_starts.clone(),
            publishes: SmallRng::seed_from_u64(stream(PUBLISHES)),
            starts: SmallRng::seed_from_u64(stream(COLD_STARTS)),
            thaw: nanos(setup.thaw_ms),
            stop: nanos(setup.stop_ms),
            overhead: nanos(setup.overhead_ms),
            recorder: SimulationRecorder::new(
                times.sale,
                times.end,
                times.jump..times.jump + setup.window,
                setup.interval,
            ),
            planned: 0,
            answered: 0,
            throttled: 0,
            ended: u64::try_from(times.end.as_nanos())?,
        })
    }
}

impl InstanceModel for SaleModel {
    fn next_arrival(&mut self) -> Option<Nanos> {
        self.arrivals.next()
    }

    fn start_duration(&mut self) -> Nanos {
        self.cold_starts.draw(&mut self.starts)
    }

    fn stop_duration(&self) -> Nanos {
        self.stop
    }

    /// The response time is known immediately: orders take turns on the CPU, and none overtakes another.
    fn serve(&mut self, instance: u32, now: Nanos, arrived: Nanos) -> Nanos {
        let done = self.cpus.work(instance, now) + self.publish.draw(&mut self.publishes);
        self.recorder.admitted(arrived, done, self.overhead);
        done
    }

    fn ready(&mut self, instance: u32, now: Nanos) {
        self.cpus.hold(instance, now);
    }

    fn thaw(&mut self, instance: u32, now: Nanos) {
        self.cpus.hold(instance, now + self.thaw);
    }

    fn arrived(&mut self, now: Nanos) {
        self.planned += 1;
        self.recorder.arrived(now);
    }

    fn throttled(&mut self, now: Nanos) {
        self.throttled += 1;
        self.recorder.throttled(now);
    }

    fn done(&mut self, now: Nanos) {
        self.answered += 1;
        self.ended = self.ended.max(now);
        self.recorder.done(now);
    }

    fn advance(&mut self, now: Nanos, counts: &InstanceCounts) {
        if self.recorder.next() <= now {
            self.recorder.pass(now, counts);
        }
    }

    fn counted(&mut self, counts: &InstanceCounts) {
        self.recorder.counted(counts);
    }
}

fn outcome(driver: VirtualDriver<SaleModel>, setup: &SimulationSetup, prices: &Prices) -> SimulationOutcome {
    let usage = driver.usage(driver.model.ended);
    let (instance_counts, counts) = (*driver.instance_counts(), *driver.event_counts());
    let SaleModel { recorder, planned, answered, throttled, ended, .. } = driver.model;
    let used_s = recorder.admitted as f64 * setup.us_per_order / 1e6;
    let active_ns = usage.provisioned.active + usage.on_demand.active;
    let given_s = active_ns as f64 / 1e9 * setup.vcpu;
    let times = setup.times();
    SimulationOutcome {
        format: FORMAT,
        setup: SimulationInputs {
            phases: setup.phases.iter().map(ToString::to_string).collect(),
            spacing: setup.spacing,
            seed: setup.seed,
            concurrency: setup.rules.concurrency,
            vcpu: setup.vcpu,
            memory_mb: setup.memory_mb,
            us_per_order: setup.us_per_order,
            instances_quota: setup.rules.instances_max,
            prewarm: setup.prewarm,
        },
        planned,
        answered,
        throttled,
        under_way_at_end: recorder.under_way,
        uptime_ms: ended / 1_000_000,
        instance_counts,
        counts,
        provisioned_ms: usage.provisioned.as_millis(),
        on_demand_ms: usage.on_demand.as_millis(),
        latency: quantiles(&recorder.latency),
        latency_of_jump: quantiles(&recorder.latency_of_jump),
        jump_at_ms: (times.jump - times.sale).as_millis() as u64,
        instances_max: recorder.instances_max,
        active_max: recorder.active_max,
        cpu: CpuUse { used_s, given_s, utilisation: if given_s > 0.0 { used_s / given_s } else { 0.0 } },
        little: Little {
            under_way_s: recorder.under_way_area as f64 / 1e9,
            latency_s: recorder.latency_sum as f64 / 1e9,
        },
        cost: bill::bill(setup, prices, &usage, answered),
        timeline: recorder.timeline(),
    }
}
