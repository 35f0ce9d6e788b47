//! Bounds on requests, and the budget that enforces them.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Maximum body of an order, bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Requests in flight at the same time.
    pub requests_max: NonZeroUsize,
    /// Bytes of their bodies together.
    pub bytes_max: NonZeroUsize,
    pub body_timeout: Duration,
    /// Time from a request's head to its answer; after it no answer is a success.
    pub request_timeout: Duration,
    /// Time that a pre-stop waits for requests in flight.
    pub drain_timeout: Duration,
}

/// Counts requests in flight and the bytes of their bodies against their bounds. Lock-free; there is no queue.
#[derive(Debug)]
pub struct RequestBudget {
    /// Requests in the upper half, bytes in the lower: one atomic step acquires or releases both.
    in_flight: AtomicU64,
    requests_max: u32,
    bytes_max: u32,
}

/// One request and `bytes` of body.
const fn packed(bytes: u32) -> u64 {
    1 << 32 | bytes as u64
}

impl RequestBudget {
    /// Each bound is capped at half of what 32 bits hold, so that requests about to be rejected cannot overflow a
    /// counter.
    #[must_use]
    pub fn new(requests_max: NonZeroUsize, bytes_max: NonZeroUsize) -> Self {
        let cap = |value: NonZeroUsize| u32::try_from(value.get()).unwrap_or(u32::MAX).min(u32::MAX / 2);
        Self { in_flight: AtomicU64::new(0), requests_max: cap(requests_max), bytes_max: cap(bytes_max) }
    }

    pub fn requests_in_flight(&self) -> usize {
        (self.in_flight.load(Ordering::SeqCst) >> 32) as usize
    }

    /// Bytes of bodies as announced, not as read.
    pub fn bytes_in_flight(&self) -> usize {
        (self.in_flight.load(Ordering::SeqCst) & u64::from(u32::MAX)) as usize
    }

    /// Returns true if the request fits; the caller then releases the same `bytes`.
    pub(crate) fn try_acquire(&self, bytes: u32) -> bool {
        let before = self.in_flight.fetch_add(packed(bytes), Ordering::SeqCst);
        let (requests, bytes_before) = (before >> 32, before & u64::from(u32::MAX));
        let fits = requests < u64::from(self.requests_max)
            && bytes_before + u64::from(bytes) <= u64::from(self.bytes_max);
        if !fits {
            self.release(bytes);
        }
        fits
    }

    pub(crate) fn release(&self, bytes: u32) {
        self.in_flight.fetch_sub(packed(bytes), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(requests_max: usize, bytes_max: usize) -> RequestBudget {
        let max = |value| NonZeroUsize::new(value).expect("positive");
        RequestBudget::new(max(requests_max), max(bytes_max))
    }

    #[test]
    fn both_bounds_hold_and_a_release_makes_room() {
        let budget = budget(2, 100);
        assert!(budget.try_acquire(60));
        assert!(!budget.try_acquire(41), "one byte too many");
        assert!(budget.try_acquire(40));
        assert!(!budget.try_acquire(0), "one request too many");
        assert_eq!((budget.requests_in_flight(), budget.bytes_in_flight()), (2, 100));
        budget.release(60);
        assert!(budget.try_acquire(60));
        budget.release(60);
        budget.release(40);
        assert_eq!((budget.requests_in_flight(), budget.bytes_in_flight()), (0, 0));
    }

    proptest! {
        #[test]
        fn the_bounds_hold_for_any_sequence_of_acquires_and_releases(
            steps in prop::collection::vec((any::<bool>(), 0_u32..=16_384), 1..200),
            requests_max in 1_usize..8,
            bytes_max in 1_usize..50_000,
        ) {
            let budget = budget(requests_max, bytes_max);
            let mut acquired: Vec<u32> = Vec::new();
            for (acquires, bytes) in steps {
                let sum: usize = acquired.iter().map(|bytes| *bytes as usize).sum();
                if acquires {
                    let fits = acquired.len() < requests_max && sum + bytes as usize <= bytes_max;
                    prop_assert_eq!(budget.try_acquire(bytes), fits);
                    if fits {
                        acquired.push(bytes);
                    }
                } else if let Some(bytes) = acquired.pop() {
                    budget.release(bytes);
                }
                let sum: usize = acquired.iter().map(|bytes| *bytes as usize).sum();
                prop_assert_eq!(budget.requests_in_flight(), acquired.len());
                prop_assert_eq!(budget.bytes_in_flight(), sum);
            }
        }
    }
}
