//! What happens with time alone: freezing, stopping, provisioning.

use super::slots::{InstanceClass, SlotList, SlotState};
use super::{Platform, PlatformAction, ThrottleReason};
use crate::Nanos;

impl Platform {
    /// When [`tick`](Self::tick) is due; `None`: not before something else happens. May be in the past.
    pub fn next_timer(&self) -> Option<Nanos> {
        let since = |list| self.slots.tail(list).map(|index| self.slots.get(index).idle_since);
        let freeze = |class| Some(since(SlotList::idle(class))?.saturating_add(self.freeze_after(class)?));
        let stop = |list| Some(since(list)?.saturating_add(self.idle_linger));
        let timers = [
            self.provision_at,
            self.schedule.last().map(|(at, _)| *at),
            freeze(InstanceClass::Provisioned),
            freeze(InstanceClass::OnDemand),
            stop(SlotList::idle(InstanceClass::OnDemand)),
            stop(SlotList::frozen(InstanceClass::OnDemand)),
        ];
        timers.into_iter().flatten().min()
    }

    /// Does what is due by `now` and appends what the driver is to do.
    pub fn tick(&mut self, now: Nanos, actions: &mut Vec<PlatformAction>) {
        // First what was due before instances are let go of: they go in front of it.
        self.retire_idle(now, actions);
        while let Some((_, target)) = self.schedule.pop_if(|(at, _)| *at <= now) {
            self.target = target;
            self.provision_at = Some(now);
            self.release_surplus(now);
            self.retire_idle(now, actions);
        }
        if self.provision_at.is_some_and(|at| at <= now) {
            self.provision(now, actions);
        }
    }

    /// Stops and freezes what has been idle for long enough.
    fn retire_idle(&mut self, now: Nanos, actions: &mut Vec<PlatformAction>) {
        // What is to be stopped need not be frozen first.
        for list in [SlotList::frozen(InstanceClass::OnDemand), SlotList::idle(InstanceClass::OnDemand)] {
            while let Some(index) = self.due(list, now, self.idle_linger) {
                let frozen = self.slots.get(index).state == SlotState::Frozen;
                self.change(now, index, |slot| slot.state = SlotState::Stopping);
                self.event_counts.stopped += 1;
                actions.push(PlatformAction::Stop { instance: self.slots.id(index), frozen });
            }
        }
        for class in [InstanceClass::OnDemand, InstanceClass::Provisioned] {
            let Some(after) = self.freeze_after(class) else { continue };
            while let Some(index) = self.due(SlotList::idle(class), now, after) {
                self.change(now, index, |slot| slot.state = SlotState::Frozen);
                self.event_counts.frozen += 1;
                actions.push(PlatformAction::Freeze(self.slots.id(index)));
            }
        }
    }

    /// The least recently used instance of `list`, if it has been idle for `after`.
    fn due(&self, list: SlotList, now: Nanos, after: Nanos) -> Option<u32> {
        let oldest = self.slots.tail(list)?;
        (self.slots.get(oldest).idle_since.saturating_add(after) <= now).then_some(oldest)
    }

    fn freeze_after(&self, class: InstanceClass) -> Option<Nanos> {
        self.freeze_after_idle.filter(|_| class == InstanceClass::OnDemand || !self.provisioned_always_cpu)
    }

    /// Starts what is missing of the target, or notes when to try again.
    fn provision(&mut self, now: Nanos, actions: &mut Vec<PlatformAction>) {
        self.provision_at = None;
        while self.instance_counts.provisioned.total() < self.target {
            match self.start(now, InstanceClass::Provisioned, 0) {
                Ok(id) => {
                    self.event_counts.started_provisioned += 1;
                    actions.push(PlatformAction::StartProvisioned(id));
                }
                Err(why) => {
                    self.provision_at = self.when_startable(why);
                    return;
                }
            }
        }
    }

    /// When the delivery will allow another start; `None`: not before an instance is gone, which says so itself.
    fn when_startable(&self, why: ThrottleReason) -> Option<Nanos> {
        match (why, &self.compute) {
            (ThrottleReason::Delivery, _) => self.delivery.when(1),
            (ThrottleReason::Compute, Some((compute, delivery)))
                if self.instance_counts.total() < compute.instances_max() =>
            {
                delivery.when(compute.instance_millivcpu.into())
            }
            (ThrottleReason::Compute | ThrottleReason::Instances, _) => None,
        }
    }

    /// Lets go of provisioned instances beyond the target, those with least to do first. One that is full or
    /// starting is let go of once it no longer is.
    fn release_surplus(&mut self, now: Nanos) {
        let class = InstanceClass::Provisioned;
        for list in [SlotList::frozen(class), SlotList::idle(class), SlotList::partial(class)] {
            while self.instance_counts.provisioned.total() > self.target
                && let Some(index) = self.slots.tail(list)
            {
                self.release_if_surplus(now, index);
            }
        }
    }

    pub(super) fn release_if_surplus(&mut self, now: Nanos, index: u32) {
        if self.slots.get(index).class == InstanceClass::Provisioned
            && self.instance_counts.provisioned.total() > self.target
        {
            // It lingers from now on, as if it had just been used.
            self.change(now, index, |slot| {
                slot.class = InstanceClass::OnDemand;
                slot.idle_since = now;
            });
        }
    }
}
