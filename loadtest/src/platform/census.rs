//! How many instances are in which phase, for how long, and what has happened.

use serde::{Deserialize, Serialize};

use super::Nanos;
use super::slots::{Class, Slot, State};

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is not ready yet.
    Starting,
    /// It has at least one request.
    Active,
    /// It has none, and a processor.
    Idle,
    /// It has none, and no processor.
    Frozen,
    /// It is on its way out.
    Stopping,
}

/// One number for each phase of an instance's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases<T> {
    /// Not ready yet.
    pub starting: T,
    /// With at least one request.
    pub active: T,
    /// Without one, and with a processor.
    pub idle: T,
    /// Without one, and without a processor.
    pub frozen: T,
}

impl Phases<u128> {
    /// Of nanoseconds, whole milliseconds.
    #[must_use]
    pub fn as_millis(&self) -> Phases<u64> {
        let of = |nanos: u128| u64::try_from(nanos / 1_000_000).unwrap_or(u64::MAX);
        Phases {
            starting: of(self.starting),
            active: of(self.active),
            idle: of(self.idle),
            frozen: of(self.frozen),
        }
    }
}

/// Instances at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Kept whatever the load.
    pub provisioned: Phases<u32>,
    /// Started by requests.
    pub on_demand: Phases<u32>,
    /// On their way out, of either kind.
    pub stopping: u32,
}

/// How long instances were in each phase, all together, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Kept whatever the load.
    pub provisioned: Phases<u128>,
    /// Started by requests.
    pub on_demand: Phases<u128>,
}

/// What has happened since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that came.
    pub arrived: u64,
    /// Of these, given to an instance that was ready.
    pub assigned: u64,
    /// Of these, given to one that had to be thawed.
    pub thawed: u64,
    /// Of these, made to wait for an instance to start.
    pub waited: u64,
    /// Of these, throttled because there are as many instances as may be.
    pub throttled_instances: u64,
    /// Of these, throttled because instances are delivered no faster.
    pub throttled_delivery: u64,
    /// Of these, throttled by the quota on processors and memory, its delivery included.
    pub throttled_compute: u64,
    /// Requests that ended, lost ones not counted.
    pub ended: u64,
    /// Requests lost with their instance.
    pub lost: u64,
    /// Instances started for requests.
    pub started: u64,
    /// Instances started because they are to be kept.
    pub started_provisioned: u64,
    /// Instances that failed or died.
    pub failed: u64,
    /// Instances frozen.
    pub frozen: u64,
    /// Instances told to stop.
    pub stopped: u64,
}

impl<T: Copy + std::ops::Add<Output = T>> Phases<T> {
    /// All together.
    #[must_use]
    pub fn total(&self) -> T {
        self.starting + self.active + self.idle + self.frozen
    }
}

impl Census {
    /// Instances that count against the quotas.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.provisioned.total() + self.on_demand.total() + self.stopping
    }

    /// Where an instance such as `slot` is counted.
    pub(super) fn place(&mut self, slot: &Slot) -> Option<&mut u32> {
        let phases = match slot.class {
            Class::Provisioned => &mut self.provisioned,
            Class::OnDemand => &mut self.on_demand,
        };
        match slot.state {
            State::Vacant => None,
            State::Starting => Some(&mut phases.starting),
            State::Ready if slot.requests > 0 => Some(&mut phases.active),
            State::Ready => Some(&mut phases.idle),
            State::Frozen => Some(&mut phases.frozen),
            State::Stopping => Some(&mut self.stopping),
        }
    }
}

impl Counts {
    /// Requests throttled, for whatever reason.
    #[must_use]
    pub const fn throttled(&self) -> u64 {
        self.throttled_instances + self.throttled_delivery + self.throttled_compute
    }
}

impl Usage {
    /// Adds what `passed` nanoseconds in `census` come to.
    pub(super) fn add(&mut self, census: &Census, passed: Nanos) {
        let add = |phases: &mut Phases<u128>, counts: &Phases<u32>| {
            let of = |count: u32| u128::from(count) * u128::from(passed);
            phases.starting += of(counts.starting);
            phases.active += of(counts.active);
            phases.idle += of(counts.idle);
            phases.frozen += of(counts.frozen);
        };
        add(&mut self.provisioned, &census.provisioned);
        add(&mut self.on_demand, &census.on_demand);
    }
}
