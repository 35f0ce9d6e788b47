//! Brokers that fail rest: calls go to others meanwhile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::BrokerKey;
use crate::error::ClientError;

/// First rest of a failing broker; each further failure doubles it.
const REST_MIN: Duration = Duration::from_secs(1);

/// Maximum rest.
const REST_MAX: Duration = Duration::from_secs(10);

/// Time after a rest in which no call used the broker, and after which its failures are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// The resting brokers. After its rest a broker gets one call, whose success ends the rests.
#[derive(Debug)]
pub(crate) struct BrokerRests {
    request_timeout: Duration,
    resting: Mutex<HashMap<Arc<BrokerKey>, Rest>>,
    /// Length of `resting`: nearly always zero, and then no call locks.
    count: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    failures: u32,
    until: Instant,
    /// True while the one call after a rest is in flight.
    is_probed: bool,
}

impl BrokerRests {
    pub(crate) fn new(request_timeout: Duration) -> Self {
        Self { request_timeout, resting: Mutex::default(), count: AtomicUsize::new(0) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    pub(super) fn is_resting(&self, broker: &BrokerKey) -> bool {
        let resting = || self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_empty() && resting().get(broker).is_some_and(|rest| rest.until > Instant::now())
    }

    /// True if the broker does not rest. A caller for which a rest ends must make its call: the broker rests for the
    /// others until its result.
    pub(super) fn try_use(&self, broker: &BrokerKey) -> bool {
        let now = Instant::now();
        match self.resting.lock().unwrap_or_else(PoisonError::into_inner).get_mut(broker) {
            Some(rest) if rest.until > now => false,
            Some(rest) => {
                rest.until = now + self.request_timeout;
                rest.is_probed = true;
                true
            }
            None => true,
        }
    }

    /// Notes the result of a call to `broker`: a failure of the broker makes it rest, a success ends it.
    pub(crate) fn record<T>(&self, broker: &Arc<BrokerKey>, result: &Result<T, ClientError>) {
        let failed = match result {
            // A shorter time-out is that of a caller in a hurry.
            Err(ClientError::Timeout { after, .. }) => *after >= self.request_timeout,
            Err(ClientError::Throttled { .. }) => return,
            Err(error) => error.is_retryable(),
            Ok(_) => false,
        };
        if !failed && (result.is_err() || self.is_empty()) {
            return;
        }
        let now = Instant::now();
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        // No call went to these for long: routes may not name them any more.
        resting.retain(|_, rest| rest.until + FORGET_AFTER > now);
        if failed {
            let new = Rest { failures: 0, until: now, is_probed: false };
            let rest = resting.entry(broker.clone()).or_insert(new);
            // Calls that were in flight together fail together, and count once.
            if rest.is_probed || rest.until <= now {
                rest.until = now + REST_MIN.saturating_mul(1 << rest.failures.min(8)).min(REST_MAX);
                rest.failures += 1;
                rest.is_probed = false;
            }
        } else {
            resting.remove(broker);
        }
        self.count.store(resting.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failing_broker_rests_and_is_then_used_by_one_call() {
        let request_timeout = Duration::from_secs(3);
        let rests = BrokerRests::new(request_timeout);
        let endpoints = "127.0.0.1:1".parse().expect("valid");
        let broker = Arc::new(BrokerKey { endpoints, name: "a".to_owned() });
        let timeout = |after| Err::<(), _>(ClientError::Timeout { call: "SendMessage", after });
        assert!(rests.try_use(&broker));
        rests.record(&broker, &timeout(request_timeout / 2));
        rests.record(&broker, &Err::<(), _>(ClientError::Throttled { message: String::new() }));
        assert!(rests.is_empty() && rests.try_use(&broker));

        for rest in [1, 2, 4, 8, 10, 10].map(Duration::from_secs) {
            rests.record(&broker, &timeout(request_timeout));
            rests.record(&broker, &timeout(request_timeout));
            advance(rest - Duration::from_millis(1)).await;
            assert!(!rests.try_use(&broker), "rests for {rest:?}");
            advance(Duration::from_millis(1)).await;
            assert!(rests.try_use(&broker), "rested for {rest:?}");
            assert!(!rests.try_use(&broker), "one call at a time");
        }
        rests.record(&broker, &Ok(()));
        assert!(rests.is_empty() && rests.try_use(&broker));

        let other = Arc::new(BrokerKey { name: "b".to_owned(), ..(*broker).clone() });
        rests.record(&broker, &timeout(request_timeout));
        advance(REST_MIN + FORGET_AFTER).await;
        rests.record(&other, &Ok(()));
        assert!(rests.is_empty(), "forgotten");
    }
}
