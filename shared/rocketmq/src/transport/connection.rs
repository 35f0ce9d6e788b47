//! A connection to a server, and how long it has been silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::Channel;

/// Minimum age of a connection that is replaced: at most one new connection a second.
const AGE_MIN: Duration = Duration::from_secs(1);

/// Clones are cheap and share the connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) generation: u64,
    pub(super) channel: Channel,
    silence: Arc<Silence>,
}

impl Connection {
    pub(super) fn new(generation: u64, channel: Channel) -> Self {
        Self { generation, channel, silence: Arc::new(Silence::new()) }
    }

    /// Notes the start of a call that the server answers within a request's time-out.
    pub(super) fn asked(&self) {
        self.silence.asked();
    }

    pub(super) fn answered(&self) {
        self.silence.answered();
    }

    /// True if the connection seems dead when a call that began at `began` times out: for `request_timeout` the server
    /// answered nothing on it, although calls waited.
    pub(super) fn is_dead(&self, began: Instant, request_timeout: Duration) -> bool {
        self.silence.opened_at.elapsed() >= AGE_MIN && self.silence.length(began) >= request_timeout
    }
}

/// Times are milliseconds since the connection was opened, plus one; zero is never.
#[derive(Debug)]
struct Silence {
    opened_at: Instant,
    answered_at: AtomicU64,
    /// Start of the first call since the last answer.
    asked_at: AtomicU64,
}

impl Silence {
    fn new() -> Self {
        Self { opened_at: Instant::now(), answered_at: AtomicU64::new(0), asked_at: AtomicU64::new(0) }
    }

    fn time(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.opened_at).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn asked(&self) {
        // Nearly always an earlier call waits already.
        if self.asked_at.load(Ordering::Relaxed) == 0 {
            let now = self.time(Instant::now());
            let _asked_before = self.asked_at.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn answered(&self) {
        self.answered_at.store(self.time(Instant::now()), Ordering::Relaxed);
        self.asked_at.store(0, Ordering::Relaxed);
    }

    /// Time without an answer while a call waited, of which one began at `began`.
    fn length(&self, began: Instant) -> Duration {
        let waiting = self.time(began).max(self.answered_at.load(Ordering::Relaxed));
        let since = match self.asked_at.load(Ordering::Relaxed) {
            0 => waiting,
            asked => waiting.min(asked),
        };
        Duration::from_millis(self.time(Instant::now()).saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_silence_lasts_from_the_first_unanswered_call_to_an_answer() {
        let silence = Silence::new();
        advance(60 * SECOND).await;
        // An idle connection is not silent: nothing was asked.
        let first = Instant::now();
        silence.asked();
        advance(2 * SECOND).await;
        silence.asked();
        assert_eq!(silence.length(Instant::now()), 2 * SECOND, "the first call waits");
        silence.answered();
        advance(SECOND).await;
        assert_eq!(silence.length(first), SECOND, "another call was answered since");
        silence.asked();
        advance(4 * SECOND).await;
        assert_eq!(silence.length(Instant::now() - SECOND), 4 * SECOND);
        assert_eq!(silence.length(first), 5 * SECOND, "this one waited before as well");
    }
}
