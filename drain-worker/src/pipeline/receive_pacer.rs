//! Gathers messages into few receives at ordinary rates.
//!
//! The broker answers a receive as soon as it has one message. With several receives in flight, a thousand orders a second
//! would cost nearly a thousand receives, and as many small transactions. So while receives are not full, there is one for
//! each broker, and after one a pause during which messages gather. A full receive shows a backlog: it ends the pause and
//! doubles the receives in flight.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

#[derive(Debug)]
pub(super) struct ReceivePacer {
    /// Maximum receives in flight.
    receives_max: usize,
    pause: Duration,
    state: Mutex<PacerState>,
    changed: Notify,
}

#[derive(Debug)]
struct PacerState {
    in_flight: usize,
    /// Receives that may be in flight now.
    allowed: usize,
    /// No receive begins before.
    not_before: Instant,
}

impl ReceivePacer {
    pub(super) fn new(receives_max: usize, pause: Duration) -> Self {
        let state = PacerState { in_flight: 0, allowed: 1, not_before: Instant::now() };
        Self { receives_max, pause, state: Mutex::new(state), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, PacerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a receive may begin; `brokers` may always have one each. Each call needs one of [`Self::end`].
    pub(super) async fn begin(&self, brokers: usize) {
        loop {
            let changed = self.changed.notified();
            let wait_until = {
                let mut state = self.lock();
                let allowed = state.allowed.max(brokers).min(self.receives_max);
                if state.in_flight >= allowed {
                    None
                } else if state.not_before > Instant::now() {
                    Some(state.not_before)
                } else {
                    state.in_flight += 1;
                    return;
                }
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

    /// Records the end of a receive. `was_full`: it returned as many messages as it could.
    pub(super) fn end(&self, was_full: bool) {
        let mut state = self.lock();
        state.in_flight -= 1;
        if was_full {
            state.allowed = (state.allowed * 2).min(self.receives_max);
            state.not_before = Instant::now();
        } else {
            state.allowed = (state.allowed / 2).max(1);
            state.not_before = Instant::now() + self.pause;
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{sleep, timeout};

    use super::*;

    const PAUSE: Duration = Duration::from_millis(20);
    const RECEIVE_MAX: usize = 32;

    /// A broker as its documentation has it: a receive waits for one message, then returns all that wait, at most 32.
    #[derive(Default)]
    struct ModelBroker {
        waiting: AtomicUsize,
        published: Notify,
        receives: AtomicUsize,
        messages: AtomicUsize,
    }

    impl ModelBroker {
        fn publish(&self, messages: usize) {
            self.waiting.fetch_add(messages, Ordering::Relaxed);
            self.published.notify_one();
        }

        async fn receive(&self) -> usize {
            let received = loop {
                let waiting = self.waiting.load(Ordering::Relaxed);
                if waiting > 0 {
                    break waiting.min(RECEIVE_MAX);
                }
                if timeout(Duration::from_secs(5), self.published.notified()).await.is_err() {
                    break 0;
                }
            };
            let left = self.waiting.fetch_sub(received, Ordering::Relaxed) - received;
            if left > 0 {
                self.published.notify_one();
            }
            self.receives.fetch_add(1, Ordering::Relaxed);
            self.messages.fetch_add(received, Ordering::Relaxed);
            received
        }
    }

    fn receive_with(receives_max: usize) -> Arc<ModelBroker> {
        let broker = Arc::new(ModelBroker::default());
        let pacer = Arc::new(ReceivePacer::new(receives_max, PAUSE));
        for _ in 0..receives_max {
            let (broker, pacer) = (broker.clone(), pacer.clone());
            tokio::spawn(async move {
                loop {
                    pacer.begin(1).await;
                    let received = broker.receive().await;
                    pacer.end(received == RECEIVE_MAX);
                }
            });
        }
        broker
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_messages_a_second_take_fifty_receives() {
        let broker = receive_with(4);
        for _ in 0..1_000 {
            sleep(Duration::from_millis(1)).await;
            broker.publish(1);
        }
        sleep(PAUSE * 2).await;
        assert_eq!(broker.messages.load(Ordering::Relaxed), 1_000);
        let receives = broker.receives.load(Ordering::Relaxed);
        assert!(receives <= 60, "{receives}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_message_is_received_at_once() {
        let broker = receive_with(4);
        sleep(Duration::from_secs(1)).await;
        broker.publish(1);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(broker.messages.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_is_received_without_pauses() {
        let broker = receive_with(4);
        sleep(Duration::from_secs(1)).await;
        broker.publish(32_000);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(broker.messages.load(Ordering::Relaxed), 32_000);
    }

    #[tokio::test(start_paused = true)]
    async fn each_broker_has_a_receive_in_flight() {
        let pacer = ReceivePacer::new(4, PAUSE);
        for _ in 0..3 {
            timeout(Duration::ZERO, pacer.begin(3)).await.expect("may begin");
        }
        assert!(timeout(Duration::from_secs(60), pacer.begin(3)).await.is_err(), "as many as brokers");
        pacer.end(true);
        timeout(Duration::ZERO, pacer.begin(3)).await.expect("the broker's next one");
    }
}
