//! Scripted faults for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::clients::Clients;
use super::error::{BrokerError, Refusal};
use super::store::Store;
use spillway_rocketmq::protocol::Code;

/// The point at which a scripted call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailAt {
    /// Nothing is done; the call returns `INTERNAL_SERVER_ERROR`.
    Before,
    /// Everything is done, then the response is lost: the call ends with gRPC's `UNAVAILABLE`, as when a connection
    /// breaks at that moment.
    After,
}

/// Scripts the broker's faults. Clones are cheap and control the same broker.
///
/// All methods take effect immediately and may be called at any time.
#[derive(Clone, Debug)]
pub struct Faults {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    script: Mutex<Script>,
    stall: watch::Sender<Stall>,
    /// Cancelled to reset the connections accepted so far.
    connections: Mutex<CancellationToken>,
    /// Cancelled when the broker stops.
    kill: CancellationToken,
    clients: Arc<Clients>,
    store: Store,
}

#[derive(Debug, Default)]
struct Script {
    throttle_next: u64,
    throttle_all: bool,
    refuse_connections: bool,
    latency: Duration,
    sends: Calls,
    acks: Calls,
}

/// Counts the calls of one kind, and holds the numbers of those that fail.
#[derive(Debug, Default)]
struct Calls {
    count: u64,
    failing: BTreeMap<u64, FailAt>,
}

impl Calls {
    fn fail(&mut self, nth: u64, at: FailAt) {
        self.failing.insert(self.count.saturating_add(nth.max(1)), at);
    }

    fn next(&mut self) -> Option<FailAt> {
        self.count += 1;
        self.failing.remove(&self.count)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stall {
    Off,
    UntilResumed,
    Until(Instant),
}

impl Faults {
    pub(crate) fn new(clients: Arc<Clients>, store: Store, kill: CancellationToken) -> Self {
        let connections = Mutex::new(kill.child_token());
        let stall = watch::Sender::new(Stall::Off);
        Self { inner: Arc::new(Inner { script: Mutex::default(), stall, connections, kill, clients, store }) }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.inner.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rejects the next `count` sends with `TOO_MANY_REQUESTS`.
    pub fn throttle_sends(&self, count: u64) {
        self.script().throttle_next = count;
    }

    /// Rejects every send with `TOO_MANY_REQUESTS` while `on`.
    pub fn throttle_all_sends(&self, on: bool) {
        self.script().throttle_all = on;
    }

    /// Fails the `nth` send from now, 1 being the next. Several numbers may be set.
    pub fn fail_send(&self, nth: u64, at: FailAt) {
        self.script().sends.fail(nth, at);
    }

    /// Fails the `nth` AckMessage call from now, 1 being the next. Several numbers may be set.
    pub fn fail_ack(&self, nth: u64, at: FailAt) {
        self.script().acks.fail(nth, at);
    }

    /// Holds every response until [`Faults::resume`]. Requests are still executed.
    pub fn stall(&self) {
        self.inner.stall.send_replace(Stall::UntilResumed);
    }

    /// Holds every response for `duration` from now. Requests are still executed.
    pub fn stall_for(&self, duration: Duration) {
        self.inner.stall.send_replace(Stall::Until(Instant::now() + duration));
    }

    /// Sends the held responses.
    pub fn resume(&self) {
        self.inner.stall.send_replace(Stall::Off);
    }

    /// Adds `latency` to every response.
    pub fn set_latency(&self, latency: Duration) {
        self.script().latency = latency;
    }

    /// Resets every open connection; new ones are accepted.
    pub fn drop_connections(&self) {
        let mut connections = self.inner.connections.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *connections, self.inner.kill.child_token()).cancel();
    }

    /// Resets new connections while `on`; open ones continue.
    pub fn refuse_connections(&self, on: bool) {
        self.script().refuse_connections = on;
    }

    /// Makes every unsettled message visible to its group now, and its receipt invalid. Returns the number of messages.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] if the broker has stopped.
    pub async fn redeliver(&self) -> Result<usize, BrokerError> {
        Ok(self.inner.store.redeliver().await?)
    }

    /// Removes the settings that clients sent through Telemetry; their streams stay open. A receive fails with
    /// `INTERNAL_SERVER_ERROR` until its client sends its settings again.
    pub fn forget_settings(&self) {
        self.inner.clients.forget_all();
    }

    // For the server.

    pub(crate) fn next_send(&self) -> Result<Option<FailAt>, Refusal> {
        let mut script = self.script();
        let fail = script.sends.next();
        if script.throttle_all || script.throttle_next > 0 {
            script.throttle_next = script.throttle_next.saturating_sub(1);
            return Err(Refusal::new(Code::TOO_MANY_REQUESTS, "ordered fault: throttled"));
        }
        failing(fail)
    }

    pub(crate) fn next_ack(&self) -> Result<Option<FailAt>, Refusal> {
        failing(self.script().acks.next())
    }

    pub(crate) fn refuses_connections(&self) -> bool {
        self.script().refuse_connections
    }

    /// Returns a token that resets the connections accepted from now on.
    pub(crate) fn connection(&self) -> CancellationToken {
        self.inner.connections.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits while responses are held, or until `stopping`.
    pub(crate) async fn hold(&self, stopping: &CancellationToken) {
        let latency = self.script().latency;
        if latency.is_zero() && *self.inner.stall.borrow() == Stall::Off {
            return;
        }
        let _stopped = stopping.run_until_cancelled(self.held(latency)).await;
    }

    async fn held(&self, latency: Duration) {
        sleep(latency).await;
        let mut stall = self.inner.stall.subscribe();
        loop {
            let now = *stall.borrow_and_update();
            let until = match now {
                Stall::Off => return,
                Stall::Until(until) if until <= Instant::now() => return,
                Stall::Until(until) => Some(until),
                Stall::UntilResumed => None,
            };
            tokio::select! {
                changed = stall.changed() => if changed.is_err() { return },
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return,
            }
        }
    }
}

fn failing(fail: Option<FailAt>) -> Result<Option<FailAt>, Refusal> {
    match fail {
        Some(FailAt::Before) => Err(Refusal::new(Code::INTERNAL_SERVER_ERROR, "ordered fault: failed")),
        other => Ok(other),
    }
}

/// Replaces a response with its loss, if that is scripted.
pub(crate) fn drop_response<T>(answer: T, fail: Option<FailAt>) -> Result<T, tonic::Status> {
    match fail {
        Some(FailAt::After) => Err(tonic::Status::unavailable("ordered fault: answer lost")),
        Some(FailAt::Before) | None => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripted_calls_fail() {
        let mut calls = Calls::default();
        assert_eq!(calls.next(), None);
        calls.fail(2, FailAt::After);
        calls.fail(1, FailAt::Before);
        assert_eq!(
            [calls.next(), calls.next(), calls.next()],
            [Some(FailAt::Before), Some(FailAt::After), None]
        );
    }
}
