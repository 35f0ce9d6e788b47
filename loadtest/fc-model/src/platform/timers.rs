//! State changes by time: freezing, stopping, provisioning.

use super::slots::{InstanceClass, SlotList, SlotState};
use super::{Platform, PlatformAction, ThrottleReason};
use crate::Nanos;

impl Platform {
    /// The time at which [`tick`](Self::tick) is due; may be in the past. `None`: not before another event.
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

    /// Runs the timers due by `now` and appends the driver's work to `actions`.
    pub fn tick(&mut self, now: Nanos, actions: &mut Vec<PlatformAction>) {
        // Released instances move to the front of the lists, so instances that were due before are handled first.
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

    /// Stops and freezes instances whose idle time has passed.
    fn retire_idle(&mut self, now: Nanos, actions: &mut Vec<PlatformAction>) {
        // An instance that must stop is not frozen first.
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

    /// Starts instances that the target lacks, or records the time of the next attempt.
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

    /// The time at which the delivery quota allows another start; `None`: only after an instance is gone.
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

    /// Releases provisioned instances beyond the target, those with the fewest requests first. Full and starting
    /// instances are released later.
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
            // A released instance lingers as if it had just been used.
            self.change(now, index, |slot| {
                slot.class = InstanceClass::OnDemand;
                slot.idle_since = now;
            });
        }
    }
}
