//! Delays between attempts.

use std::time::Duration;

use crate::config::RetryConfig;

impl RetryConfig {
    /// The delay after attempt number `attempt`, from 1: uniform up to a bound that doubles with each attempt. Full
    /// jitter spreads clients that failed together.
    pub(crate) fn backoff(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        let bound = self.backoff_initial.saturating_mul(1 << doublings).min(self.backoff_max);
        bound.mul_f64(rand::random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_never_exceed_their_bound() {
        let retry = RetryConfig {
            attempts_max: 10,
            backoff_initial: Duration::from_millis(10),
            backoff_max: Duration::from_millis(50),
        };
        for attempt in 1..40 {
            let bound = Duration::from_millis(10 << (attempt - 1).min(10)).min(Duration::from_millis(50));
            for _ in 0..50 {
                assert!(retry.backoff(attempt) <= bound, "attempt {attempt}");
            }
        }
    }
}
