//! The server's settings for producers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::protocol::{PubSub, RetryStrategy, Settings, from_duration};

/// The settings that hold now: the server's, or defaults until it has sent them.
#[derive(Debug, Default)]
pub(super) struct PublishPolicy {
    current: Mutex<Policy>,
}

#[derive(Clone, Debug)]
struct Policy {
    /// `None`: the server named no maximum.
    body_bytes_max: Option<usize>,
    checks_type: bool,
    backoff: ThrottleBackoff,
}

impl Default for Policy {
    fn default() -> Self {
        Self { body_bytes_max: None, checks_type: true, backoff: ThrottleBackoff::default() }
    }
}

impl PublishPolicy {
    /// Applies the values that `settings` have, and keeps the others.
    pub(super) fn apply(&self, settings: &Settings) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(PubSub::Publishing(publishing)) = &settings.pub_sub {
            current.body_bytes_max = usize::try_from(publishing.max_body_size).ok().filter(|max| *max > 0);
            current.checks_type = publishing.validate_message_type;
        }
        let strategy = settings.backoff_policy.as_ref().and_then(|policy| policy.strategy.as_ref());
        if let Some(backoff) = strategy.and_then(ThrottleBackoff::from_protocol) {
            current.backoff = backoff;
        }
    }

    fn current(&self) -> Policy {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Maximum bytes of a payload, before compression.
    pub(super) fn body_bytes_max(&self) -> Option<usize> {
        self.current().body_bytes_max
    }

    /// True if the type of a message is compared with that of its topic.
    pub(super) fn checks_type(&self) -> bool {
        self.current().checks_type
    }

    /// Delay before attempt number `attempt`, from 2, after a throttled one.
    pub(super) fn throttle_delay(&self, attempt: u32) -> Duration {
        self.current().backoff.delay(attempt)
    }
}

/// Delays after throttling. As in the official Java client, the server sets the delays and the client the number of
/// attempts (`ExponentialBackoffRetryPolicy.inheritBackoff`), and other failures have other delays.
#[derive(Clone, Debug, PartialEq)]
enum ThrottleBackoff {
    Exponential {
        initial: Duration,
        max: Duration,
        multiplier: f64,
    },
    /// One delay for each attempt; the last one holds for all further attempts.
    Customized(Vec<Duration>),
}

/// The defaults of Apache's proxy (`grpcClientProducerBackoff…` of its configuration).
impl Default for ThrottleBackoff {
    fn default() -> Self {
        Self::Exponential { initial: Duration::from_millis(10), max: Duration::from_secs(1), multiplier: 2.0 }
    }
}

impl ThrottleBackoff {
    /// Returns `None` for a strategy without delays.
    fn from_protocol(strategy: &RetryStrategy) -> Option<Self> {
        match strategy {
            RetryStrategy::Exponential(backoff) => Some(Self::Exponential {
                initial: from_duration(backoff.initial.as_ref()?),
                max: from_duration(backoff.max.as_ref()?),
                multiplier: backoff.multiplier.into(),
            }),
            RetryStrategy::Customized(backoff) if backoff.next.is_empty() => None,
            RetryStrategy::Customized(backoff) => {
                Some(Self::Customized(backoff.next.iter().map(from_duration).collect()))
            }
        }
    }

    fn delay(&self, attempt: u32) -> Duration {
        match self {
            Self::Exponential { initial, max, multiplier } => {
                let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
                let seconds = initial.as_secs_f64() * multiplier.powi(exponent);
                // Out of range, or not a number: the server's maximum.
                Duration::try_from_secs_f64(seconds).map_or(*max, |delay| delay.min(*max))
            }
            Self::Customized(delays) => {
                let last = delays.len().saturating_sub(1);
                let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(last).min(last);
                delays.get(index).copied().unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{CustomizedBackoff, ExponentialBackoff, Publishing, RetryPolicy, duration};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn exponential(initial: u64, max: u64, multiplier: f32) -> RetryStrategy {
        RetryStrategy::Exponential(ExponentialBackoff {
            initial: Some(duration(ms(initial))),
            max: Some(duration(ms(max))),
            multiplier,
        })
    }

    fn customized(delays: &[u64]) -> RetryStrategy {
        let next = delays.iter().map(|delay| duration(ms(*delay))).collect();
        RetryStrategy::Customized(CustomizedBackoff { next })
    }

    // The delays of `getNextAttemptDelay` in apache/rocketmq-clients: initial × multiplier^(attempt − 1), at most max; and
    // the entry number `attempt`, or the last one.
    #[test]
    fn delays_are_those_of_the_official_client() {
        for (strategy, delays) in [
            (exponential(10, 1_000, 2.0), [20, 40, 80, 160, 320, 640, 1_000, 1_000]),
            (exponential(100, 250, 1.0), [100; 8]),
            (exponential(0, 0, 1.0), [0; 8]),
            (exponential(10, 1_000, f32::INFINITY), [1_000; 8]),
            (customized(&[1, 5, 10]), [5, 10, 10, 10, 10, 10, 10, 10]),
        ] {
            let policy = PublishPolicy::default();
            let retry = RetryPolicy { max_attempts: 3, strategy: Some(strategy.clone()) };
            policy.apply(&Settings { backoff_policy: Some(retry), ..Settings::default() });
            for (attempt, delay) in (2..).zip(delays) {
                let found = policy.throttle_delay(attempt);
                assert!(found.abs_diff(ms(delay)) < ms(1), "{strategy:?}, attempt {attempt}: {found:?}");
            }
        }
    }

    #[test]
    fn delays_of_senseless_settings_stay_within_the_maximum() {
        for multiplier in [f32::NAN, f32::NEG_INFINITY, -3.0, 0.0, f32::MAX] {
            let backoff =
                ThrottleBackoff::from_protocol(&exponential(10, 1_000, multiplier)).expect("delays");
            for attempt in [0, 1, 2, 3, 100, u32::MAX] {
                let delay = backoff.delay(attempt);
                assert!(delay <= ms(1_000), "{multiplier}, attempt {attempt}: {delay:?}");
            }
        }
    }

    #[test]
    fn settings_without_a_value_change_nothing() {
        let policy = PublishPolicy::default();
        let before = (policy.throttle_delay(2), policy.body_bytes_max(), policy.checks_type());
        let retry = RetryPolicy { max_attempts: 3, strategy: Some(customized(&[])) };
        policy.apply(&Settings { backoff_policy: Some(retry), ..Settings::default() });
        policy.apply(&Settings::default());
        assert_eq!((policy.throttle_delay(2), policy.body_bytes_max(), policy.checks_type()), before);
        for (max_body_size, expected) in [(1_000, Some(1_000)), (0, None), (-1, None)] {
            let publishing = Publishing { max_body_size, ..Publishing::default() };
            policy.apply(&Settings { pub_sub: Some(PubSub::Publishing(publishing)), ..Settings::default() });
            assert_eq!((policy.body_bytes_max(), policy.checks_type()), (expected, false));
        }
    }
}
