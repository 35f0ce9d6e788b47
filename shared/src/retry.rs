//! Delays between attempts.

use std::time::Duration;

/// Exponential backoff with jitter: a delay that doubles with each attempt up to a maximum, of which a random half to
/// the whole is used, so that clients that failed together do not retry together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
}

impl Backoff {
    /// A delay of at most `first` after the first failed attempt, and never more than `max`.
    #[must_use]
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max }
    }

    /// The delay after `failures` failed attempts in a row, counted from 1.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let ceiling = self.first.saturating_mul(1 << doublings).min(self.max);
        ceiling.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_and_use_at_least_half() {
        let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(50));
        for failures in 1..100 {
            let ceiling =
                Duration::from_millis([10, 20, 40].get(failures as usize - 1).copied().unwrap_or(50));
            for _ in 0..50 {
                let delay = backoff.delay(failures);
                assert!(delay <= ceiling && delay >= ceiling / 2, "{failures}: {delay:?}");
            }
        }
    }
}
