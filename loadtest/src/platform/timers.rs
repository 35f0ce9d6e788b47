//! What happens with time alone: freezing, stopping, provisioning.

use super::slots::{Class, List, State};
use super::{Action, Nanos, Platform, Throttle};

impl Platform {
    /// When [`tick`](Self::tick) is due; `None`: not before something else happens. May be in the past.
    #[must_use]
    pub fn next_timer(&self) -> Option<Nanos> {
        let since = |list| self.slots.tail(list).map(|index| self.slots.get(index).idle_since);
        let freeze = |class| Some(since(List::idle(class))?.saturating_add(self.freeze_after(class)?));
        let stop = |list| Some(since(list)?.saturating_add(self.idle_linger));
        let timers = [
            self.provision_at,
            self.schedule.last().map(|(at, _)| *at),
            freeze(Class::Provisioned),
            freeze(Class::OnDemand),
            stop(List::idle(Class::OnDemand)),
            stop(List::frozen(Class::OnDemand)),
        ];
        timers.into_iter().flatten().min()
    }

    /// Does what is due by `now` and appends what the driver is to do.
    pub fn tick(&mut self, now: Nanos, actions: &mut Vec<Action>) {
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
    fn retire_idle(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        // What is to be stopped need not be frozen first.
        for list in [List::frozen(Class::OnDemand), List::idle(Class::OnDemand)] {
            while let Some(index) = self.due(list, now, self.idle_linger) {
                let frozen = self.slots.get(index).state == State::Frozen;
                self.change(now, index, |slot| slot.state = State::Stopping);
                self.counts.stopped += 1;
                actions.push(Action::Stop { instance: self.slots.id(index), frozen });
            }
        }
        for class in [Class::OnDemand, Class::Provisioned] {
            let Some(after) = self.freeze_after(class) else { continue };
            while let Some(index) = self.due(List::idle(class), now, after) {
                self.change(now, index, |slot| slot.state = State::Frozen);
                self.counts.frozen += 1;
                actions.push(Action::Freeze(self.slots.id(index)));
            }
        }
    }

    /// The least recently used instance of `list`, if it has been idle for `after`.
    fn due(&self, list: List, now: Nanos, after: Nanos) -> Option<u32> {
        let oldest = self.slots.tail(list)?;
        (self.slots.get(oldest).idle_since.saturating_add(after) <= now).then_some(oldest)
    }

    fn freeze_after(&self, class: Class) -> Option<Nanos> {
        self.freeze_after_idle.filter(|_| class == Class::OnDemand || !self.provisioned_always_cpu)
    }

    /// Starts what is missing of the target, or notes when to try again.
    fn provision(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        self.provision_at = None;
        while self.census.provisioned.total() < self.target {
            match self.start(now, Class::Provisioned, 0) {
                Ok(id) => {
                    self.counts.started_provisioned += 1;
                    actions.push(Action::StartProvisioned(id));
                }
                Err(why) => {
                    self.provision_at = self.when_startable(why);
                    return;
                }
            }
        }
    }

    /// When the delivery will allow another start; `None`: not before an instance is gone, which says so itself.
    fn when_startable(&self, why: Throttle) -> Option<Nanos> {
        match (why, &self.compute) {
            (Throttle::Delivery, _) => self.delivery.when(1),
            (Throttle::Compute, Some((compute, delivery)))
                if self.census.total() < compute.instances_max() =>
            {
                delivery.when(compute.instance_millivcpu.into())
            }
            (Throttle::Compute | Throttle::Instances, _) => None,
        }
    }

    /// Lets go of provisioned instances beyond the target, those with least to do first. One that is full or
    /// starting is let go of once it no longer is.
    fn release_surplus(&mut self, now: Nanos) {
        let class = Class::Provisioned;
        for list in [List::frozen(class), List::idle(class), List::partial(class)] {
            while self.census.provisioned.total() > self.target
                && let Some(index) = self.slots.tail(list)
            {
                self.release_if_surplus(now, index);
            }
        }
    }

    pub(super) fn release_if_surplus(&mut self, now: Nanos, index: u32) {
        if self.slots.get(index).class == Class::Provisioned && self.census.provisioned.total() > self.target
        {
            // It lingers from now on, as if it had just been used.
            self.change(now, index, |slot| {
                slot.class = Class::OnDemand;
                slot.idle_since = now;
            });
        }
    }
}
