//! Arrival times: the scenario's phases, evenly spaced or random.

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Exp1};

use crate::scenario::{SendSchedule, Spacing};
use fc_model::Nanos;

/// Arrival times, ascending.
#[derive(Clone, Debug)]
pub struct Arrivals {
    schedule: SendSchedule,
    spacing: Spacing,
    random: SmallRng,
    /// The integral of the rate at the last arrival.
    count: f64,
    begins: Nanos,
}

impl Arrivals {
    /// Shifts the schedule to `begins`. The same seed gives the same times.
    pub fn new(schedule: SendSchedule, spacing: Spacing, begins: Nanos, seed: u64) -> Self {
        Self { schedule, spacing, random: SmallRng::seed_from_u64(seed), count: 0.0, begins }
    }
}

impl Iterator for Arrivals {
    type Item = Nanos;

    fn next(&mut self) -> Option<Nanos> {
        // A Poisson process has random steps instead of steps of 1.
        self.count += match self.spacing {
            Spacing::Even => 1.0,
            Spacing::Poisson => Exp1.sample(&mut self.random),
        };
        (self.count <= self.schedule.requests() as f64).then(|| self.begins + self.schedule.at_ns(self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::RatePhase;

    fn arrivals(phases: &[RatePhase], spacing: Spacing, seed: u64) -> Vec<Nanos> {
        Arrivals::new(SendSchedule::new(phases), spacing, 5, seed).collect()
    }

    #[test]
    fn even_arrivals_match_the_generator() {
        let phases = [RatePhase::Linear { from_rps: 10.0, to_rps: 1_000.0, seconds: 2.0 }];
        let schedule = SendSchedule::new(&phases);
        let expected: Vec<_> = (0..schedule.requests()).map(|number| schedule.due_ns(number) + 5).collect();
        assert_eq!(arrivals(&phases, Spacing::Even, 1), expected);
    }

    #[test]
    fn random_arrivals_are_poisson_and_repeatable() {
        let phases = [RatePhase::Constant { rps: 10_000.0, seconds: 20.0 }];
        let times = arrivals(&phases, Spacing::Poisson, 1);
        assert_eq!(times, arrivals(&phases, Spacing::Poisson, 1));
        assert_ne!(times, arrivals(&phases, Spacing::Poisson, 2));
        assert!(times.is_sorted());
        // 200,000 expected, standard deviation 447.
        assert!((198_000..=202_000).contains(&times.len()), "{}", times.len());
        // In a Poisson process the variance of counts in equal windows equals their mean.
        let mut counts = vec![0.0; 2_000];
        for at in &times {
            counts[((at - 5) / 10_000_000).min(1_999) as usize] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / counts.len() as f64;
        assert!((0.9..=1.1).contains(&(variance / mean)), "{variance} / {mean}");
    }
}
