//! How many instances are in which phase, for how long, and what has happened.

use serde::{Deserialize, Serialize};

use super::slots::{InstanceClass, InstanceSlot, SlotState};
use crate::Nanos;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstancePhase {
    Starting,
    /// It has at least one request.
    Active,
    Idle,
    Frozen,
    Stopping,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerPhase<T> {
    pub starting: T,
    /// With at least one request.
    pub active: T,
    pub idle: T,
    pub frozen: T,
}

impl PerPhase<u128> {
    pub fn as_millis(&self) -> PerPhase<u64> {
        let of = |nanos: u128| u64::try_from(nanos / 1_000_000).unwrap_or(u64::MAX);
        PerPhase {
            starting: of(self.starting),
            active: of(self.active),
            idle: of(self.idle),
            frozen: of(self.frozen),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceCounts {
    pub provisioned: PerPhase<u32>,
    pub on_demand: PerPhase<u32>,
    /// On their way out, of either kind.
    pub stopping: u32,
}

/// How long instances were in each phase, all together, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceUsage {
    pub provisioned: PerPhase<u128>,
    pub on_demand: PerPhase<u128>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCounts {
    pub arrived: u64,
    pub assigned: u64,
    /// Of these, given to one that had to be thawed.
    pub thawed: u64,
    /// Of these, made to wait for an instance to start.
    pub waited: u64,
    /// Of these, throttled because there are as many instances as may be.
    pub throttled_instances: u64,
    pub throttled_delivery: u64,
    /// Of these, throttled by the quota on processors and memory, its delivery included.
    pub throttled_compute: u64,
    /// Requests that ended, lost ones not counted.
    pub ended: u64,
    pub lost: u64,
    pub started: u64,
    /// Instances started because they are to be kept.
    pub started_provisioned: u64,
    pub failed: u64,
    pub frozen: u64,
    pub stopped: u64,
}

impl<T: Copy + std::ops::Add<Output = T>> PerPhase<T> {
    pub fn total(&self) -> T {
        self.starting + self.active + self.idle + self.frozen
    }
}

impl InstanceCounts {
    pub fn total(&self) -> u32 {
        self.provisioned.total() + self.on_demand.total() + self.stopping
    }

    pub(super) fn place(&mut self, slot: &InstanceSlot) -> Option<&mut u32> {
        let phases = match slot.class {
            InstanceClass::Provisioned => &mut self.provisioned,
            InstanceClass::OnDemand => &mut self.on_demand,
        };
        match slot.state {
            SlotState::Vacant => None,
            SlotState::Starting => Some(&mut phases.starting),
            SlotState::Ready if slot.requests > 0 => Some(&mut phases.active),
            SlotState::Ready => Some(&mut phases.idle),
            SlotState::Frozen => Some(&mut phases.frozen),
            SlotState::Stopping => Some(&mut self.stopping),
        }
    }
}

impl EventCounts {
    pub const fn throttled(&self) -> u64 {
        self.throttled_instances + self.throttled_delivery + self.throttled_compute
    }
}

impl InstanceUsage {
    /// Adds what `passed` nanoseconds in `instance_counts` come to.
    pub(super) fn add(&mut self, instance_counts: &InstanceCounts, passed: Nanos) {
        let add = |phases: &mut PerPhase<u128>, counts: &PerPhase<u32>| {
            let of = |count: u32| u128::from(count) * u128::from(passed);
            phases.starting += of(counts.starting);
            phases.active += of(counts.active);
            phases.idle += of(counts.idle);
            phases.frozen += of(counts.frozen);
        };
        add(&mut self.provisioned, &instance_counts.provisioned);
        add(&mut self.on_demand, &instance_counts.on_demand);
    }
}
