//! The simulation: the platform's rules on a made-up clock.

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::arrivals::Arrivals;
use super::bill;
use super::events::{Event, Events};
use super::outcome::{Cpu, Echo, FORMAT, Little, Outcome};
use super::recorder::Recorder;
use super::service::{ColdStarts, Cpus, PublishWait};
use super::setup::Setup;
use crate::generator::quantiles;
use crate::plan::cost::Prices;
use crate::platform::{Action, Decision, InstanceId, Nanos, Platform};
use crate::scenario::Schedule;

/// Streams of the seed.
const ARRIVALS: u64 = 1;
const PUBLISHES: u64 = 2;
const COLD_STARTS: u64 = 3;

/// Simulates until every request has its answer and every instance is gone.
///
/// # Errors
/// A setup that breaks a bound, or a law of [`Outcome::check`] that does not hold.
pub fn simulate(setup: &Setup, prices: &Prices) -> anyhow::Result<Outcome> {
    setup.check()?;
    let mut world = World::new(setup)?;
    world.run();
    let outcome = world.outcome(setup, prices);
    outcome.check()?;
    Ok(outcome)
}

#[derive(Debug)]
struct World {
    platform: Platform,
    arrivals: Arrivals,
    events: Events,
    cpus: Cpus,
    publish: PublishWait,
    cold_starts: ColdStarts,
    publishes: SmallRng,
    starts: SmallRng,
    thaw: Nanos,
    stop: Nanos,
    overhead: Nanos,
    /// By [`InstanceId::index`]: who is there.
    instances: Vec<InstanceId>,
    /// By index: when the requests came that wait for it to start.
    waiting: Vec<Vec<Nanos>>,
    actions: Vec<Action>,
    recorder: Recorder,
    planned: u64,
    answered: u64,
    throttled: u64,
    /// When the last request had its answer, and the sale was over.
    ended: Nanos,
}

impl World {
    fn new(setup: &Setup) -> anyhow::Result<Self> {
        let times = setup.times();
        let begins = u64::try_from(times.sale.as_nanos())?;
        let stream = |number: u64| setup.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number);
        let nanos = |ms: f64| (ms * 1e6) as Nanos;
        Ok(Self {
            platform: Platform::new(&setup.rules_with_prewarm())?,
            arrivals: Arrivals::new(Schedule::new(&setup.phases), setup.spacing, begins, stream(ARRIVALS)),
            events: Events::default(),
            cpus: Cpus::new(setup.vcpu, setup.us_per_order),
            publish: PublishWait::new(setup.publish),
            cold_starts: setup.cold_starts.clone(),
            publishes: SmallRng::seed_from_u64(stream(PUBLISHES)),
            starts: SmallRng::seed_from_u64(stream(COLD_STARTS)),
            thaw: nanos(setup.thaw_ms),
            stop: nanos(setup.stop_ms),
            overhead: nanos(setup.overhead_ms),
            instances: Vec::new(),
            waiting: Vec::new(),
            actions: Vec::new(),
            recorder: Recorder::new(
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

    fn run(&mut self) {
        let mut arrival = self.arrivals.next();
        loop {
            let event_at = self.events.next_at();
            let timer_at = self.platform.next_timer().unwrap_or(Nanos::MAX);
            let arrival_at = arrival.unwrap_or(Nanos::MAX);
            let now = event_at.min(timer_at).min(arrival_at);
            if now == Nanos::MAX {
                return;
            }
            if self.recorder.next() <= now {
                self.recorder.pass(now, self.platform.census());
            }
            if event_at == now {
                self.event();
            } else if timer_at == now {
                self.tick(now);
            } else {
                self.arrive(now);
                arrival = self.arrivals.next();
            }
        }
    }

    fn arrive(&mut self, now: Nanos) {
        self.planned += 1;
        self.recorder.arrived(now);
        match self.platform.arrive(now) {
            Decision::Assign(id) => self.admit(id.index() as u32, now, now),
            Decision::Thaw(id) => {
                let index = id.index() as u32;
                self.cpus.hold(index, now + self.thaw);
                self.admit(index, now, now);
            }
            Decision::Start(id) => {
                self.start(id, now);
                self.waiting[id.index()].push(now);
            }
            Decision::Wait(id) => self.waiting[id.index()].push(now),
            Decision::Throttle(_) => {
                self.throttled += 1;
                self.recorder.throttled(now);
                return;
            }
        }
        self.recorder.census(self.platform.census());
    }

    /// Has an instance work on a request that came at `arrived`. Its end is known at once: orders take their turn on
    /// the CPU, and nothing overtakes.
    fn admit(&mut self, index: u32, now: Nanos, arrived: Nanos) {
        let done = self.cpus.work(index, now) + self.publish.draw(&mut self.publishes);
        self.recorder.admitted(arrived, done, self.overhead);
        self.events.push(done, Event::Done(index));
    }

    fn start(&mut self, id: InstanceId, now: Nanos) {
        let index = id.index();
        if self.instances.len() <= index {
            self.instances.resize(index + 1, id);
            self.waiting.resize_with(index + 1, Vec::new);
        }
        self.instances[index] = id;
        let ready = now + self.cold_starts.draw(&mut self.starts);
        self.events.push(ready, Event::Ready(index as u32));
    }

    fn event(&mut self) {
        let Some((now, event)) = self.events.pop() else { return };
        match event {
            Event::Done(index) => {
                self.answered += 1;
                self.ended = self.ended.max(now);
                self.recorder.done(now);
                self.platform.request_done(now, self.instances[index as usize]);
            }
            Event::Ready(index) => {
                self.platform.instance_ready(now, self.instances[index as usize]);
                self.cpus.hold(index, now);
                for arrived in std::mem::take(&mut self.waiting[index as usize]) {
                    self.admit(index, now, arrived);
                }
            }
            Event::Gone(index) => self.platform.instance_gone(now, self.instances[index as usize]),
        }
    }

    fn tick(&mut self, now: Nanos) {
        let mut actions = std::mem::take(&mut self.actions);
        self.platform.tick(now, &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::StartProvisioned(id) => self.start(id, now),
                Action::Freeze(_) => {}
                Action::Stop { instance, .. } => {
                    self.events.push(now + self.stop, Event::Gone(instance.index() as u32));
                }
            }
        }
        self.actions = actions;
        self.recorder.census(self.platform.census());
    }

    fn outcome(self, setup: &Setup, prices: &Prices) -> Outcome {
        let usage = self.platform.usage(self.ended);
        let recorder = self.recorder;
        let used_s = recorder.admitted as f64 * setup.us_per_order / 1e6;
        let active_ns = usage.provisioned.active + usage.on_demand.active;
        let given_s = active_ns as f64 / 1e9 * setup.vcpu;
        let times = setup.times();
        Outcome {
            format: FORMAT,
            setup: Echo {
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
            planned: self.planned,
            answered: self.answered,
            throttled: self.throttled,
            under_way_at_end: recorder.under_way,
            uptime_ms: self.ended / 1_000_000,
            census: *self.platform.census(),
            counts: *self.platform.counts(),
            provisioned_ms: usage.provisioned.as_millis(),
            on_demand_ms: usage.on_demand.as_millis(),
            latency: quantiles(&recorder.latency),
            latency_of_jump: quantiles(&recorder.latency_of_jump),
            jump_at_ms: (times.jump - times.sale).as_millis() as u64,
            instances_max: recorder.instances_max,
            active_max: recorder.active_max,
            cpu: Cpu { used_s, given_s, utilisation: if given_s > 0.0 { used_s / given_s } else { 0.0 } },
            little: Little {
                under_way_s: recorder.under_way_area as f64 / 1e9,
                latency_s: recorder.latency_sum as f64 / 1e9,
            },
            cost: bill::bill(setup, prices, &usage, self.answered),
            timeline: recorder.timeline(),
        }
    }
}
