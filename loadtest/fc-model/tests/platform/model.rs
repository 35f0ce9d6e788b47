//! A second implementation of the same rules, written for clarity: every check scans everything.

use std::collections::BTreeMap;

use fc_model::Nanos;
use fc_model::{InstanceId, PlacementDecision, Platform, PlatformAction, PlatformRules, ThrottleReason};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelPhase {
    Starting,
    Ready,
    Frozen,
    Stopping,
}

impl From<fc_model::InstancePhase> for ModelPhase {
    fn from(phase: fc_model::InstancePhase) -> Self {
        match phase {
            fc_model::InstancePhase::Starting => Self::Starting,
            fc_model::InstancePhase::Active | fc_model::InstancePhase::Idle => Self::Ready,
            fc_model::InstancePhase::Frozen => Self::Frozen,
            fc_model::InstancePhase::Stopping => Self::Stopping,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ModelInstance {
    pub(super) phase: ModelPhase,
    pub(super) requests: u16,
    idle_since: Nanos,
    provisioned: bool,
}

/// A platform under test and the expected state.
pub(super) struct RuleModel {
    pub(super) platform: Platform,
    rules: PlatformRules,
    pub(super) now: Nanos,
    pub(super) instances: BTreeMap<InstanceId, ModelInstance>,
    starts: Vec<Nanos>,
    arrived: u64,
    throttled: u64,
    ended: u64,
    lost: u64,
}

fn nanos(duration: std::time::Duration) -> Nanos {
    duration.as_nanos() as Nanos
}

impl RuleModel {
    pub(super) fn new(rules: PlatformRules) -> Self {
        let platform = Platform::new(&rules).expect("rules");
        let instances = BTreeMap::new();
        Self {
            platform,
            rules,
            now: 0,
            instances,
            starts: Vec::new(),
            arrived: 0,
            throttled: 0,
            ended: 0,
            lost: 0,
        }
    }

    /// Instances in `phase` for which `which` is true, ordered by id.
    pub(super) fn some(&self, which: impl Fn(&ModelInstance) -> bool) -> Vec<InstanceId> {
        self.instances.iter().filter(|(_, instance)| which(instance)).map(|(id, _)| *id).collect()
    }

    fn started(&mut self, id: InstanceId, requests: u16, provisioned: bool) {
        let instance =
            ModelInstance { phase: ModelPhase::Starting, requests, idle_since: self.now, provisioned };
        assert!(self.instances.insert(id, instance).is_none(), "a name is never used again");
        self.starts.push(self.now);
    }

    pub(super) fn arrive(&mut self) {
        self.arrived += 1;
        let room = |instance: &ModelInstance| instance.requests < self.rules.concurrency;
        let free = self.some(|instance| {
            matches!(instance.phase, ModelPhase::Ready | ModelPhase::Frozen) && room(instance)
        });
        let starting = self.some(|instance| instance.phase == ModelPhase::Starting && room(instance));
        match self.platform.arrive(self.now) {
            PlacementDecision::Assign(id) => {
                assert!(free.contains(&id));
                assert_eq!(
                    self.instances[&id].phase,
                    ModelPhase::Ready,
                    "no request goes to a frozen instance"
                );
                self.take(id);
            }
            PlacementDecision::Thaw(id) => {
                assert!(free.contains(&id));
                assert_eq!(self.instances[&id].phase, ModelPhase::Frozen);
                self.take(id);
            }
            PlacementDecision::Wait(id) => {
                assert!(free.is_empty(), "nothing waits while an instance is free");
                assert!(starting.contains(&id));
                self.take(id);
            }
            PlacementDecision::Start(id) => {
                assert!(free.is_empty() && starting.is_empty(), "nothing is started while there is room");
                self.started(id, 1, false);
            }
            PlacementDecision::Throttle(why) => {
                assert!(free.is_empty() && starting.is_empty(), "nothing is throttled while there is room");
                let full = self.instances.len() >= self.rules.instances_max as usize;
                assert_eq!(why == ThrottleReason::Instances, full, "the reason is correct");
                self.throttled += 1;
            }
        }
    }

    fn take(&mut self, id: InstanceId) {
        let instance = self.instances.get_mut(&id).expect("known");
        if instance.phase == ModelPhase::Frozen {
            instance.phase = ModelPhase::Ready;
        }
        instance.requests += 1;
    }

    pub(super) fn ready(&mut self, id: InstanceId) {
        let now = self.now;
        let instance = self.instances.get_mut(&id).expect("known");
        instance.phase = ModelPhase::Ready;
        instance.idle_since = now;
        assert_eq!(
            self.platform.instance_ready(now, id),
            instance.requests,
            "waiting requests are in flight"
        );
    }

    pub(super) fn fail(&mut self, id: InstanceId) {
        let instance = self.instances.remove(&id).expect("known");
        self.lost += u64::from(instance.requests);
        assert_eq!(self.platform.instance_failed(self.now, id), instance.requests);
    }

    pub(super) fn done(&mut self, id: InstanceId) {
        let now = self.now;
        let instance = self.instances.get_mut(&id).expect("known");
        instance.requests -= 1;
        instance.idle_since = now;
        self.ended += 1;
        self.platform.request_done(now, id);
    }

    pub(super) fn gone(&mut self, id: InstanceId) {
        self.instances.remove(&id).expect("known");
        self.platform.instance_gone(self.now, id);
    }

    pub(super) fn tick(&mut self) {
        let mut actions = Vec::new();
        self.platform.tick(self.now, &mut actions);
        for action in actions {
            match action {
                PlatformAction::StartProvisioned(id) => self.started(id, 0, true),
                PlatformAction::Freeze(id) => {
                    let after = self.rules.freeze_after_idle.expect("freezing is on");
                    self.idle_for(id, ModelPhase::Ready, nanos(after));
                    let kept_busy = self.rules.provisioned_always_cpu && self.window_is_open();
                    assert!(!(self.instances[&id].provisioned && kept_busy), "its processor is kept");
                    self.instances.get_mut(&id).expect("known").phase = ModelPhase::Frozen;
                }
                PlatformAction::Stop { instance: id, frozen } => {
                    let phase = if frozen { ModelPhase::Frozen } else { ModelPhase::Ready };
                    self.idle_for(id, phase, nanos(self.rules.idle_linger));
                    assert!(!(self.instances[&id].provisioned && self.window_is_open()), "it is to be kept");
                    self.instances.get_mut(&id).expect("known").phase = ModelPhase::Stopping;
                }
            }
        }
        assert!(self.platform.next_timer().is_none_or(|at| at > self.now), "no timer is overdue");
        self.nothing_is_forgotten();
    }

    fn window_is_open(&self) -> bool {
        self.rules
            .provisioned
            .iter()
            .any(|window| (nanos(window.from)..nanos(window.until)).contains(&self.now))
    }

    fn idle_for(&self, id: InstanceId, phase: ModelPhase, least: Nanos) {
        let instance = self.instances[&id];
        assert_eq!((instance.phase, instance.requests), (phase, 0), "without requests, as recorded");
        assert!(self.now - instance.idle_since >= least, "not before its time");
    }

    /// After a tick no on-demand instance has been idle for longer than the rules allow.
    fn nothing_is_forgotten(&self) {
        // A released instance lingers anew, and may delay one that was frozen after it by the freeze time.
        let freeze = self.rules.freeze_after_idle.map_or(0, nanos);
        let linger = nanos(self.rules.idle_linger) + freeze;
        for instance in self.instances.values().filter(|instance| !instance.provisioned) {
            let idle =
                matches!(instance.phase, ModelPhase::Ready | ModelPhase::Frozen) && instance.requests == 0;
            assert!(!idle || self.now - instance.idle_since < linger.max(1), "{instance:?} at {}", self.now);
            let frozen_in_time = freeze == 0 || self.now - instance.idle_since < freeze;
            assert!(
                !idle
                    || instance.phase == ModelPhase::Frozen
                    || frozen_in_time
                    || self.rules.freeze_after_idle.is_none()
            );
        }
    }

    pub(super) fn check(&self) {
        let instances = self.platform.instance_counts();
        assert_eq!(instances.total() as usize, self.instances.len(), "nothing leaks");
        assert!(self.instances.len() <= self.rules.instances_max as usize, "the quota holds");
        let mut under_way = 0;
        for (id, instance) in &self.instances {
            assert!(instance.requests <= self.rules.concurrency, "the concurrency holds");
            assert!(
                instance.requests == 0 || matches!(instance.phase, ModelPhase::Starting | ModelPhase::Ready)
            );
            assert_eq!(self.platform.requests_of(*id), Some(instance.requests));
            assert_eq!(self.platform.phase_of(*id).map(ModelPhase::from), Some(instance.phase));
            under_way += u64::from(instance.requests);
        }
        let in_phase = |phase| self.some(|instance| instance.phase == phase).len() as u32;
        let both =
            |of: fn(&fc_model::PerPhase<u32>) -> u32| of(&instances.provisioned) + of(&instances.on_demand);
        assert_eq!(both(|phases| phases.starting), in_phase(ModelPhase::Starting));
        assert_eq!(both(|phases| phases.active + phases.idle), in_phase(ModelPhase::Ready));
        assert_eq!(both(|phases| phases.frozen), in_phase(ModelPhase::Frozen));
        assert_eq!(instances.stopping, in_phase(ModelPhase::Stopping));
        assert_eq!(
            self.arrived,
            self.throttled + self.ended + self.lost + under_way,
            "every request is somewhere"
        );
        let counts = self.platform.event_counts();
        assert_eq!(counts.arrived, counts.assigned + counts.thawed + counts.waited + counts.throttled());
        assert_eq!((counts.throttled(), counts.ended, counts.lost), (self.throttled, self.ended, self.lost));
    }

    /// No period has more starts than the burst and the minute's rate allow.
    pub(super) fn check_delivery(&self) {
        let delivery = self.rules.delivery;
        for (first, from) in self.starts.iter().enumerate() {
            for (count, until) in self.starts[first..].iter().enumerate() {
                let brought = u128::from(until - from) * u128::from(delivery.per_min) / 60_000_000_000;
                assert!((count as u128) < u128::from(delivery.burst) + brought, "{from} to {until}");
            }
        }
    }
}
