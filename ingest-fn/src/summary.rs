//! Failures under overload come by the thousand; one line a second tells of them all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shared::rocketmq::SendError;
use tokio::time::Instant;

/// Logs at most once an interval, and says how many it kept to itself.
#[derive(Debug)]
pub struct RateLimited {
    interval: Duration,
    last: std::sync::Mutex<Option<Instant>>,
    kept: AtomicU64,
}

impl RateLimited {
    /// One line each `interval`.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self { interval, last: std::sync::Mutex::new(None), kept: AtomicU64::new(0) }
    }

    /// `Some(events since the last line, this one included)` if a line is due.
    pub fn due(&self) -> Option<u64> {
        self.kept.fetch_add(1, Ordering::Relaxed);
        // Whoever does not get the lock at once leaves the line to the one who has it.
        let mut last = self.last.try_lock().ok()?;
        let now = Instant::now();
        if last.is_some_and(|last| now.duration_since(last) < self.interval) {
            return None;
        }
        // Zero if the holder of the lock before told of this event as well.
        let kept = self.kept.swap(0, Ordering::Relaxed);
        (kept > 0).then(|| {
            *last = Some(now);
            kept
        })
    }
}

/// Tells of messages that did not get to the broker.
pub fn publish_failure(error: &SendError) {
    static LINE: RateLimited = RateLimited::every(Duration::from_secs(1));
    if let Some(messages) = LINE.due() {
        tracing::warn!(messages, %error, "publishing fails");
    }
}

/// Tells of requests refused for want of room.
pub fn shed() {
    static LINE: RateLimited = RateLimited::every(Duration::from_secs(1));
    if let Some(requests) = LINE.due() {
        tracing::warn!(requests, "requests shed: too many under way");
    }
}

/// Tells of connections closed for want of room.
pub fn connections_shed() {
    static LINE: RateLimited = RateLimited::every(Duration::from_secs(1));
    if let Some(connections) = LINE.due() {
        tracing::warn!(connections, "connections shed: too many open");
    }
}

/// Tells of connections that could not be taken.
pub fn accept_failure(error: &std::io::Error) {
    static LINE: RateLimited = RateLimited::every(Duration::from_secs(1));
    if let Some(times) = LINE.due() {
        tracing::warn!(times, %error, "a connection could not be taken");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_an_interval_counts_what_it_kept() {
        let line = RateLimited::every(Duration::from_secs(1));
        assert_eq!(line.due(), Some(1));
        for _ in 0..5 {
            assert_eq!(line.due(), None);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(line.due(), Some(6));
    }
}
