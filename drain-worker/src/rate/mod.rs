//! The rate gate: no one-second window of this worker's commits ever exceeds its share of the pool's cap.
//!
//! Two rules, both in orders:
//! - *Credit.* An order takes a credit when it is granted and gives it back one second after its commit was
//!   answered. There are as many credits as the share. The commit lies somewhere between grant and answer, so any
//!   two orders whose commits are less than a second apart hold their credits at the same time, and a window of a
//!   second can hold no more commits than there are credits, however commits bunch up. Use is about
//!   `1 / (1 + commit latency in seconds)`.
//! - *Opening.* A credit that comes back may go out again at once. Those that nobody used are opened one after the other,
//!   about as fast as all of them go round, so that a start or a burst does not reach the database as one wave that then
//!   comes again every second.
//!
//! A grant may be for fewer orders than were asked for: credits come back in the portions they were given out in, and
//! waiting for a whole batch's worth would leave those that are back already idle.
//!
//! The gate is bound to a lease. What was granted under one lease cannot be committed under the next
//! ([`crate::store::Fence`]), so a gate that gets another lease starts with nothing outstanding.

mod state;

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::store::Fence;
use state::{GateState, GrantDetails};

/// How long a credit outlives the commit's answer: the window that the cap is about, and a thousandth more, since two
/// clocks that are each kept right may differ in speed by so much while one is being corrected.
pub const WINDOW: Duration = Duration::from_millis(1_001);

/// Grants permission to write orders. Clones share one number of credits.
#[derive(Clone, Debug)]
pub struct RateGate {
    inner: Arc<GateInner>,
}

#[derive(Debug)]
struct GateInner {
    state: Mutex<GateState>,
    /// Rung when credits come back or their number changes.
    changed: Notify,
    /// Rung when the number of credits changes.
    resized: Notify,
    /// Rung when the fence is revoked.
    revoked: Notify,
    /// Rung when somebody has to wait for a credit.
    starved: Notify,
    /// Grants are given in the order they were asked for.
    turn: tokio::sync::Mutex<()>,
    window: Duration,
}

/// What a gate tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateUsage {
    /// Its credits: orders a second.
    pub credits: u32,
    /// Orders that hold a credit now. May exceed `credits` for a second after they were lowered.
    pub outstanding: u32,
    /// Most orders that held a credit since this was asked last.
    pub outstanding_peak: u32,
    /// Whether somebody waited for a credit since this was asked last.
    pub was_starved: bool,
}

impl GateUsage {
    /// The least that the share may be: what is out or may go out.
    #[must_use]
    pub fn holds(&self) -> u32 {
        self.credits.max(self.outstanding)
    }
}

impl RateGate {
    /// A gate without a lease and with no credits: nothing is granted before [`RateGate::bind`].
    #[must_use]
    pub fn closed() -> Self {
        Self::with_window(WINDOW)
    }

    /// A gate that nobody else shares a cap with: at most `credits` orders in any one second.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn standalone(credits: NonZeroU32) -> Self {
        let gate = Self::closed();
        gate.set_credits(credits.get());
        gate
    }

    /// A gate whose credits outlive a commit by `window`: for simulating clocks that run too fast or too slow.
    #[must_use]
    pub fn with_window(window: Duration) -> Self {
        let inner = GateInner {
            state: Mutex::new(GateState::default()),
            changed: Notify::new(),
            resized: Notify::new(),
            revoked: Notify::new(),
            starved: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            window,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Grants under `fence` from now on, starting with no credits. Grants given before count no more: they cannot be
    /// committed.
    pub fn bind(&self, fence: Fence) {
        self.inner.lock().bind(fence);
        self.inner.changed.notify_waiters();
    }

    /// Changes the number of credits, from now on; 0 grants nothing. Orders that hold more go on holding them.
    pub fn set_credits(&self, credits: u32) {
        self.raise_credits(credits, credits);
    }

    /// As [`RateGate::set_credits`], on the way to `target`: credits are opened as fast as those would be.
    pub fn raise_credits(&self, credits: u32, target: u32) {
        if self.inner.lock().set_credits(credits, target, Instant::now()) {
            self.inner.changed.notify_waiters();
            self.inner.resized.notify_waiters();
        }
    }

    /// Grants nothing more under `fence`, which is worth nothing any more. Whoever minds the lease is told.
    pub fn revoke(&self, fence: Fence) {
        if self.inner.lock().revoke(fence) {
            self.inner.revoked.notify_one();
            self.inner.changed.notify_waiters();
        }
    }

    /// Waits until its fence is revoked; once for each time.
    pub async fn revoked(&self) {
        self.inner.revoked.notified().await;
    }

    /// Waits until somebody has to wait for a credit; at once if somebody had to since this was asked last.
    pub async fn starved(&self) {
        self.inner.starved.notified().await;
    }

    /// Waits for the number of credits to change, from the moment of the call on.
    pub fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.inner.resized.notified()
    }

    /// Its credits, orders a second.
    #[must_use]
    pub fn credits(&self) -> u32 {
        self.inner.lock().credits()
    }

    /// What has happened since this was asked last.
    #[must_use]
    pub fn take_usage(&self) -> GateUsage {
        self.inner.lock().take_usage(Instant::now())
    }

    /// Orders that hold a credit now.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.inner.lock().outstanding(Instant::now())
    }

    /// Waits for permission to commit some of `orders`, in the order of asking: [`Grant::orders`] says how many.
    /// Cancelling takes nothing.
    pub async fn acquire(&self, orders: NonZeroU32) -> Grant {
        let _turn = self.inner.turn.lock().await;
        let _waiting = WaiterGuard(&self.inner);
        loop {
            // Listening begins before looking, so that no change between the two is missed.
            let changed = self.inner.changed.notified();
            let wait_until = match self.inner.lock().try_grant(orders.get(), Instant::now()) {
                Ok(details) => return Grant::new(self.inner.clone(), details),
                Err(wait_until) => wait_until,
            };
            self.inner.starved.notify_one();
            match wait_until {
                Some(instant) => tokio::select! {
                    () = sleep_until(instant) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }
}

/// Whoever waits; dropped when it has what it wants, or gives up.
struct WaiterGuard<'a>(&'a GateInner);

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().stop_waiting();
    }
}

impl GateInner {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commit of `orders` was answered, or never asked for.
    fn complete(&self, orders: u32, epoch: u64) {
        self.lock().complete(orders, epoch, Instant::now() + self.window);
        self.changed.notify_waiters();
    }
}

/// Permission to commit a number of orders under a lease.
///
/// Its credits come back a second after [`Grant::complete`]. A grant that is just dropped keeps them for as long as the
/// lease lasts: whoever gave up on a commit, was cancelled or panicked cannot know that it does not happen yet.
#[must_use = "a grant that is dropped never gives its credits back"]
pub struct Grant {
    inner: Arc<GateInner>,
    details: GrantDetails,
}

impl Grant {
    const fn new(inner: Arc<GateInner>, details: GrantDetails) -> Self {
        Self { inner, details }
    }

    /// How many orders may be committed under it.
    #[must_use]
    pub const fn orders(&self) -> NonZeroU32 {
        self.details.orders
    }

    /// The lease that the commit must stand under.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.details.fence
    }

    /// The commit was answered, or never asked for: the credits run out their second.
    pub fn complete(self) {
        self.inner.complete(self.details.orders.get(), self.details.epoch);
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Grant").field(&self.details).finish()
    }
}
