//! Number and size of instances.

use serde::Serialize;

use super::cost::{BilledUsage, Prices};
use super::queueing::{Cores, mean_wait, p99_wait};
use super::specs::{Coalescing, InstanceLimits};

#[derive(Clone, Copy, Debug)]
pub struct SaleLoad {
    pub peak_rps: f64,
    pub publish_ms: f64,
    /// CPU per order, microseconds of a whole vCPU.
    pub us_per_order: f64,
    /// Maximum concurrent requests of an instance.
    pub concurrency_max: f64,
    /// Share of CPU and slots kept free, 0 to below 1.
    pub headroom: f64,
    pub p99_ms: f64,
    /// An order's share of a message, bytes.
    pub order_bytes: f64,
    /// Orders in a message; `None`: as many as gather.
    pub orders_per_message: Option<f64>,
}

/// Instances whose slots hold all requests in flight: requests a second × latency / concurrency, rounded up.
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

/// Upper bound of requests in flight: four standard deviations above the mean, if they arrive at random (Poisson).
fn at_most(under_way: f64) -> f64 {
    under_way + 4.0 * under_way.sqrt()
}

/// Minimum memory for `vcpu`, MB; `None` if no size has so many vCPUs.
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

/// Memory of an instance of `vcpu`: the requested or the minimum; `None` if no such size exists.
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

/// An instance size, and the sale's peak on instances of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SizingPoint {
    pub vcpu: f64,
    pub memory_mb: f64,
    /// Concurrency to configure: no more than the CPU can process.
    pub concurrency: f64,
    pub instances: f64,
    pub bound: BindingLimit,
    /// Share of CPU used at the peak, 0 to 1.
    pub utilisation: f64,
    /// Time of a request in the instance, milliseconds.
    pub latency_mean_ms: f64,
    pub latency_p99_ms: f64,
    pub orders_per_message: f64,
    /// CU per million orders at the peak, calls included.
    pub cu_per_million: f64,
    pub keeps_p99: bool,
}

impl SaleLoad {
    /// Sizes the peak for instances of one size.
    pub fn at(&self, vcpu: f64, memory_mb: f64, coalescing: &Coalescing, prices: &Prices) -> SizingPoint {
        let free = 1.0 - self.headroom;
        let by_cpu = by_cpu(self.peak_rps, self.us_per_order, vcpu * free);
        // More instances never make an order slower, so the minimum can be found by bisection.
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

    /// Concurrency to configure: enough to keep the CPU busy; more only where all instances together would have too few
    /// slots for the requests in flight.
    fn concurrency(&self, vcpu: f64, instances: f64) -> f64 {
        let needed = (at_most(self.under_way(vcpu, instances)) / instances - 1e-9).ceil();
        self.concurrency_max.min(self.knee(vcpu).max(needed))
    }

    /// Orders in one message of an instance that gets `rps`. Orders gather for the linger after the first, up to
    /// a full message. An order larger than a message is sent alone.
    fn orders_per_message(&self, coalescing: &Coalescing, rps: f64) -> f64 {
        let gathered = 1.0 + rps * coalescing.linger_ms.value / 1000.0;
        let wanted = self.orders_per_message.unwrap_or(gathered);
        let by_bytes = (coalescing.batch_bytes_max.value / self.order_bytes).floor();
        wanted.min(by_bytes).min(coalescing.batch_orders_max.value).max(1.0)
    }

    fn under_way(&self, vcpu: f64, instances: f64) -> f64 {
        self.peak_rps * self.latency(vcpu, instances).0 / 1000.0
    }

    /// Concurrency from which the CPU of an instance is always busy: its rate × the time of a request without waiting.
    /// The platform fills instances up to their concurrency, so more requests would only wait.
    pub fn knee(&self, vcpu: f64) -> f64 {
        let service_ms = Cores::new(vcpu).service_us(self.us_per_order) / 1000.0;
        (vcpu * 1000.0 / self.us_per_order * (self.publish_ms + service_ms) - 1e-9).ceil()
    }

    fn utilisation(&self, vcpu: f64, instances: f64) -> f64 {
        self.peak_rps / instances * self.us_per_order / 1e6 / vcpu
    }

    /// Mean and p99 of a request's time in an instance, milliseconds.
    fn latency(&self, vcpu: f64, instances: f64) -> (f64, f64) {
        let cores = Cores::new(vcpu);
        let service_ms = cores.service_us(self.us_per_order) / 1000.0;
        let utilisation = self.utilisation(vcpu, instances);
        let with = |wait: f64| self.publish_ms + service_ms * (1.0 + wait);
        (with(mean_wait(cores.servers, utilisation)), with(p99_wait(cores.servers, utilisation)))
    }
}

/// Every size from the smallest vCPU to the largest, each with its minimum memory.
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

/// Maximum extra cost of the recommended size over the cheapest. Within it fewer instances win: they start less often
/// and fill their messages better.
pub const SWEET_SPOT_WITHIN: f64 = 0.02;

/// The fewest instances among the sizes that meet the latency goal at nearly the least cost; `None` if none meets it.
pub fn sweet_spot(curve: &[SizingPoint]) -> Option<&SizingPoint> {
    let kept = || curve.iter().filter(|point| point.keeps_p99);
    let least = kept().map(|point| point.cu_per_million).min_by(f64::total_cmp)?;
    kept().filter(|point| point.cu_per_million <= least * (1.0 + SWEET_SPOT_WITHIN)).min_by(|one, other| {
        one.instances.total_cmp(&other.instances).then(one.cu_per_million.total_cmp(&other.cu_per_million))
    })
}
