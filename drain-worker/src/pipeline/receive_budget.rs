//! Bounds what is received: no more than the share will soon commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use tokio::sync::Notify;

use super::{Cordon, PipelineConfig};
use crate::rate::RateGate;

/// Maximum messages of one receive; the broker rejects more.
const RECEIVE_MAX: u64 = 32;

/// The orders that a worker has received and not settled. Clones share the values.
#[derive(Clone, Debug, Default)]
pub struct InFlightOrders(Arc<InFlightCounts>);

#[derive(Debug, Default)]
struct InFlightCounts {
    orders: AtomicU64,
    messages_received: AtomicU64,
    orders_received: AtomicU64,
    /// When the oldest order of the last receive was accepted, milliseconds since 1970; 0: none.
    oldest_ms: AtomicU64,
}

impl InFlightOrders {
    #[must_use]
    pub fn orders(&self) -> u64 {
        self.0.orders.load(Ordering::Relaxed)
    }

    /// Age of the oldest order of the last receive since its acceptance, by this machine's clock. `None`: no order is
    /// in flight. Messages arrive roughly in the order of their publishing, so this is close to the oldest.
    #[must_use]
    pub fn oldest_age(&self) -> Option<Duration> {
        let accepted_ms = self.0.oldest_ms.load(Ordering::Relaxed);
        if self.orders() == 0 || accepted_ms == 0 {
            return None;
        }
        let accepted = SystemTime::UNIX_EPOCH + Duration::from_millis(accepted_ms);
        Some(SystemTime::now().duration_since(accepted).unwrap_or_default())
    }

    /// Messages received since the worker started, and the orders in them.
    #[must_use]
    pub fn received(&self) -> (u64, u64) {
        let counts = &self.0;
        (counts.messages_received.load(Ordering::Relaxed), counts.orders_received.load(Ordering::Relaxed))
    }
}

/// Counts received orders and requested ones.
#[derive(Debug)]
pub(super) struct ReceiveBudget {
    gate: RateGate,
    config: PipelineConfig,
    state: Mutex<BudgetState>,
    in_flight: InFlightOrders,
    cordon: Cordon,
    released: Notify,
}

#[derive(Debug)]
struct BudgetState {
    held: u64,
    /// Orders that receives in flight are expected to return.
    expected: u64,
    /// Orders per message, a moving average, in sixteenths.
    per_message_x16: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReceivePermit {
    pub(super) messages: usize,
    expected: u64,
}

impl ReceiveBudget {
    pub(super) fn new(
        gate: RateGate,
        config: PipelineConfig,
        in_flight: InFlightOrders,
        cordon: Cordon,
    ) -> Self {
        let state = BudgetState { held: 0, expected: 0, per_message_x16: 16 };
        Self { gate, config, state: Mutex::new(state), in_flight, cordon, released: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders to prefetch: what the share commits in the prefetch time, and at least two batches, so that writers
    /// never wait for the network.
    fn target(&self) -> u64 {
        let credits = u64::from(self.gate.credits());
        let by_cap = self.config.prefetch.as_millis() * u128::from(credits) / 1_000;
        let least = 2 * u64::from(self.config.batch_orders_max.get());
        u64::try_from(by_cap).unwrap_or(u64::MAX).max(least.min(credits))
    }

    /// Maximum orders that may wait for locked stock: half of what the worker may hold.
    pub(super) fn stuck_max(&self) -> usize {
        usize::try_from(self.target() / 2).unwrap_or(usize::MAX)
    }

    fn try_acquire(&self) -> Option<ReceivePermit> {
        let target = self.target();
        let mut state = self.lock();
        let room = target.checked_sub(state.held + state.expected).filter(|room| *room > 0)?;
        let messages = (room * 16 / state.per_message_x16).clamp(1, RECEIVE_MAX);
        let expected = (messages * state.per_message_x16 / 16).max(1);
        state.expected += expected;
        Some(ReceivePermit { messages: usize::try_from(messages).unwrap_or(1), expected })
    }

    pub(super) async fn acquire(&self) -> ReceivePermit {
        loop {
            self.cordon.until_lifted().await;
            let released = self.released.notified();
            let changed = self.gate.changed();
            if let Some(permit) = self.try_acquire() {
                return permit;
            }
            tokio::select! {
                () = released => {}
                () = changed => {}
            }
        }
    }

    /// Records when the oldest order of a receive was accepted.
    pub(super) fn record_oldest(&self, accepted_at: OffsetDateTime) {
        let ms = u64::try_from(accepted_at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        self.in_flight.0.oldest_ms.store(ms, Ordering::Relaxed);
    }

    /// Records the result of a receive: the orders of each message.
    pub(super) fn record_received(&self, permit: ReceivePermit, orders_by_message: &[usize]) {
        let mut state = self.lock();
        state.expected -= permit.expected;
        for &orders in orders_by_message {
            let orders = orders as u64;
            state.held += orders;
            // An eighth of the difference: it converges within a few dozen messages.
            state.per_message_x16 = ((state.per_message_x16 * 7 + orders * 16) / 8).max(16);
        }
        self.in_flight.0.orders.store(state.held, Ordering::Relaxed);
        let (messages, orders) = (orders_by_message.len() as u64, orders_by_message.iter().sum::<usize>());
        self.in_flight.0.messages_received.fetch_add(messages, Ordering::Relaxed);
        self.in_flight.0.orders_received.fetch_add(orders as u64, Ordering::Relaxed);
        drop(state);
        // The receive may have returned less than expected.
        self.released.notify_waiters();
    }

    pub(super) fn release(&self, orders: usize) {
        let mut state = self.lock();
        state.held -= orders as u64;
        self.in_flight.0.orders.store(state.held, Ordering::Relaxed);
        drop(state);
        self.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::{NonZeroU32, NonZeroUsize};

    fn budget(cap: u32) -> ReceiveBudget {
        let config = PipelineConfig {
            receives_max: NonZeroUsize::MIN,
            receive_pause: Duration::ZERO,
            batch_orders_max: NonZeroU32::new(100).expect("not zero"),
            batch_linger: Duration::ZERO,
            writers: NonZeroUsize::MIN,
            prefetch: Duration::from_secs(1),
            grace: Duration::from_secs(1),
        };
        ReceiveBudget::new(
            RateGate::standalone(NonZeroU32::new(cap).expect("not zero")),
            config,
            InFlightOrders::default(),
            Cordon::default(),
        )
    }

    #[tokio::test]
    async fn receives_stay_within_the_prefetch_budget() {
        let budget = budget(1_000);
        let mut asked = 0;
        while let Some(permit) = budget.try_acquire() {
            assert!(permit.messages <= 32);
            // Messages of ten orders each.
            let orders = vec![10; permit.messages];
            budget.record_received(permit, &orders);
            asked += orders.iter().sum::<usize>();
        }
        // The budget learns the size of messages from receives; the first one may exceed it.
        assert!((1_000..=1_320).contains(&asked), "{asked}");
        budget.release(500);
        assert!(budget.try_acquire().is_some());
    }

    #[tokio::test]
    async fn receives_in_flight_count() {
        let budget = budget(64);
        let first = budget.try_acquire().expect("room");
        let second = budget.try_acquire().expect("room");
        assert_eq!((first.messages, second.messages), (32, 32));
        assert_eq!(budget.try_acquire(), None);
        budget.record_received(first, &[]);
        assert!(budget.try_acquire().is_some(), "an empty receive frees what it was expected to bring");
    }
}
