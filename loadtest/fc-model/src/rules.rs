//! The rules as numbers.

use std::time::Duration;

use crate::Nanos;

/// The platform's maximum of concurrent requests of one instance.
pub const CONCURRENCY_MAX: u16 = 200;

pub const INSTANCES_MAX: u32 = 100_000;

/// Maximum units of a burst or of a minute.
const DELIVERY_MAX: u32 = 10_000_000;

/// The rules that [`Platform`](crate::Platform) applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformRules {
    /// Concurrent requests of one instance, 1 to [`CONCURRENCY_MAX`].
    pub concurrency: u16,
    /// Maximum instances, 1 to [`INSTANCES_MAX`].
    pub instances_max: u32,
    pub delivery: DeliveryRate,
    /// The quota on vCPU and memory; `None`: no quota.
    pub compute: Option<ComputeQuota>,
    /// Idle time after which an instance stops.
    pub idle_linger: Duration,
    /// Idle time after which an instance is frozen; `None`: never.
    pub freeze_after_idle: Option<Duration>,
    /// Provisioned targets, independent of the load. Where windows overlap, the largest target counts.
    pub provisioned: Vec<ProvisionedWindow>,
    /// True if provisioned instances keep their CPU while idle; they are never frozen then.
    pub provisioned_always_cpu: bool,
}

/// A burst at once, then a rate each minute. Unused units accumulate up to the burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryRate {
    /// At least 1.
    pub burst: u32,
    pub per_min: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComputeQuota {
    /// CPU of one instance, thousandths of a vCPU.
    pub instance_millivcpu: u32,
    pub instance_mb: u32,
    pub vcpu_max: u32,
    pub mb_max: u32,
    pub delivery: DeliveryRate,
}

/// Instances provisioned for a period. A pre-warm starts its lead time before the sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvisionedWindow {
    pub target: u32,
    pub from: Duration,
    pub until: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesError(String);

impl std::fmt::Display for RulesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RulesError {}

impl PlatformRules {
    pub fn check(&self) -> Result<(), RulesError> {
        let within = |name: &str, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(RulesError(format!("{name} is {value}; it must be {least} to {most}")))
            }
        };
        within("concurrency", u32::from(self.concurrency), 1, u32::from(CONCURRENCY_MAX))?;
        within("instances_max", self.instances_max, 1, INSTANCES_MAX)?;
        within("delivery.burst", self.delivery.burst, 1, DELIVERY_MAX)?;
        within("delivery.per_min", self.delivery.per_min, 0, DELIVERY_MAX)?;
        if let Some(compute) = self.compute {
            within("compute.instance_millivcpu", compute.instance_millivcpu, 1, 1_000_000)?;
            within("compute.instance_mb", compute.instance_mb, 1, 1_000_000)?;
            // The values must fit their types as thousandths of a vCPU.
            within("compute.vcpu_max", compute.vcpu_max, 1, DELIVERY_MAX / 1_000)?;
            within("compute.delivery.burst", compute.delivery.burst, 1, DELIVERY_MAX / 1_000)?;
            within("compute.delivery.per_min", compute.delivery.per_min, 0, DELIVERY_MAX / 1_000)?;
        }
        for window in &self.provisioned {
            within("provisioned.target", window.target, 0, INSTANCES_MAX)?;
            if window.from > window.until {
                return Err(RulesError("a provisioned window ends before it starts".to_owned()));
            }
        }
        Ok(())
    }

    /// Provisioned targets and their start times, in order.
    pub(crate) fn schedule(&self) -> Vec<(Nanos, u32)> {
        let mut times: Vec<_> =
            self.provisioned.iter().flat_map(|window| [window.from, window.until]).collect();
        times.sort_unstable();
        times.dedup();
        let target_at = |at: Duration| {
            let under_way = self.provisioned.iter().filter(|window| window.from <= at && at < window.until);
            under_way.map(|window| window.target).max().unwrap_or(0)
        };
        times.into_iter().map(|at| (nanos(at), target_at(at))).collect()
    }
}

impl ComputeQuota {
    /// The delivery rate in thousandths of a vCPU.
    pub(crate) const fn delivery_milli(&self) -> DeliveryRate {
        DeliveryRate { burst: self.delivery.burst * 1_000, per_min: self.delivery.per_min * 1_000 }
    }

    pub(crate) fn instances_max(&self) -> u32 {
        (self.vcpu_max * 1_000 / self.instance_millivcpu).min(self.mb_max / self.instance_mb)
    }
}

pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
