//! Time-outs of a connection's steps: head, answer, idle.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Maximum duration of a connection's next step. On a time-out the server closes the connection without a response.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// A request's head: from its first byte (on a new connection: from the accept) to its end.
    pub head: Duration,
    /// From the end of the head to the response's head: the request's body, and its processing.
    pub answer: Duration,
    /// From the response's head to the next request's first byte: the client reads the response, then is idle.
    pub idle: Duration,
}

impl Default for Timeouts {
    /// 10 s, 60 s, 75 s. The slowest request, a page of redriven dead letters, takes at most 20 s. A load balancer that
    /// reuses connections should close idle ones first, or a request may meet a connection that is being closed; they
    /// commonly wait at most 60 s (Alibaba's ALB 15 s by default, at most 60 s: likely).
    fn default() -> Self {
        Self { head: Duration::from_secs(10), answer: Duration::from_secs(60), idle: Duration::from_secs(75) }
    }
}

/// The current step of one connection and its deadline.
///
/// hyper's own time-out counts the silence between requests as part of the next head: a connection that may be idle for
/// a minute could not have a time-out of ten seconds for a head.
#[derive(Debug)]
pub(super) struct ConnectionTimeouts {
    timeouts: Timeouts,
    /// Locked by the connection's own task alone, so never contended.
    current: Mutex<Step>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    is_idle: bool,
    deadline: Instant,
}

impl ConnectionTimeouts {
    /// A new connection: its first head is due.
    pub(super) fn new(timeouts: Timeouts) -> Self {
        let deadline = Instant::now() + timeouts.head;
        Self { timeouts, current: Mutex::new(Step { is_idle: false, deadline }) }
    }

    pub(super) fn bytes_read(&self) {
        let mut current = self.current();
        // Further bytes of a head do not extend its deadline.
        if current.is_idle {
            *current = Step { is_idle: false, deadline: Instant::now() + self.timeouts.head };
        }
    }

    pub(super) fn head_read(&self) {
        *self.current() = Step { is_idle: false, deadline: Instant::now() + self.timeouts.answer };
    }

    pub(super) fn answered(&self) {
        *self.current() = Step { is_idle: true, deadline: Instant::now() + self.timeouts.idle };
    }

    /// Runs `connection` to its end, or until one of its steps exceeds its time-out.
    pub(super) async fn enforce(&self, connection: impl Future<Output = ()>) {
        let mut connection = pin!(connection);
        let mut timer = pin!(sleep_until(self.deadline()));
        poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            // Steps change only while the connection is polled, so the timer is never reset too late.
            let deadline = self.deadline();
            if deadline != timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(cx)
        })
        .await;
    }

    fn deadline(&self) -> Instant {
        self.current().deadline
    }

    fn current(&self) -> MutexGuard<'_, Step> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
