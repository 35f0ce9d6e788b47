//! The brake that sends share: one throttled send holds back all others of its topic and broker.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::error::ClientError;
use crate::route::BrokerKey;

/// The brakes that are on. A brake holds sends back for a delay, then lets one pass; if that one is not throttled the
/// brake is off, else the next delay begins.
#[derive(Debug, Default)]
pub(super) struct ThrottleBrakes {
    on: Mutex<HashMap<BrakeKey, Arc<Brake>>>,
    /// Length of `on`: nearly always zero, and then no send locks.
    count: AtomicUsize,
}

/// The topic and broker of sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BrakeKey {
    pub(super) topic: String,
    pub(super) broker: Arc<BrokerKey>,
}

#[derive(Debug)]
struct Brake {
    state: Mutex<BrakeState>,
    changed: Notify,
}

#[derive(Debug)]
struct BrakeState {
    until: Instant,
    /// Throttled sends in a row, those in flight together counted once.
    rounds: u32,
    /// True while the one send after a delay is in flight.
    is_probed: bool,
    is_off: bool,
    /// The server's last message.
    message: String,
}

/// The permission for one send, which must conclude it.
#[derive(Debug)]
#[must_use = "the brake waits for the result of the send"]
pub(super) struct BrakePass {
    /// The brake whose delay this send ends.
    probed: Option<Arc<Brake>>,
}

/// The decision about a send.
enum Decision {
    Pass(BrakePass),
    /// Held back: until this instant, or until the brake changes.
    WaitUntil(Option<Instant>),
    Off,
}

impl ThrottleBrakes {
    fn on(&self) -> MutexGuard<'_, HashMap<BrakeKey, Arc<Brake>>> {
        self.on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn are_off(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    fn get(&self, key: &BrakeKey) -> Option<Arc<Brake>> {
        if self.are_off() { None } else { self.on().get(key).cloned() }
    }

    /// True if sends of `key` are held back.
    pub(super) fn holds(&self, key: &BrakeKey) -> bool {
        self.get(key).is_some_and(|brake| brake.state().until > Instant::now())
    }

    /// The pass of a send while every brake is off.
    pub(super) const fn free() -> BrakePass {
        BrakePass { probed: None }
    }

    /// Waits until a send may be made.
    ///
    /// # Errors
    /// [`ClientError::Throttled`] as soon as the send could not be made before `latest`.
    pub(super) async fn pass(&self, key: &BrakeKey, latest: Instant) -> Result<BrakePass, ClientError> {
        while let Some(brake) = self.get(key) {
            let changed = brake.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let until = match brake.decide() {
                Decision::Pass(pass) => return Ok(pass),
                Decision::Off => continue,
                Decision::WaitUntil(until) => until,
            };
            if Instant::now() >= latest || until.is_some_and(|until| until > latest) {
                return Err(ClientError::Throttled { message: brake.state().message.clone() });
            }
            tokio::select! {
                () = &mut changed => {}
                () = sleep_until(until.unwrap_or(latest)) => {}
            }
        }
        Ok(Self::free())
    }

    /// Notes the result of a send. `delay` is the server's delay before an attempt, from 2.
    pub(super) fn conclude<T>(
        &self,
        key: impl FnOnce() -> BrakeKey,
        pass: BrakePass,
        result: &Result<T, ClientError>,
        delay: impl Fn(u32) -> Duration,
    ) {
        match (pass.probed, result) {
            (None, Err(ClientError::Throttled { message })) => {
                let mut on = self.on();
                // Sends that were in flight together are throttled together.
                on.entry(key()).or_insert_with(|| Arc::new(Brake::new(delay(2), message.clone())));
                self.count.store(on.len(), Ordering::Release);
            }
            (None, _) => {}
            (Some(brake), Err(ClientError::Throttled { message })) => {
                let mut state = brake.state();
                state.rounds = state.rounds.saturating_add(1);
                state.until = Instant::now() + delay(state.rounds.saturating_add(1));
                state.is_probed = false;
                state.message.clone_from(message);
                drop(state);
                brake.changed.notify_waiters();
            }
            // Another failure is no reason to hold sends back here.
            (Some(brake), _) => {
                let mut on = self.on();
                on.remove(&key());
                self.count.store(on.len(), Ordering::Release);
                drop(on);
                brake.state().is_off = true;
                brake.changed.notify_waiters();
            }
        }
    }
}

impl Brake {
    fn new(delay: Duration, message: String) -> Self {
        let until = Instant::now() + delay;
        let state = BrakeState { until, rounds: 1, is_probed: false, is_off: false, message };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, BrakeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(self: &Arc<Self>) -> Decision {
        let mut state = self.state();
        if state.is_off {
            Decision::Off
        } else if state.is_probed {
            Decision::WaitUntil(None)
        } else if state.until > Instant::now() {
            Decision::WaitUntil(Some(state.until))
        } else {
            state.is_probed = true;
            Decision::Pass(BrakePass { probed: Some(self.clone()) })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use tokio::time::sleep;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn key(topic: &str) -> BrakeKey {
        let broker = BrokerKey { endpoints: "127.0.0.1:1".parse().expect("valid"), name: "a".to_owned() };
        BrakeKey { topic: topic.to_owned(), broker: Arc::new(broker) }
    }

    /// The delays of Apache's proxy before attempts 2, 3, …
    fn delay(attempt: u32) -> Duration {
        (10 * MS * (1 << (attempt - 1).min(8))).min(1_000 * MS)
    }

    fn throttled() -> Result<(), ClientError> {
        Err(ClientError::Throttled { message: "slow down".to_owned() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_send_holds_back_its_topic_and_broker() {
        let brakes = ThrottleBrakes::default();
        let far = Instant::now() + 60_000 * MS;
        for _ in 0..3 {
            brakes.conclude(|| key("orders"), ThrottleBrakes::free(), &throttled(), delay);
        }
        assert!(brakes.holds(&key("orders")) && !brakes.holds(&key("others")));
        let began = Instant::now();
        let _other_topic = brakes.pass(&key("others"), far).await.expect("passes");
        assert_eq!(began.elapsed(), Duration::ZERO);
        for held in [20, 40, 80, 160, 320, 640, 1_000, 1_000] {
            let began = Instant::now();
            let pass = brakes.pass(&key("orders"), far).await.expect("passes");
            assert!(began.elapsed().abs_diff(held * MS) <= MS, "{:?}, not {held} ms", began.elapsed());
            // One at a time: the next waits for its result.
            let late = brakes.pass(&key("orders"), Instant::now() + 5 * MS).await;
            assert_eq!(late.map(drop), throttled());
            brakes.conclude(|| key("orders"), pass, &throttled(), delay);
        }
        // A send that the delay would make late is refused at once.
        let began = Instant::now();
        assert_eq!(brakes.pass(&key("orders"), began + 900 * MS).await.map(drop), throttled());
        assert_eq!(began.elapsed(), Duration::ZERO);
        let pass = brakes.pass(&key("orders"), far).await.expect("passes");
        brakes.conclude(|| key("orders"), pass, &Ok(()), delay);
        assert!(brakes.are_off() && !brakes.holds(&key("orders")));
    }

    /// A server that takes 50 sends in each tenth of a second, and senders that offer as many as they can.
    #[tokio::test(start_paused = true)]
    async fn senders_use_most_of_a_quota_and_waste_few_calls() {
        const SENDERS: usize = 32;
        const WINDOWS: u32 = 50;
        const QUOTA: u32 = 50;
        let brakes = Arc::new(ThrottleBrakes::default());
        let calls = Arc::new(Mutex::new(HashMap::<u128, u32>::new()));
        let accepted = Arc::new(AtomicU32::new(0));
        let began = Instant::now();
        let end = began + 100 * MS * WINDOWS;
        for _ in 0..SENDERS {
            let (brakes, calls, accepted) = (brakes.clone(), calls.clone(), accepted.clone());
            tokio::spawn(async move {
                while Instant::now() < end {
                    let pass = brakes.pass(&key("orders"), end).await;
                    let Ok(pass) = pass else { return };
                    sleep(2 * MS).await;
                    let mut calls = calls.lock().expect("not poisoned");
                    let call = calls.entry(began.elapsed().as_millis() / 100).or_default();
                    *call += 1;
                    let result = if *call <= QUOTA { Ok(()) } else { throttled() };
                    accepted.fetch_add(result.is_ok().into(), Ordering::Relaxed);
                    brakes.conclude(|| key("orders"), pass, &result, delay);
                }
            });
        }
        sleep(100 * MS * WINDOWS + 2_000 * MS).await;
        let accepted = accepted.load(Ordering::Relaxed);
        let calls: u32 = calls.lock().expect("not poisoned").values().sum();
        assert!(accepted >= WINDOWS * QUOTA / 2, "{accepted} of {}", WINDOWS * QUOTA);
        assert!(calls - accepted <= accepted, "{} of {calls} calls were throttled", calls - accepted);
    }
}
