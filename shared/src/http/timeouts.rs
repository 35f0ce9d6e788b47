//! Time-outs of a connection's steps: head, answer, idle.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

/// Maximum duration of a connection's next step; `None`: no bound. On a time-out the server closes the connection: a
/// head that has begun gets 408, any other step no response.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// A request's head, from its first byte to its end. A new connection has as long for its first byte, unless an
    /// idle connection has no bound.
    pub head: Duration,
    /// From the end of the head to the response's head: the request's body, and its processing.
    pub answer: Option<Duration>,
    /// From the response's head to the next request's first byte: the client reads the response, then is idle.
    pub idle: Option<Duration>,
}

impl Timeouts {
    /// A bound on the head alone, for a peer that reuses connections and a service with bounds of its own.
    #[must_use]
    pub const fn head_only(head: Duration) -> Self {
        Self { head, answer: None, idle: None }
    }
}

impl Default for Timeouts {
    /// 10 s, 60 s, 75 s. The slowest request, a page of redriven dead letters, takes at most 20 s. A load balancer that
    /// reuses connections should close idle ones first, or a request may meet a connection that is being closed; they
    /// commonly wait at most 60 s (Alibaba's ALB 15 s by default, at most 60 s: likely).
    fn default() -> Self {
        let (answer, idle) = (Some(Duration::from_secs(60)), Some(Duration::from_secs(75)));
        Self { head: Duration::from_secs(10), answer, idle }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Accepted, and no byte read yet.
    New,
    Head,
    Answer,
    Idle,
}

impl Step {
    const ALL: [Self; 4] = [Self::New, Self::Head, Self::Answer, Self::Idle];

    const fn timeout(self, timeouts: &Timeouts) -> Option<Duration> {
        match self {
            Self::New if timeouts.idle.is_none() => None,
            Self::New | Self::Head => Some(timeouts.head),
            Self::Answer => timeouts.answer,
            Self::Idle => timeouts.idle,
        }
    }
}

/// The current step of one connection. Written by the connection's own task alone.
///
/// hyper's own time-out counts the silence between requests as part of the next head: a connection that may be idle for
/// a minute could not have a time-out of ten seconds for a head. Here the clock is read only if a step with a bound is
/// unfinished when the connection waits, so a request that arrives whole costs nothing.
#[derive(Debug, Default)]
pub(super) struct ConnectionSteps {
    /// The number of steps so far times four, plus the index of the current step.
    current: AtomicU32,
}

impl ConnectionSteps {
    /// Further bytes of a head do not extend its deadline.
    pub(super) fn bytes_read(&self) {
        if matches!(self.step(), Step::New | Step::Idle) {
            self.enter(Step::Head);
        }
    }

    pub(super) fn enter(&self, step: Step) {
        let before = self.current.load(Ordering::Relaxed);
        self.current.store((before & !3).wrapping_add(4) | step as u32, Ordering::Relaxed);
    }

    pub(super) fn step(&self) -> Step {
        Step::ALL[(self.current.load(Ordering::Relaxed) & 3) as usize]
    }

    /// Runs `connection` to its end, or until one of its steps exceeds its time-out. Returns that step.
    pub(super) async fn enforce(
        &self,
        timeouts: &Timeouts,
        connection: impl Future<Output = ()>,
    ) -> Option<Step> {
        let mut connection = pin!(connection);
        let mut timer = pin!(None);
        let mut timed = None;
        poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            // Steps change only while the connection is polled, so a timer never starts too late.
            let current = self.current.load(Ordering::Relaxed);
            if timed != Some(current) {
                timed = Some(current);
                timer.set(self.step().timeout(timeouts).map(sleep));
            }
            match timer.as_mut().as_pin_mut() {
                Some(timer) => timer.poll(cx).map(|()| Some(self.step())),
                None => Poll::Pending,
            }
        })
        .await
    }
}
