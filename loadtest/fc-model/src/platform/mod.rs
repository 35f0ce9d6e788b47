//! State changes by requests and instances.

mod bucket;
mod counts;
mod slots;
mod timers;

use bucket::TokenBucket;
use slots::{InstanceClass, InstanceSlot, InstanceSlots, SlotList, SlotState};

use crate::Nanos;
use crate::rules::{ComputeQuota, PlatformRules, RulesError, nanos};

pub use counts::{EventCounts, InstanceCounts, InstancePhase, InstanceUsage, PerPhase};
pub use slots::InstanceId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementDecision {
    Assign(InstanceId),
    /// To this instance, after the driver has thawed it.
    Thaw(InstanceId),
    /// To this instance, after the driver has started it and it is ready.
    Start(InstanceId),
    /// To this instance, which is starting, after it is ready.
    Wait(InstanceId),
    Throttle(ThrottleReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleReason {
    /// The instance quota is reached.
    Instances,
    Delivery,
    Compute,
}

/// Work for the driver that no request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformAction {
    StartProvisioned(InstanceId),
    Freeze(InstanceId),
    /// Stop an instance, then call [`Platform::instance_gone`].
    Stop {
        instance: InstanceId,
        frozen: bool,
    },
}

/// The platform's state. Time must not go backwards.
#[derive(Clone, Debug)]
pub struct Platform {
    concurrency: u16,
    instances_max: u32,
    compute: Option<(ComputeQuota, TokenBucket)>,
    delivery: TokenBucket,
    idle_linger: Nanos,
    freeze_after_idle: Option<Nanos>,
    provisioned_always_cpu: bool,
    /// The rest of [`PlatformRules`]' schedule; the next entry is last.
    schedule: Vec<(Nanos, u32)>,
    target: u32,
    /// The time of the next attempt to start provisioned instances.
    provision_at: Option<Nanos>,
    slots: InstanceSlots,
    instance_counts: InstanceCounts,
    event_counts: EventCounts,
    usage: InstanceUsage,
    used_until: Nanos,
}

impl Platform {
    pub fn new(rules: &PlatformRules) -> Result<Self, RulesError> {
        rules.check()?;
        let mut schedule = rules.schedule();
        schedule.reverse();
        Ok(Self {
            concurrency: rules.concurrency,
            instances_max: rules.instances_max,
            compute: rules.compute.map(|compute| (compute, TokenBucket::full(compute.delivery_milli()))),
            delivery: TokenBucket::full(rules.delivery),
            idle_linger: nanos(rules.idle_linger),
            freeze_after_idle: rules.freeze_after_idle.map(nanos),
            provisioned_always_cpu: rules.provisioned_always_cpu,
            schedule,
            target: 0,
            provision_at: None,
            slots: InstanceSlots::new(),
            instance_counts: InstanceCounts::default(),
            event_counts: EventCounts::default(),
            usage: InstanceUsage::default(),
            used_until: 0,
        })
    }

    pub const fn instance_counts(&self) -> &InstanceCounts {
        &self.instance_counts
    }

    pub const fn event_counts(&self) -> &EventCounts {
        &self.event_counts
    }

    /// Time of the instances in each phase, up to `now`.
    pub fn usage(&self, now: Nanos) -> InstanceUsage {
        let mut usage = self.usage;
        usage.add(&self.instance_counts, now.saturating_sub(self.used_until));
        usage
    }

    /// `None` after the instance is gone.
    pub fn phase_of(&self, instance: InstanceId) -> Option<InstancePhase> {
        let slot = self.slots.get(self.slots.find(instance)?);
        match slot.state {
            SlotState::Vacant => None,
            SlotState::Starting => Some(InstancePhase::Starting),
            SlotState::Ready if slot.requests > 0 => Some(InstancePhase::Active),
            SlotState::Ready => Some(InstancePhase::Idle),
            SlotState::Frozen => Some(InstancePhase::Frozen),
            SlotState::Stopping => Some(InstancePhase::Stopping),
        }
    }

    pub fn is_provisioned(&self, instance: InstanceId) -> bool {
        self.slots
            .find(instance)
            .is_some_and(|index| self.slots.get(index).class == InstanceClass::Provisioned)
    }

    /// Requests in flight on an instance or waiting for it; `None` after the instance is gone.
    pub fn requests_of(&self, instance: InstanceId) -> Option<u16> {
        self.slots.find(instance).map(|index| self.slots.get(index).requests)
    }

    pub fn arrive(&mut self, now: Nanos) -> PlacementDecision {
        self.event_counts.arrived += 1;
        if let Some(index) = self.slots.first_free() {
            let thaw = self.slots.get(index).state == SlotState::Frozen;
            self.change(now, index, |slot| {
                slot.state = SlotState::Ready;
                slot.requests += 1;
            });
            let id = self.slots.id(index);
            if thaw {
                self.event_counts.thawed += 1;
                return PlacementDecision::Thaw(id);
            }
            self.event_counts.assigned += 1;
            return PlacementDecision::Assign(id);
        }
        if let Some(index) = self.slots.head(SlotList::STARTING) {
            self.event_counts.waited += 1;
            self.change(now, index, |slot| slot.requests += 1);
            return PlacementDecision::Wait(self.slots.id(index));
        }
        match self.start(now, InstanceClass::OnDemand, 1) {
            Ok(id) => {
                self.event_counts.waited += 1;
                self.event_counts.started += 1;
                PlacementDecision::Start(id)
            }
            Err(why) => {
                *match why {
                    ThrottleReason::Instances => &mut self.event_counts.throttled_instances,
                    ThrottleReason::Delivery => &mut self.event_counts.throttled_delivery,
                    ThrottleReason::Compute => &mut self.event_counts.throttled_compute,
                } += 1;
                PlacementDecision::Throttle(why)
            }
        }
    }

    /// Records that a starting instance is ready. Returns the number of its waiting requests, which are in flight from
    /// now on.
    pub fn instance_ready(&mut self, now: Nanos, instance: InstanceId) -> u16 {
        let Some(index) = self.slots.find(instance) else { return 0 };
        if self.slots.get(index).state != SlotState::Starting {
            return 0;
        }
        self.change(now, index, |slot| {
            slot.state = SlotState::Ready;
            slot.idle_since = now;
        });
        self.release_if_surplus(now, index);
        self.slots.get(index).requests
    }

    /// Records that an instance failed to start or ended by itself. Returns the number of its requests, which are lost:
    /// do not call [`Self::request_done`] for them.
    pub fn instance_failed(&mut self, now: Nanos, instance: InstanceId) -> u16 {
        let Some(index) = self.slots.find(instance) else { return 0 };
        let lost = self.slots.get(index).requests;
        self.event_counts.lost += u64::from(lost);
        self.event_counts.failed += 1;
        self.remove(now, index);
        lost
    }

    /// Stops an instance in any phase on the driver's behalf. The instance accepts no more requests.
    pub fn retire(&mut self, now: Nanos, instance: InstanceId) {
        if let Some(index) = self.slots.find(instance)
            && self.slots.get(index).state != SlotState::Stopping
        {
            self.event_counts.stopped += 1;
            self.change(now, index, |slot| slot.state = SlotState::Stopping);
        }
    }

    /// Records that a stopping instance has ended.
    pub fn instance_gone(&mut self, now: Nanos, instance: InstanceId) {
        if let Some(index) = self.slots.find(instance) {
            self.event_counts.lost += u64::from(self.slots.get(index).requests);
            self.remove(now, index);
        }
    }

    /// Records a response, or that the client of a request, waiting or not, has disconnected. Does nothing if the
    /// instance is gone.
    pub fn request_done(&mut self, now: Nanos, instance: InstanceId) {
        let Some(index) = self.slots.find(instance) else { return };
        if self.slots.get(index).requests == 0 {
            debug_assert!(false, "a request ended twice");
            return;
        }
        self.event_counts.ended += 1;
        self.change(now, index, |slot| {
            slot.requests -= 1;
            slot.idle_since = now;
        });
        self.release_if_surplus(now, index);
    }

    fn start(
        &mut self,
        now: Nanos,
        class: InstanceClass,
        requests: u16,
    ) -> Result<InstanceId, ThrottleReason> {
        let total = self.instance_counts.total();
        if total >= self.instances_max {
            return Err(ThrottleReason::Instances);
        }
        if let Some((compute, delivery)) = &mut self.compute
            && (total >= compute.instances_max() || !delivery.has(now, compute.instance_millivcpu.into()))
        {
            return Err(ThrottleReason::Compute);
        }
        if !self.delivery.has(now, 1) {
            return Err(ThrottleReason::Delivery);
        }
        self.delivery.take(1);
        if let Some((compute, delivery)) = &mut self.compute {
            delivery.take(compute.instance_millivcpu.into());
        }
        let index = self.slots.occupy(class, requests);
        self.use_until(now);
        if let Some(place) = self.instance_counts.place(self.slots.get(index)) {
            *place += 1;
        }
        self.slots.place(index, self.concurrency);
        Ok(self.slots.id(index))
    }

    fn remove(&mut self, now: Nanos, index: u32) {
        self.change(now, index, |slot| slot.state = SlotState::Vacant);
        self.slots.vacate(index);
        if self.instance_counts.provisioned.total() < self.target {
            self.provision_at = Some(now);
        }
    }

    /// Changes an instance and updates list, counts and usage.
    fn change(&mut self, now: Nanos, index: u32, change: impl FnOnce(&mut InstanceSlot)) {
        let before = *self.slots.get(index);
        change(self.slots.get_mut(index));
        let after = *self.slots.get(index);
        if before.state != after.state
            || before.class != after.class
            || (before.requests == 0) != (after.requests == 0)
        {
            self.use_until(now);
            if let Some(place) = self.instance_counts.place(&before) {
                *place -= 1;
            }
            if let Some(place) = self.instance_counts.place(&after) {
                *place += 1;
            }
        }
        self.slots.place(index, self.concurrency);
    }

    fn use_until(&mut self, now: Nanos) {
        let passed = now.saturating_sub(self.used_until);
        if passed > 0 {
            self.usage.add(&self.instance_counts, passed);
            self.used_until = now;
        }
    }
}
