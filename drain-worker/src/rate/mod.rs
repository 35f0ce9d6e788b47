//! The rate gate: no one-second window of commits ever exceeds the cap.
//!
//! Two rules, both in orders:
//! - *Credit.* An order takes a credit when it is granted and gives it back one second after its commit was
//!   answered. There are as many credits as the cap. The commit lies somewhere between grant and answer, so any
//!   two orders whose commits are less than a second apart hold their credits at the same time, and a window of a
//!   second can hold no more commits than there are credits, however commits bunch up. Use is about
//!   `1 / (1 + commit latency in seconds)`.
//! - *Pace.* Grants are spaced as the cap says, so that the database sees an even load and not one burst a second.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How long a credit outlives the commit's answer: the window that the cap is about.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Batches a second that [`RateGate::batch_max`] comes to.
const BATCHES_PER_SECOND: u32 = 50;

/// Grants permission to write orders. Clones share one cap.
#[derive(Clone, Debug)]
pub struct RateGate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Rung when credits come back or the cap changes.
    changed: Notify,
    /// Grants are given in the order they were asked for.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    cap: NonZeroU32,
    /// Credits of orders granted and not yet answered.
    granted: u64,
    /// Credits of orders answered, and when each comes back; soonest first.
    answered: VecDeque<(Instant, u64)>,
    answered_sum: u64,
    /// Before this instant nothing more is granted.
    next_grant_at: Instant,
}

/// Permission to commit a number of orders. Dropping it says that the commit was answered, or never asked for.
#[derive(Debug)]
#[must_use = "a grant that is dropped gives its credits back a second later"]
pub struct Grant {
    inner: Arc<Inner>,
    orders: u64,
}

impl Grant {
    /// How many orders may be committed under it.
    #[must_use]
    pub const fn orders(&self) -> u64 {
        self.orders
    }
}

impl RateGate {
    /// At most `cap` orders in any one second.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(cap: NonZeroU32) -> Self {
        let state = State {
            cap,
            granted: 0,
            answered: VecDeque::new(),
            answered_sum: 0,
            next_grant_at: Instant::now(),
        };
        let inner =
            Inner { state: Mutex::new(state), changed: Notify::new(), turn: tokio::sync::Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// A gate that takes all credits to be in use: a predecessor that was killed a moment ago may have committed a
    /// cap's worth of orders just now. The first grant comes when that second is over.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn after_restart(cap: NonZeroU32) -> Self {
        let gate = Self::new(cap);
        let orders = u64::from(cap.get());
        let mut state = gate.inner.lock();
        state.answered.push_back((Instant::now() + WINDOW, orders));
        state.answered_sum = orders;
        drop(state);
        gate
    }

    /// The cap, orders a second.
    #[must_use]
    pub fn cap(&self) -> NonZeroU32 {
        self.inner.lock().cap
    }

    /// Most orders of a batch that uses the cap well: what it takes in 20 ms, and at least one.
    ///
    /// A batch waits until all of its credits are free; meanwhile those that already are lie idle. So large batches
    /// waste up to half a batch of the cap, and small ones cost little at the rates where this bound is small.
    #[must_use]
    pub fn batch_max(&self) -> NonZeroU32 {
        NonZeroU32::new(self.cap().get() / BATCHES_PER_SECOND).unwrap_or(NonZeroU32::MIN)
    }

    /// Changes the cap, from now on.
    pub fn set_cap(&self, cap: NonZeroU32) {
        let mut state = self.inner.lock();
        // What was spaced for the old cap must not hold up the new one.
        state.next_grant_at = state.next_grant_at.min(Instant::now());
        state.cap = cap;
        drop(state);
        self.inner.changed.notify_waiters();
    }

    /// Waits for permission to commit `orders`, in the order of asking. Cancelling gives nothing away.
    ///
    /// More orders than the cap are granted as a full cap: [`Grant::orders`] says how many may be committed.
    pub async fn acquire(&self, orders: NonZeroU32) -> Grant {
        let _turn = self.inner.turn.lock().await;
        loop {
            // Listening begins before looking, so that no change between the two is missed.
            let changed = self.inner.changed.notified();
            let wait_until = match self.inner.lock().try_grant(u64::from(orders.get()), Instant::now()) {
                Ok(orders) => return Grant { inner: self.inner.clone(), orders },
                Err(wait_until) => wait_until,
            };
            match wait_until {
                Some(instant) => tokio::select! {
                    () = sleep_until(instant) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// Orders that hold a credit now.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        let mut state = self.inner.lock();
        state.expire(Instant::now());
        state.granted + state.answered_sum
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn expire(&mut self, now: Instant) {
        while let Some(&(free_at, orders)) = self.answered.front() {
            if free_at > now {
                break;
            }
            self.answered.pop_front();
            self.answered_sum -= orders;
        }
    }

    /// The granted number, or when to look again (`None`: when something changes).
    fn try_grant(&mut self, orders: u64, now: Instant) -> Result<u64, Option<Instant>> {
        self.expire(now);
        let cap = u64::from(self.cap.get());
        let orders = orders.min(cap);
        if self.granted + self.answered_sum + orders > cap {
            // The soonest return may not suffice; then the loop looks again. With nothing answered, all credits
            // are with commits under way, and an answer will ring.
            return Err(self.answered.front().map(|&(free_at, _)| free_at));
        }
        if self.next_grant_at > now {
            return Err(Some(self.next_grant_at));
        }
        self.granted += orders;
        self.next_grant_at = now + Duration::from_nanos(orders * 1_000_000_000 / cap);
        Ok(orders)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.inner.lock();
        state.granted -= self.orders;
        state.answered_sum += self.orders;
        state.answered.push_back((now + WINDOW, self.orders));
        drop(state);
        self.inner.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
