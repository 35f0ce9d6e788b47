//! The rate gate: no one-second window of this worker's commits ever exceeds its share of the pool's cap.
//!
//! Two rules, both in orders:
//! - *Credit.* An order acquires a credit with its grant and returns it one second after its commit was answered.
//!   There are as many credits as the share. The commit lies between grant and answer, so two orders whose commits
//!   are less than a second apart hold credits at the same time. A window of a second therefore holds no more commits
//!   than there are credits, however commits are distributed. Utilisation is about `1 / (1 + commit latency in
//!   seconds)`.
//! - *Opening.* A returned credit may be granted again at once. Unused credits are opened one by one, about as fast
//!   as all of them circulate. So a start or a burst does not reach the database as one wave that repeats every
//!   second.
//!
//! A grant may be for fewer orders than requested: credits return in the portions in which they were granted, and
//! waiting for a whole batch would leave returned ones idle.
//!
//! The gate is bound to a lease. Orders granted under one lease cannot be committed under the next
//! ([`crate::store::Fence`]), so a gate with a new lease starts with nothing outstanding.

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

/// Time for which a credit outlives the commit's answer: the window of the cap, plus a thousandth. Two clocks that
/// are each disciplined may differ in speed by that much while one is being corrected.
pub const WINDOW: Duration = Duration::from_millis(1_001);

/// Grants permission to commit orders. Clones share one set of credits.
#[derive(Clone, Debug)]
pub struct RateGate {
    inner: Arc<GateInner>,
}

#[derive(Debug)]
struct GateInner {
    state: Mutex<GateState>,
    /// Notifies that credits returned or their number changed.
    changed: Notify,
    /// Notifies that the number of credits changed.
    resized: Notify,
    revoked: Notify,
    /// Notifies that a caller of `acquire` has to wait for a credit.
    starved: Notify,
    /// Grants are given in the order of the requests.
    turn: tokio::sync::Mutex<()>,
    window: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateUsage {
    /// Orders a second.
    pub credits: u32,
    /// Orders that hold a credit now. May exceed `credits` for a second after a decrease.
    pub outstanding: u32,
    /// Maximum of orders that held a credit since the previous call.
    pub outstanding_peak: u32,
    /// True if a caller waited for a credit since the previous call.
    pub was_starved: bool,
}

impl GateUsage {
    /// The minimum of the share: credits that are outstanding or may be granted.
    #[must_use]
    pub fn holds(&self) -> u32 {
        self.credits.max(self.outstanding)
    }
}

impl RateGate {
    /// A gate without a lease and without credits: it grants nothing before [`RateGate::bind`].
    #[must_use]
    pub fn closed() -> Self {
        Self::with_window(WINDOW)
    }

    /// A gate that shares its cap with no other worker: at most `credits` orders in any second.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn standalone(credits: NonZeroU32) -> Self {
        let gate = Self::closed();
        gate.set_credits(credits.get());
        gate
    }

    /// A gate whose credits outlive a commit by `window`: for simulations of clocks that run too fast or too slow.
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

    /// Grants under `fence` from now on, starting without credits. Earlier grants no longer count: they cannot be
    /// committed.
    pub fn bind(&self, fence: Fence) {
        self.inner.lock().bind(fence);
        self.inner.changed.notify_waiters();
    }

    /// Grants from now on rely on the share that the lease had after this number of changes.
    pub fn rely_on(&self, changes: i64) {
        self.inner.lock().rely_on(changes);
    }

    /// Changes the number of credits; 0 grants nothing. Outstanding orders retain theirs.
    pub fn set_credits(&self, credits: u32) {
        self.raise_credits(credits, credits);
    }

    /// As [`RateGate::set_credits`], on the way to `target`: opens credits at the speed for `target`.
    pub fn raise_credits(&self, credits: u32, target: u32) {
        if self.inner.lock().set_credits(credits, target, Instant::now()) {
            self.inner.changed.notify_waiters();
            self.inner.resized.notify_waiters();
        }
    }

    /// Grants nothing more under `fence`, whose lease is gone, and notifies [`RateGate::revoked`].
    pub fn revoke(&self, fence: Fence) {
        if self.inner.lock().revoke(fence) {
            self.inner.revoked.notify_one();
            self.inner.changed.notify_waiters();
        }
    }

    /// Waits until the fence is revoked; returns once per revocation. Cancel safe.
    pub async fn revoked(&self) {
        self.inner.revoked.notified().await;
    }

    /// Waits until a caller of `acquire` has to wait for a credit; returns at once if one had to since the previous
    /// call.
    pub async fn starved(&self) {
        self.inner.starved.notified().await;
    }

    /// Waits for a change of the number of credits, from the moment of the call on.
    pub fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.inner.resized.notified()
    }

    /// Orders a second.
    #[must_use]
    pub fn credits(&self) -> u32 {
        self.inner.lock().credits()
    }

    /// Usage since the previous call.
    #[must_use]
    pub fn take_usage(&self) -> GateUsage {
        self.inner.lock().take_usage(Instant::now())
    }

    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.inner.lock().outstanding(Instant::now())
    }

    /// Waits for permission to commit some of `orders`, in the order of the calls: [`Grant::orders`] says how many.
    /// Cancel safe: a cancelled call acquires nothing.
    pub async fn acquire(&self, orders: NonZeroU32) -> Grant {
        let _turn = self.inner.turn.lock().await;
        let _waiting = WaiterGuard(&self.inner);
        loop {
            // Subscribe before the check, so that no change between the two is missed.
            let changed = self.inner.changed.notified();
            let (wait_until, is_starved) = {
                let mut state = self.inner.lock();
                match state.try_grant(orders.get(), Instant::now()) {
                    Ok(details) => return Grant::new(self.inner.clone(), details),
                    Err(wait_until) => (wait_until, state.is_starved()),
                }
            };
            if is_starved {
                self.inner.starved.notify_one();
            }
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

/// Marks a waiting caller; dropped with its grant or its cancellation.
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

    fn complete(&self, grant: GrantDetails) {
        self.lock().complete(grant, Instant::now(), self.window);
        self.changed.notify_waiters();
    }
}

/// Permission to commit a number of orders under a lease.
///
/// The credits return one second after [`Grant::complete`], or at once with [`Grant::release`]. A dropped grant retains them until the lease ends: after
/// an error, a cancellation or a panic the commit may still happen.
#[must_use = "a grant that is dropped never gives its credits back"]
pub struct Grant {
    inner: Arc<GateInner>,
    details: GrantDetails,
}

impl Grant {
    const fn new(inner: Arc<GateInner>, details: GrantDetails) -> Self {
        Self { inner, details }
    }

    /// The maximum number of orders.
    #[must_use]
    pub const fn orders(&self) -> NonZeroU32 {
        self.details.orders
    }

    /// The lease that the transaction must check.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.details.fence
    }

    /// Starts the last second of the credits: the database has answered, or no commit was sent.
    pub fn complete(self) {
        self.inner.complete(self.details);
    }

    /// Returns the credits at once: no COMMIT was sent under this grant, so nothing counts against the cap.
    pub fn release(self) {
        self.inner.lock().release(self.details.orders.get(), self.details.epoch, Instant::now());
        self.inner.changed.notify_waiters();
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Grant").field(&self.details).finish()
    }
}
