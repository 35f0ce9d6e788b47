//! What happens when a request or an instance comes or goes.

use super::bucket::Bucket;
use super::rules::nanos;
use super::slots::{Class, List, Slot, Slots, State};
use super::{Census, Compute, Counts, InstanceId, Nanos, Phase, Rules, RulesError, Usage};

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// To this instance, at once.
    Assign(InstanceId),
    /// To this instance, once the driver has thawed it.
    Thaw(InstanceId),
    /// To this instance, once the driver has started it and it is ready.
    Start(InstanceId),
    /// To this instance, which is being started, once it is ready.
    Wait(InstanceId),
    /// Nowhere: 429.
    Throttle(Throttle),
}

/// Why a request is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// There are as many instances as may be.
    Instances,
    /// Instances are delivered no faster.
    Delivery,
    /// The quota on processors and memory.
    Compute,
}

/// What the driver is to do without a request's asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start an instance to be kept.
    StartProvisioned(InstanceId),
    /// Take an instance's processor away.
    Freeze(InstanceId),
    /// Stop an instance, and say when it is [gone](Platform::instance_gone).
    Stop {
        /// Which.
        instance: InstanceId,
        /// Whether it must be thawed first.
        frozen: bool,
    },
}

/// The platform's state. Time must not run backwards.
#[derive(Clone, Debug)]
pub struct Platform {
    concurrency: u16,
    instances_max: u32,
    pub(super) compute: Option<(Compute, Bucket)>,
    pub(super) delivery: Bucket,
    pub(super) idle_linger: Nanos,
    pub(super) freeze_after_idle: Option<Nanos>,
    pub(super) provisioned_always_cpu: bool,
    /// What is still to come of [`Rules::schedule`], the next one last.
    pub(super) schedule: Vec<(Nanos, u32)>,
    pub(super) target: u32,
    /// When to look again whether provisioned instances can be started.
    pub(super) provision_at: Option<Nanos>,
    pub(super) slots: Slots,
    pub(super) census: Census,
    pub(super) counts: Counts,
    usage: Usage,
    /// Up to when `usage` counts.
    used_until: Nanos,
}

impl Platform {
    /// A platform without any instance.
    ///
    /// # Errors
    /// If the rules break a bound.
    pub fn new(rules: &Rules) -> Result<Self, RulesError> {
        rules.check()?;
        let mut schedule = rules.schedule();
        schedule.reverse();
        Ok(Self {
            concurrency: rules.concurrency,
            instances_max: rules.instances_max,
            compute: rules.compute.map(|compute| (compute, Bucket::full(compute.delivery_milli()))),
            delivery: Bucket::full(rules.delivery),
            idle_linger: nanos(rules.idle_linger),
            freeze_after_idle: rules.freeze_after_idle.map(nanos),
            provisioned_always_cpu: rules.provisioned_always_cpu,
            schedule,
            target: 0,
            provision_at: None,
            slots: Slots::new(),
            census: Census::default(),
            counts: Counts::default(),
            usage: Usage::default(),
            used_until: 0,
        })
    }

    /// Instances at this moment.
    #[must_use]
    pub const fn census(&self) -> &Census {
        &self.census
    }

    /// What has happened so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How long instances have been in each phase, up to `now`.
    #[must_use]
    pub fn usage(&self, now: Nanos) -> Usage {
        let mut usage = self.usage;
        usage.add(&self.census, now.saturating_sub(self.used_until));
        usage
    }

    /// What an instance is doing; `None` once it is gone.
    #[must_use]
    pub fn phase_of(&self, instance: InstanceId) -> Option<Phase> {
        let slot = self.slots.get(self.slots.find(instance)?);
        match slot.state {
            State::Vacant => None,
            State::Starting => Some(Phase::Starting),
            State::Ready if slot.requests > 0 => Some(Phase::Active),
            State::Ready => Some(Phase::Idle),
            State::Frozen => Some(Phase::Frozen),
            State::Stopping => Some(Phase::Stopping),
        }
    }

    /// Whether an instance is kept whatever the load.
    #[must_use]
    pub fn is_provisioned(&self, instance: InstanceId) -> bool {
        self.slots.find(instance).is_some_and(|index| self.slots.get(index).class == Class::Provisioned)
    }

    /// Requests under way on an instance, or waiting for it; `None` once it is gone.
    #[must_use]
    pub fn requests_of(&self, instance: InstanceId) -> Option<u16> {
        self.slots.find(instance).map(|index| self.slots.get(index).requests)
    }

    /// A request comes.
    pub fn arrive(&mut self, now: Nanos) -> Decision {
        self.counts.arrived += 1;
        if let Some(index) = self.slots.first_free() {
            let thaw = self.slots.get(index).state == State::Frozen;
            self.change(now, index, |slot| {
                slot.state = State::Ready;
                slot.requests += 1;
            });
            let id = self.slots.id(index);
            if thaw {
                self.counts.thawed += 1;
                return Decision::Thaw(id);
            }
            self.counts.assigned += 1;
            return Decision::Assign(id);
        }
        if let Some(index) = self.slots.head(List::STARTING) {
            self.counts.waited += 1;
            self.change(now, index, |slot| slot.requests += 1);
            return Decision::Wait(self.slots.id(index));
        }
        match self.start(now, Class::OnDemand, 1) {
            Ok(id) => {
                self.counts.waited += 1;
                self.counts.started += 1;
                Decision::Start(id)
            }
            Err(why) => {
                *match why {
                    Throttle::Instances => &mut self.counts.throttled_instances,
                    Throttle::Delivery => &mut self.counts.throttled_delivery,
                    Throttle::Compute => &mut self.counts.throttled_compute,
                } += 1;
                Decision::Throttle(why)
            }
        }
    }

    /// An instance that was being started is ready. The requests that waited for it, so many, are now under way.
    pub fn instance_ready(&mut self, now: Nanos, instance: InstanceId) -> u16 {
        let Some(index) = self.slots.find(instance) else { return 0 };
        if self.slots.get(index).state != State::Starting {
            return 0;
        }
        self.change(now, index, |slot| {
            slot.state = State::Ready;
            slot.idle_since = now;
        });
        self.release_if_surplus(now, index);
        self.slots.get(index).requests
    }

    /// An instance did not start, or died. Its requests, so many, are lost; their ends need not be told.
    pub fn instance_failed(&mut self, now: Nanos, instance: InstanceId) -> u16 {
        let Some(index) = self.slots.find(instance) else { return 0 };
        let lost = self.slots.get(index).requests;
        self.counts.lost += u64::from(lost);
        self.counts.failed += 1;
        self.remove(now, index);
        lost
    }

    /// The driver stops an instance by itself, whatever it is doing; it takes no more requests.
    pub fn retire(&mut self, now: Nanos, instance: InstanceId) {
        if let Some(index) = self.slots.find(instance)
            && self.slots.get(index).state != State::Stopping
        {
            self.counts.stopped += 1;
            self.change(now, index, |slot| slot.state = State::Stopping);
        }
    }

    /// An instance that was told to stop has ended.
    pub fn instance_gone(&mut self, now: Nanos, instance: InstanceId) {
        if let Some(index) = self.slots.find(instance) {
            self.counts.lost += u64::from(self.slots.get(index).requests);
            self.remove(now, index);
        }
    }

    /// A request has its answer, or its client has gone, waiting or not. Of an instance that is gone: nothing.
    pub fn request_done(&mut self, now: Nanos, instance: InstanceId) {
        let Some(index) = self.slots.find(instance) else { return };
        if self.slots.get(index).requests == 0 {
            debug_assert!(false, "a request ended twice");
            return;
        }
        self.counts.ended += 1;
        self.change(now, index, |slot| {
            slot.requests -= 1;
            slot.idle_since = now;
        });
        self.release_if_surplus(now, index);
    }

    pub(super) fn start(&mut self, now: Nanos, class: Class, requests: u16) -> Result<InstanceId, Throttle> {
        let total = self.census.total();
        if total >= self.instances_max {
            return Err(Throttle::Instances);
        }
        if let Some((compute, delivery)) = &mut self.compute
            && (total >= compute.instances_max() || !delivery.has(now, compute.instance_millivcpu.into()))
        {
            return Err(Throttle::Compute);
        }
        if !self.delivery.has(now, 1) {
            return Err(Throttle::Delivery);
        }
        self.delivery.take(1);
        if let Some((compute, delivery)) = &mut self.compute {
            delivery.take(compute.instance_millivcpu.into());
        }
        let index = self.slots.occupy(class, requests);
        self.use_until(now);
        if let Some(place) = self.census.place(self.slots.get(index)) {
            *place += 1;
        }
        self.slots.place(index, self.concurrency);
        Ok(self.slots.id(index))
    }

    fn remove(&mut self, now: Nanos, index: u32) {
        self.change(now, index, |slot| slot.state = State::Vacant);
        self.slots.vacate(index);
        if self.census.provisioned.total() < self.target {
            self.provision_at = Some(now);
        }
    }

    /// Changes an instance; list, census and usage follow.
    pub(super) fn change(&mut self, now: Nanos, index: u32, change: impl FnOnce(&mut Slot)) {
        let before = *self.slots.get(index);
        change(self.slots.get_mut(index));
        let after = *self.slots.get(index);
        if before.state != after.state
            || before.class != after.class
            || (before.requests == 0) != (after.requests == 0)
        {
            self.use_until(now);
            if let Some(place) = self.census.place(&before) {
                *place -= 1;
            }
            if let Some(place) = self.census.place(&after) {
                *place += 1;
            }
        }
        self.slots.place(index, self.concurrency);
    }

    fn use_until(&mut self, now: Nanos) {
        let passed = now.saturating_sub(self.used_until);
        if passed > 0 {
            self.usage.add(&self.census, passed);
            self.used_until = now;
        }
    }
}
