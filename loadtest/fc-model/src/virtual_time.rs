//! The driver on a virtual clock.

use crate::event_queue::{EventQueue, InstanceEvent};
use crate::platform::{
    InstanceCounts, InstanceId, InstanceUsage, PlacementDecision, Platform, PlatformAction,
};
use crate::rules::{PlatformRules, RulesError};
use crate::{EventCounts, Nanos};

/// Supplies arrival times and service times to the driver. Instances are identified by [`InstanceId::index`].
pub trait InstanceModel {
    /// The time of the next request, ascending; `None` after the last one.
    fn next_arrival(&mut self) -> Option<Nanos>;

    fn start_duration(&mut self) -> Nanos;

    fn stop_duration(&self) -> Nanos;

    /// Serves a request that arrived at `arrived` and gets its slot at `now`; returns its end time.
    fn serve(&mut self, instance: u32, now: Nanos, arrived: Nanos) -> Nanos;

    /// The instance has started and serves requests from `now` on.
    fn ready(&mut self, instance: u32, now: Nanos);

    /// The instance thaws at `now`.
    fn thaw(&mut self, instance: u32, now: Nanos);

    fn arrived(&mut self, now: Nanos);

    fn throttled(&mut self, now: Nanos);

    fn done(&mut self, now: Nanos);

    /// The clock is about to advance to `now`; `counts` held until then.
    fn advance(&mut self, now: Nanos, counts: &InstanceCounts);

    /// The number of instances in some phase may have changed.
    fn counted(&mut self, counts: &InstanceCounts);
}

#[derive(Debug)]
pub struct VirtualDriver<M> {
    pub model: M,
    platform: Platform,
    events: EventQueue,
    /// By index.
    instances: Vec<InstanceId>,
    /// By index: arrival times of the requests that wait for the instance to start.
    waiting: Vec<Vec<Nanos>>,
    actions: Vec<PlatformAction>,
}

impl<M: InstanceModel> VirtualDriver<M> {
    /// # Errors
    /// If a rule is out of bounds.
    pub fn new(rules: &PlatformRules, model: M) -> Result<Self, RulesError> {
        Ok(Self {
            model,
            platform: Platform::new(rules)?,
            events: EventQueue::default(),
            instances: Vec::new(),
            waiting: Vec::new(),
            actions: Vec::new(),
        })
    }

    /// Runs until every request is done and no timer is left. At one instant events come before timers, timers before
    /// arrivals.
    pub fn run(&mut self) {
        let mut arrival = self.model.next_arrival();
        loop {
            let event_at = self.events.next_at();
            let timer_at = self.platform.next_timer().unwrap_or(Nanos::MAX);
            let arrival_at = arrival.unwrap_or(Nanos::MAX);
            let now = event_at.min(timer_at).min(arrival_at);
            if now == Nanos::MAX {
                return;
            }
            self.model.advance(now, self.platform.instance_counts());
            if event_at == now {
                self.event();
            } else if timer_at == now {
                self.tick(now);
            } else {
                self.arrive(now);
                arrival = self.model.next_arrival();
            }
        }
    }

    pub fn instance_counts(&self) -> &InstanceCounts {
        self.platform.instance_counts()
    }

    pub fn event_counts(&self) -> &EventCounts {
        self.platform.event_counts()
    }

    pub fn usage(&self, now: Nanos) -> InstanceUsage {
        self.platform.usage(now)
    }

    fn arrive(&mut self, now: Nanos) {
        self.model.arrived(now);
        match self.platform.arrive(now) {
            PlacementDecision::Assign(id) => self.serve(id.index() as u32, now, now),
            PlacementDecision::Thaw(id) => {
                let index = id.index() as u32;
                self.model.thaw(index, now);
                self.serve(index, now, now);
            }
            PlacementDecision::Start(id) => {
                self.start(id, now);
                self.waiting[id.index()].push(now);
            }
            PlacementDecision::Wait(id) => self.waiting[id.index()].push(now),
            PlacementDecision::Throttle(_) => {
                self.model.throttled(now);
                return;
            }
        }
        self.model.counted(self.platform.instance_counts());
    }

    fn serve(&mut self, index: u32, now: Nanos, arrived: Nanos) {
        let done = self.model.serve(index, now, arrived);
        self.events.push(done, InstanceEvent::Done(index));
    }

    fn start(&mut self, id: InstanceId, now: Nanos) {
        let index = id.index();
        if self.instances.len() <= index {
            self.instances.resize(index + 1, id);
            self.waiting.resize_with(index + 1, Vec::new);
        }
        self.instances[index] = id;
        let ready = now + self.model.start_duration();
        self.events.push(ready, InstanceEvent::Ready(index as u32));
    }

    fn event(&mut self) {
        let Some((now, event)) = self.events.pop() else { return };
        match event {
            InstanceEvent::Done(index) => {
                self.model.done(now);
                self.platform.request_done(now, self.instances[index as usize]);
            }
            InstanceEvent::Ready(index) => {
                self.platform.instance_ready(now, self.instances[index as usize]);
                self.model.ready(index, now);
                for arrived in std::mem::take(&mut self.waiting[index as usize]) {
                    self.serve(index, now, arrived);
                }
            }
            InstanceEvent::Gone(index) => self.platform.instance_gone(now, self.instances[index as usize]),
        }
    }

    fn tick(&mut self, now: Nanos) {
        let mut actions = std::mem::take(&mut self.actions);
        self.platform.tick(now, &mut actions);
        for action in actions.drain(..) {
            match action {
                PlatformAction::StartProvisioned(id) => self.start(id, now),
                PlatformAction::Freeze(_) => {}
                PlatformAction::Stop { instance, .. } => {
                    let gone = now + self.model.stop_duration();
                    self.events.push(gone, InstanceEvent::Gone(instance.index() as u32));
                }
            }
        }
        self.actions = actions;
        self.model.counted(self.platform.instance_counts());
    }
}
