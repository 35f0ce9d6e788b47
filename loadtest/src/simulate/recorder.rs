//! Records the outcome during the simulation.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::outcome::TimelineSample;
use fc_model::{InstanceCounts, Nanos, PerPhase};

/// Maximum latency of a histogram, microseconds.
const LATENCY_US_MAX: u64 = 3_600_000_000;

#[derive(Debug)]
pub(super) struct SimulationRecorder {
    sale: Nanos,
    interval: Nanos,
    jump: std::ops::Range<Nanos>,
    pub(super) latency: Histogram<u64>,
    pub(super) latency_of_jump: Histogram<u64>,
    slots: Vec<IntervalSlot>,
    next: Nanos,
    pub(super) under_way: u64,
    under_way_since: Nanos,
    pub(super) under_way_area: u128,
    /// Sum of latencies without the overhead outside the platform, nanoseconds.
    pub(super) latency_sum: u128,
    pub(super) admitted: u64,
    pub(super) instances_max: u32,
    pub(super) active_max: u32,
}

#[derive(Debug)]
struct IntervalSlot {
    moment: TimelineSample,
    latency: Histogram<u32>,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_US_MAX, 3).unwrap_or_else(|_| unreachable!("a valid range"))
}

impl SimulationRecorder {
    /// For a sale from `sale` to `end` with a jump.
    pub(super) fn new(
        sale: Duration,
        end: Duration,
        jump: std::ops::Range<Duration>,
        interval: Duration,
    ) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let interval = nanos(interval);
        let count = nanos(end - sale).div_ceil(interval).max(1);
        let slots = (0..count).map(|number| IntervalSlot {
            moment: TimelineSample { at_ms: number * interval / 1_000_000, ..TimelineSample::default() },
            // The histogram grows as needed: most intervals see a narrow range.
            latency: Histogram::new(2).unwrap_or_else(|_| unreachable!("two digits are allowed")),
        });
        Self {
            sale: nanos(sale),
            interval,
            jump: nanos(jump.start)..nanos(jump.end),
            latency: histogram(),
            latency_of_jump: histogram(),
            slots: slots.collect(),
            next: nanos(sale) + interval,
            under_way: 0,
            under_way_since: 0,
            under_way_area: 0,
            latency_sum: 0,
            admitted: 0,
            instances_max: 0,
            active_max: 0,
        }
    }

    /// The interval of an arrival.
    fn slot(&mut self, arrived: Nanos) -> &mut IntervalSlot {
        let last = self.slots.len() - 1;
        let number = (arrived.saturating_sub(self.sale) / self.interval) as usize;
        &mut self.slots[number.min(last)]
    }

    /// Changes the number of requests in the system to `under_way`.
    fn count(&mut self, now: Nanos, under_way: u64) {
        self.under_way_area += u128::from(self.under_way) * u128::from(now - self.under_way_since);
        (self.under_way, self.under_way_since) = (under_way, now);
    }

    pub(super) fn arrived(&mut self, now: Nanos) {
        self.slot(now).moment.planned += 1;
        self.count(now, self.under_way + 1);
    }

    pub(super) fn throttled(&mut self, now: Nanos) {
        self.slot(now).moment.throttled += 1;
        self.count(now, self.under_way - 1);
    }

    pub(super) fn done(&mut self, now: Nanos) {
        self.count(now, self.under_way - 1);
    }

    /// Records a request that arrived at `arrived` and gets its response at `done`, and `overhead` later at the client.
    pub(super) fn admitted(&mut self, arrived: Nanos, done: Nanos, overhead: Nanos) {
        self.admitted += 1;
        self.latency_sum += u128::from(done - arrived);
        let us = (done - arrived + overhead + 500) / 1_000;
        self.latency.saturating_record(us);
        if self.jump.contains(&arrived) {
            self.latency_of_jump.saturating_record(us);
        }
        let slot = self.slot(arrived);
        slot.moment.answered += 1;
        // Fails only beyond the histogram's maximum.
        let _fits = slot.latency.record(us);
    }

    /// Records the instances at the end of each interval that ends by `now`.
    pub(super) fn pass(&mut self, now: Nanos, instance_counts: &InstanceCounts) {
        while self.next <= now {
            let number = ((self.next - self.sale) / self.interval - 1) as usize;
            self.next = self.next.saturating_add(self.interval);
            if let Some(slot) = self.slots.get_mut(number) {
                slot.moment.see(instance_counts);
            }
        }
    }

    pub(super) fn next(&self) -> Nanos {
        self.next
    }

    pub(super) fn counted(&mut self, counts: &InstanceCounts) {
        self.instances_max = self.instances_max.max(counts.total());
        self.active_max = self.active_max.max(counts.provisioned.active + counts.on_demand.active);
    }

    pub(super) fn timeline(self) -> Vec<TimelineSample> {
        self.slots
            .into_iter()
            .map(|slot| {
                let value = |quantile| slot.latency.value_at_quantile(quantile);
                let (p50_us, p99_us) =
                    if slot.latency.is_empty() { (0, 0) } else { (value(0.5), value(0.99)) };
                TimelineSample { p50_us, p99_us, ..slot.moment }
            })
            .collect()
    }
}

impl TimelineSample {
    fn see(&mut self, instance_counts: &InstanceCounts) {
        let both =
            |of: fn(&PerPhase<u32>) -> u32| of(&instance_counts.provisioned) + of(&instance_counts.on_demand);
        self.starting = both(|phases| phases.starting);
        self.active = both(|phases| phases.active);
        self.idle = both(|phases| phases.idle);
        self.frozen = both(|phases| phases.frozen);
        self.provisioned = instance_counts.provisioned.total();
        self.instances = instance_counts.total();
    }
}
