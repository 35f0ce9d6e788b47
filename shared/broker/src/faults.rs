//! Scripted faults for tests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::clients::Clients;
use super::error::{BrokerError, Refusal};
use super::store::Store;
use spillway_rocketmq::protocol::Code;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Call {
    /// QueryRoute.
    QueryRoute,
    /// Heartbeat.
    Heartbeat,
    /// SendMessage.
    Send,
    /// ReceiveMessage.
    Receive,
    /// AckMessage.
    Ack,
    /// ChangeInvisibleDuration.
    ChangeInvisibleDuration,
    /// A command of a Telemetry stream.
    Telemetry,
    /// NotifyClientTermination.
    NotifyClientTermination,
}

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
    stall: watch::Sender<Stalled>,
    /// Cancelled to reset the connections accepted so far.
    connections: Mutex<CancellationToken>,
    /// Cancelled when the broker stops.
    kill: CancellationToken,
    clients: Arc<Clients>,
    stores: Vec<Store>,
}

#[derive(Debug, Default)]
struct Script {
    throttle_next: u64,
    throttle_all: bool,
    refuse_connections: bool,
    connections_accepted: u64,
    latency: Duration,
    rejected: BTreeMap<Call, Code>,
    ack_entries: VecDeque<Code>,
    calls: BTreeMap<Call, NumberedCalls>,
}

/// Counts the calls of one kind, and holds the numbers of those that fail.
#[derive(Debug, Default)]
struct NumberedCalls {
    count: u64,
    failing: BTreeMap<u64, FailAt>,
}

impl NumberedCalls {
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

/// The calls whose responses are held.
#[derive(Clone, Debug, PartialEq)]
struct Stalled {
    all: Stall,
    calls: BTreeSet<Call>,
}

impl Faults {
    pub(crate) fn new(clients: Arc<Clients>, stores: Vec<Store>, kill: CancellationToken) -> Self {
        let connections = Mutex::new(kill.child_token());
        let stall = watch::Sender::new(Stalled { all: Stall::Off, calls: BTreeSet::new() });
        Self {
            inner: Arc::new(Inner { script: Mutex::default(), stall, connections, kill, clients, stores }),
        }
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
        self.fail(Call::Send, nth, at);
    }

    /// Fails the `nth` AckMessage call from now, 1 being the next. Several numbers may be set.
    pub fn fail_ack(&self, nth: u64, at: FailAt) {
        self.fail(Call::Ack, nth, at);
    }

    fn fail(&self, call: Call, nth: u64, at: FailAt) {
        self.script().calls.entry(call).or_default().fail(nth, at);
    }

    /// Rejects every call of one kind with `code`; `None` ends it.
    pub fn reject(&self, call: Call, code: Option<Code>) {
        let mut script = self.script();
        match code {
            Some(code) => script.rejected.insert(call, code),
            None => script.rejected.remove(&call),
        };
    }

    /// Gives the next entries of AckMessage calls these statuses, in order. An entry with `OK` is settled as usual; any
    /// other is not settled.
    pub fn answer_ack_entries(&self, codes: impl IntoIterator<Item = Code>) {
        self.script().ack_entries.extend(codes);
    }

    /// Number of calls of one kind so far, failed ones included.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.script().calls.get(&call).map_or(0, |calls| calls.count)
    }

    /// Number of connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.script().connections_accepted
    }

    /// Holds every response until [`Faults::resume`]. Requests are still executed.
    pub fn stall(&self) {
        self.inner.stall.send_modify(|stalled| stalled.all = Stall::UntilResumed);
    }

    /// Holds every response for `duration` from now. Requests are still executed.
    pub fn stall_for(&self, duration: Duration) {
        self.inner.stall.send_modify(|stalled| stalled.all = Stall::Until(Instant::now() + duration));
    }

    /// Holds every response to one kind of call until [`Faults::resume`]. Requests are still executed.
    pub fn stall_call(&self, call: Call) {
        self.inner.stall.send_modify(|stalled| _ = stalled.calls.insert(call));
    }

    /// Sends the held responses.
    pub fn resume(&self) {
        self.inner.stall.send_replace(Stalled { all: Stall::Off, calls: BTreeSet::new() });
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
        let mut count = 0;
        for store in &self.inner.stores {
            count += store.redeliver().await?;
        }
        Ok(count)
    }

    /// Removes the settings that clients sent through Telemetry; their streams stay open. A receive fails with
    /// `INTERNAL_SERVER_ERROR` until its client sends its settings again.
    pub fn forget_settings(&self) {
        self.inner.clients.forget_all();
    }

    // For the server.

    /// Counts a call. Returns its scripted failure.
    pub(crate) fn begin(&self, call: Call) -> Result<Option<FailAt>, Refusal> {
        let mut script = self.script();
        let fail = script.calls.entry(call).or_default().next();
        if call == Call::Send && (script.throttle_all || script.throttle_next > 0) {
            script.throttle_next = script.throttle_next.saturating_sub(1);
            return Err(Refusal::new(Code::TOO_MANY_REQUESTS, "ordered fault: throttled"));
        }
        if let Some(code) = script.rejected.get(&call) {
            return Err(Refusal::new(*code, "ordered fault: rejected"));
        }
        match fail {
            Some(FailAt::Before) => Err(Refusal::new(Code::INTERNAL_SERVER_ERROR, "ordered fault: failed")),
            other => Ok(other),
        }
    }

    /// Returns the scripted status of the next entry of an ack; `None`: it is settled.
    pub(crate) fn next_ack_entry(&self) -> Option<Code> {
        self.script().ack_entries.pop_front().filter(|code| *code != Code::OK)
    }

    pub(crate) fn refuses_connections(&self) -> bool {
        self.script().refuse_connections
    }

    /// Counts a connection. Returns the token that resets it.
    pub(crate) fn connection(&self) -> CancellationToken {
        self.script().connections_accepted += 1;
        self.inner.connections.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits while responses to `call` are held, or until `stopping`.
    pub(crate) async fn hold(&self, call: Call, stopping: &CancellationToken) {
        let latency = self.script().latency;
        let is_held = {
            let stalled = self.inner.stall.borrow();
            stalled.all != Stall::Off || stalled.calls.contains(&call)
        };
        if !latency.is_zero() || is_held {
            let _stopped = stopping.run_until_cancelled(self.held(call, latency)).await;
        }
    }

    async fn held(&self, call: Call, latency: Duration) {
        sleep(latency).await;
        let mut stall = self.inner.stall.subscribe();
        loop {
            let until = {
                let stalled = stall.borrow_and_update();
                match stalled.all {
                    _ if stalled.calls.contains(&call) => None,
                    Stall::Off => return,
                    Stall::Until(until) if until <= Instant::now() => return,
                    Stall::Until(until) => Some(until),
                    Stall::UntilResumed => None,
                }
            };
            tokio::select! {
                changed = stall.changed() => if changed.is_err() { return },
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return,
            }
        }
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
        let mut calls = NumberedCalls::default();
        assert_eq!(calls.next(), None);
        calls.fail(2, FailAt::After);
        calls.fail(1, FailAt::Before);
        assert_eq!(
            [calls.next(), calls.next(), calls.next()],
            [Some(FailAt::Before), Some(FailAt::After), None]
        );
    }
}
