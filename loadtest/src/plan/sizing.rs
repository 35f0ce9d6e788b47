//! How many instances of which size.

use serde::Serialize;

use super::cost::{BilledUsage, Prices};
use super::queueing::{Cores, mean_wait, p99_wait};
use super::specs::{Coalescing, InstanceLimits};

#[derive(Clone, Copy, Debug)]
pub struct SaleLoad {
    pub peak_rps: f64,
    pub publish_ms: f64,
    /// CPU an order, microseconds of a whole vCPU.
    pub us_per_order: f64,
    /// Most requests at once in an instance.
    pub concurrency_max: f64,
    /// Share of CPU and slots kept free, 0 to below 1.
    pub headroom: f64,
    pub p99_ms: f64,
    /// An order's share of a message, bytes.
    pub order_bytes: f64,
    /// Orders in a message; absent: as many as come together.
    pub orders_per_message: Option<f64>,
}

/// Instances whose slots hold all requests under way: requests a second × latency / concurrency, rounded up.
pub fn by_concurrency(rps: f64, latency_ms: f64, concurrency: f64) -> f64 {
    at_least(rps * latency_ms / 1000.0 / concurrency)
}

/// Instances whose CPU does all the work: requests a second × CPU / vCPU, rounded up.
pub fn by_cpu(rps: f64, us_per_order: f64, vcpu: f64) -> f64 {
    at_least(rps * us_per_order / 1e6 / vcpu)
}

fn at_least(instances: f64) -> f64 {
    (instances - 1e-9).ceil().max(1.0)
}

/// What a number of requests under way stays below, all but never: four standard deviations above its mean, if they
/// come at random (Poisson).
fn at_most(under_way: f64) -> f64 {
    under_way + 4.0 * under_way.sqrt()
}

/// Least memory that goes with `vcpu`, MB; absent where no size does.
pub fn memory_mb(limits: &InstanceLimits, vcpu: f64, needed_mb: f64) -> Option<f64> {
    let step = limits.memory_step_mb.value;
    let least =
        limits.memory_min_mb.value.max(needed_mb).max(vcpu * limits.memory_gb_per_vcpu_min.value * 1024.0);
    let memory_mb = ((least - 1e-6) / step).ceil() * step;
    is_size(limits, vcpu, memory_mb).then_some(memory_mb)
}

pub fn is_size(limits: &InstanceLimits, vcpu: f64, memory_mb: f64) -> bool {
    let gb = memory_mb / 1024.0;
    let on_step = |value: f64, step: f64| ((value / step).round() * step - value).abs() < 1e-6;
    (limits.vcpu_min.value..=limits.vcpu_max.value).contains(&vcpu)
        && (limits.memory_min_mb.value..=limits.memory_max_mb.value).contains(&memory_mb)
        && on_step(vcpu, limits.vcpu_step.value)
        && on_step(memory_mb, limits.memory_step_mb.value)
        && gb >= vcpu * limits.memory_gb_per_vcpu_min.value - 1e-6
        && gb <= vcpu * limits.memory_gb_per_vcpu_max.value + 1e-6
}

pub const SIZES: &str =
    "--vcpu is 0.05 to 16 in steps of 0.05, --memory-mb 128 to 32,768 in steps of 64, with 1 to 4 GB a vCPU";

/// The memory of an instance of `vcpu`: what is asked for, or the least; absent where there is no such size.
pub fn size(limits: &InstanceLimits, vcpu: f64, asked_mb: Option<f64>, needed_mb: f64) -> Option<f64> {
    match asked_mb {
        Some(asked_mb) => Some(asked_mb).filter(|asked_mb| is_size(limits, vcpu, *asked_mb)),
        None => memory_mb(limits, vcpu, needed_mb),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BindingLimit {
    Cpu,
    Concurrency,
}

/// A size of instance, and what the peak comes to with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SizingPoint {
    pub vcpu: f64,
    pub memory_mb: f64,
    /// Requests at once to allow it: no more than its CPU keeps up with.
    pub concurrency: f64,
    pub instances: f64,
    pub bound: BindingLimit,
    /// Share of CPU in use at the peak, 0 to 1.
    pub utilisation: f64,
    /// Time of a request in the instance, milliseconds.
    pub latency_mean_ms: f64,
    pub latency_p99_ms: f64,
    pub orders_per_message: f64,
    /// CU a million orders at the peak, calls included.
    pub cu_per_million: f64,
    pub keeps_p99: bool,
}

impl SaleLoad {
    /// What the peak comes to with instances of one size.
    pub fn at(&self, vcpu: f64, memory_mb: f64, coalescing: &Coalescing, prices: &Prices) -> SizingPoint {
        let free = 1.0 - self.headroom;
        let by_cpu = by_cpu(self.peak_rps, self.us_per_order, vcpu * free);
        // More instances never make an order slower, so the least number that fits can be searched by halves.
        let fits = |instances: f64| {
            let (slots, under_way) = (instances * self.concurrency_max, self.under_way(vcpu, instances));
            under_way <= slots * free + 1e-9 && at_most(under_way) <= slots + 1e-9
        };
        let (mut below, mut enough) = (by_cpu - 1.0, by_cpu);
        while !fits(enough) {
            below = enough;
            enough *= 2.0;
        }
        while enough - below > 1.0 {
            let middle = f64::midpoint(below, enough).floor();
            *(if fits(middle) { &mut enough } else { &mut below }) = middle;
        }
        let (latency_mean_ms, latency_p99_ms) = self.latency(vcpu, enough);
        let second =
            BilledUsage::of_instances(vcpu, memory_mb, enough, 0.0).and(BilledUsage::of_calls(self.peak_rps));
        SizingPoint {
            vcpu,
            memory_mb,
            concurrency: self.concurrency(vcpu, enough),
            instances: enough,
            bound: if enough > by_cpu { BindingLimit::Concurrency } else { BindingLimit::Cpu },
            utilisation: self.utilisation(vcpu, enough),
            latency_mean_ms,
            latency_p99_ms,
            orders_per_message: self.orders_per_message(coalescing, self.peak_rps / enough),
            cu_per_million: prices.cu(&second) / self.peak_rps * 1e6,
            keeps_p99: latency_p99_ms <= self.p99_ms,
        }
    }

    /// Requests at once to allow: as many as keep the CPU busy, more only where all instances together would
    /// otherwise have too few slots for what happens to be under way.
    fn concurrency(&self, vcpu: f64, instances: f64) -> f64 {
        let needed = (at_most(self.under_way(vcpu, instances)) / instances - 1e-9).ceil();
        self.concurrency_max.min(self.knee(vcpu).max(needed))
    }

    /// Orders in one message of an instance that gets `rps`. While a send is under way, orders gather for as long as the
    /// linger lasts, up to a full message. An order larger than a message is sent alone.
    fn orders_per_message(&self, coalescing: &Coalescing, rps: f64) -> f64 {
        let gathered = 1.0 + rps * coalescing.linger_ms.value / 1000.0;
        let wanted = self.orders_per_message.unwrap_or(gathered);
        let by_bytes = (coalescing.batch_bytes_max.value / self.order_bytes).floor();
        wanted.min(by_bytes).min(coalescing.batch_orders_max.value).max(1.0)
    }

    fn under_way(&self, vcpu: f64, instances: f64) -> f64 {
        self.peak_rps * self.latency(vcpu, instances).0 / 1000.0
    }

    /// Requests at once from which on the CPU of an instance is always busy: its rate of work × the time a request
    /// takes without any wait. The platform fills an instance up to its concurrency, so that more would only wait.
    pub fn knee(&self, vcpu: f64) -> f64 {
        let service_ms = Cores::new(vcpu).service_us(self.us_per_order) / 1000.0;
        (vcpu * 1000.0 / self.us_per_order * (self.publish_ms + service_ms) - 1e-9).ceil()
    }

    fn utilisation(&self, vcpu: f64, instances: f64) -> f64 {
        self.peak_rps / instances * self.us_per_order / 1e6 / vcpu
    }

    /// Mean and 99th percentile of a request's time in an instance, milliseconds.
    fn latency(&self, vcpu: f64, instances: f64) -> (f64, f64) {
        let cores = Cores::new(vcpu);
        let service_ms = cores.service_us(self.us_per_order) / 1000.0;
        let utilisation = self.utilisation(vcpu, instances);
        let with = |wait: f64| self.publish_ms + service_ms * (1.0 + wait);
        (with(mean_wait(cores.servers, utilisation)), with(p99_wait(cores.servers, utilisation)))
    }
}

/// Every size from the smallest vCPU to the largest, each with the least memory that goes with it.
pub fn curve(
    load: &SaleLoad,
    limits: &InstanceLimits,
    coalescing: &Coalescing,
    prices: &Prices,
    needed_mb: f64,
) -> Vec<SizingPoint> {
    let step = limits.vcpu_step.value;
    let (first, last) =
        ((limits.vcpu_min.value / step).round() as u32, (limits.vcpu_max.value / step).round() as u32);
    (first..=last)
        .map(|steps| (f64::from(steps) * step * 100.0).round() / 100.0)
        .filter_map(|vcpu| Some((vcpu, memory_mb(limits, vcpu, needed_mb)?)))
        .map(|(vcpu, memory_mb)| load.at(vcpu, memory_mb, coalescing, prices))
        .collect()
}

/// How much dearer than the least the sweet spot may be: within it fewer instances win, because they start less
/// often and fill their messages better.
pub const SWEET_SPOT_WITHIN: f64 = 0.02;

/// The fewest instances among the sizes that keep the latency goal and cost next to the least; absent if none
/// keeps it.
pub fn sweet_spot(curve: &[SizingPoint]) -> Option<&SizingPoint> {
    let kept = || curve.iter().filter(|point| point.keeps_p99);
    let least = kept().map(|point| point.cu_per_million).min_by(f64::total_cmp)?;
    kept().filter(|point| point.cu_per_million <= least * (1.0 + SWEET_SPOT_WITHIN)).min_by(|one, other| {
        one.instances.total_cmp(&other.instances).then(one.cu_per_million.total_cmp(&other.cu_per_million))
    })
}
