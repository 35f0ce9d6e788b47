//! Whose turn it is on a connection, and until when.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::time::{Instant, sleep_until};

use super::Patience;

/// Follows one connection. hyper's own time-out counts silence between requests as part of the next head: a connection
/// that may rest for a minute could not ask for a head within ten seconds.
#[derive(Debug)]
pub(super) struct Turns {
    patience: Patience,
    /// Only the connection's own task takes it: nobody ever waits.
    now: Mutex<Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    step: Step,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A head is to come, or on its way.
    Head,
    /// A head is there, an answer is not.
    Answer,
    /// Nothing is asked.
    Idle,
}

impl Turns {
    /// A connection begins, and its first head with it.
    pub(super) fn new(patience: Patience) -> Self {
        let until = Instant::now() + patience.head;
        Self { patience, now: Mutex::new(Turn { step: Step::Head, until }) }
    }

    /// Bytes came.
    pub(super) fn heard(&self) {
        let mut now = self.now();
        // More of a head does not buy it time.
        if now.step == Step::Idle {
            *now = Turn { step: Step::Head, until: Instant::now() + self.patience.head };
        }
    }

    /// A head is complete.
    pub(super) fn asked(&self) {
        *self.now() = Turn { step: Step::Answer, until: Instant::now() + self.patience.answer };
    }

    /// The answer is there.
    pub(super) fn answered(&self) {
        *self.now() = Turn { step: Step::Idle, until: Instant::now() + self.patience.idle };
    }

    /// Runs `conversation`, which these turns are of, to its end, or until one of them takes too long.
    pub(super) async fn bound(&self, conversation: impl Future<Output = ()>) {
        let mut conversation = pin!(conversation);
        let mut alarm = pin!(sleep_until(self.until()));
        poll_fn(|cx| {
            if conversation.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            // Turns change only while the conversation is polled, so the alarm is never set too late.
            let until = self.until();
            if until != alarm.deadline() {
                alarm.as_mut().reset(until);
            }
            alarm.as_mut().poll(cx)
        })
        .await;
    }

    fn until(&self) -> Instant {
        self.now().until
    }

    fn now(&self) -> MutexGuard<'_, Turn> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
