//! The cost of a request in an instance: CPU in turn, then the wait for the broker.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal, Uniform};
use serde::{Deserialize, Serialize};

use crate::plan::queueing::Cores;
use fc_model::Nanos;

/// The p99 of a normal distribution, in standard deviations above the mean.
const P99_DEVIATIONS: f64 = 2.326_347_874_040_841;

/// Maximum wait for the broker: the producer's time-out is shorter.
const PUBLISH_MS_MAX: f64 = 60_000.0;

/// The wait for the broker: lognormal by its median and p99, or constant if both are equal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishLatency {
    pub p50_ms: f64,
    /// p99, milliseconds.
    pub p99_ms: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColdStarts {
    Between {
        min_ms: f64,
        max_ms: f64,
    },
    /// Measured starts, each equally likely, milliseconds.
    Measured(Vec<f64>),
}

/// [`PublishLatency`], prepared for sampling.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublishWait {
    median_ns: f64,
    /// Standard deviation of the logarithm; 0: constant.
    deviation: f64,
}

impl PublishWait {
    pub(super) fn new(publish: PublishLatency) -> Self {
        let deviation = if publish.p99_ms > publish.p50_ms {
            (publish.p99_ms / publish.p50_ms).ln() / P99_DEVIATIONS
        } else {
            0.0
        };
        Self { median_ns: publish.p50_ms * 1e6, deviation }
    }

    pub(super) fn draw(&self, random: &mut impl Rng) -> Nanos {
        if self.deviation == 0.0 {
            return self.median_ns as Nanos;
        }
        let normal: f64 = StandardNormal.sample(random);
        (self.median_ns * (self.deviation * normal).exp()).min(PUBLISH_MS_MAX * 1e6) as Nanos
    }
}

impl ColdStarts {
    pub(super) fn draw(&self, random: &mut impl Rng) -> Nanos {
        let ms = match self {
            Self::Between { min_ms, max_ms } => {
                Uniform::new_inclusive(*min_ms, *max_ms).map_or(*min_ms, |range| range.sample(random))
            }
            Self::Measured(times) => {
                let place = Uniform::new(0, times.len()).map_or(0, |places| places.sample(random));
                times.get(place).copied().unwrap_or(0.0)
            }
        };
        (ms * 1e6) as Nanos
    }
}

/// The CPU of every instance, by index: the time at which each of its servers is free.
#[derive(Debug)]
pub(super) struct InstanceCpus {
    servers: usize,
    service: Nanos,
    free_at: Vec<Nanos>,
}

impl InstanceCpus {
    pub(super) fn new(vcpu: f64, us_per_order: f64) -> Self {
        let cores = Cores::new(vcpu);
        let service = (cores.service_us(us_per_order) * 1e3).round() as Nanos;
        Self { servers: cores.servers as usize, service, free_at: Vec::new() }
    }

    /// Assigns an order to the first free server, no earlier than `now`; returns its end time.
    pub(super) fn work(&mut self, index: u32, now: Nanos) -> Nanos {
        let first = index as usize * self.servers;
        if self.free_at.len() < first + self.servers {
            self.free_at.resize(first + self.servers, 0);
        }
        let servers = &mut self.free_at[first..first + self.servers];
        let mut free = 0;
        for server in 1..servers.len() {
            if servers[server] < servers[free] {
                free = server;
            }
        }
        servers[free] = servers[free].max(now) + self.service;
        servers[free]
    }

    pub(super) fn hold(&mut self, index: u32, until: Nanos) {
        let first = index as usize * self.servers;
        for server in self.free_at.iter_mut().skip(first).take(self.servers) {
            *server = (*server).max(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn the_publish_wait_has_the_given_median_and_tail() {
        let wait = PublishWait::new(PublishLatency { p50_ms: 10.0, p99_ms: 40.0 });
        let mut random = SmallRng::seed_from_u64(1);
        let mut drawn: Vec<_> = (0..200_000).map(|_| wait.draw(&mut random)).collect();
        drawn.sort_unstable();
        let at = |share: f64| drawn[(share * drawn.len() as f64) as usize] as f64 / 1e6;
        assert!((9.9..10.1).contains(&at(0.5)), "{}", at(0.5));
        assert!((39.0..41.0).contains(&at(0.99)), "{}", at(0.99));
        let constant = PublishWait::new(PublishLatency { p50_ms: 10.0, p99_ms: 10.0 });
        assert_eq!(constant.draw(&mut random), 10_000_000);
    }

    #[test]
    fn cold_starts_stay_within_the_given_range() {
        let mut random = SmallRng::seed_from_u64(1);
        let between = ColdStarts::Between { min_ms: 1_200.0, max_ms: 4_500.0 };
        let drawn: Vec<_> = (0..10_000).map(|_| between.draw(&mut random)).collect();
        assert!(drawn.iter().all(|ns| (1_200_000_000..=4_500_000_000).contains(ns)));
        let mean = drawn.iter().sum::<u64>() as f64 / 1e10;
        assert!((2_820.0..2_880.0).contains(&mean), "{mean}");
        let measured = ColdStarts::Measured(vec![30.0, 50.0]);
        let drawn: Vec<_> = (0..100).map(|_| measured.draw(&mut random)).collect();
        assert!(drawn.iter().all(|ns| [30_000_000, 50_000_000].contains(ns)));
        assert!(drawn.contains(&30_000_000) && drawn.contains(&50_000_000));
    }

    #[test]
    fn orders_take_turns_on_the_cpu() {
        // Two servers of three quarters: 75 µs take 100.
        let mut cpus = InstanceCpus::new(1.5, 75.0);
        let done: Vec<_> = [0, 0, 0, 0, 500_000].into_iter().map(|now| cpus.work(3, now)).collect();
        assert_eq!(done, [100_000, 100_000, 200_000, 200_000, 600_000]);
        assert_eq!(cpus.work(0, 0), 100_000, "another instance is free");
        cpus.hold(3, 1_000_000);
        assert_eq!(cpus.work(3, 700_000), 1_100_000);
    }
}
