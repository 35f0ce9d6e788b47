//! Counts of instances by phase, time in each phase, and events.

use serde::{Deserialize, Serialize};

use super::slots::{InstanceClass, InstanceSlot, SlotState};
use crate::Nanos;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstancePhase {
    Starting,
    /// Has at least one request.
    Active,
    Idle,
    Frozen,
    Stopping,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerPhase<T> {
    pub starting: T,
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
    /// Provisioned and on-demand instances that are stopping.
    pub stopping: u32,
}

/// Sum over all instances of the time in each phase, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceUsage {
    pub provisioned: PerPhase<u128>,
    pub on_demand: PerPhase<u128>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCounts {
    pub arrived: u64,
    pub assigned: u64,
    /// Placed on an instance that had to thaw first; included in `placed`.
    pub thawed: u64,
    /// Placed on a starting instance; included in `placed`.
    pub waited: u64,
    /// Throttled because the instance quota is reached.
    pub throttled_instances: u64,
    pub throttled_delivery: u64,
    /// Throttled by the quota on vCPU and memory, or by its delivery.
    pub throttled_compute: u64,
    /// Requests with a response; lost ones are not counted.
    pub ended: u64,
    pub lost: u64,
    pub started: u64,
    /// Instances started for a provisioned target.
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
    /// Adds `passed` nanoseconds in the state `instance_counts`.
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
