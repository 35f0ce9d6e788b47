//! Two clocks: the monotonic one for deadlines, the wall clock for persistence.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

const AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Pairs an instant with the wall clock at the moment the store was opened.
///
/// A later jump of the wall clock moves no deadline of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base: Instant,
    base_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { base: Instant::now(), base_ms: wall_ms() }
    }

    /// Converts `instant` to milliseconds since 1970.
    pub(crate) fn to_ms(self, instant: Instant) -> u64 {
        let after = instant.saturating_duration_since(self.base);
        let before = self.base.saturating_duration_since(instant);
        self.base_ms.saturating_add(millis(after)).saturating_sub(millis(before))
    }

    /// Converts `ms` since 1970 to an instant, from the opening to a day after it: no message is hidden longer, and a
    /// wall clock that was set back must not hide messages for years.
    pub(crate) fn to_instant(self, ms: u64) -> Instant {
        self.base + Duration::from_millis(ms.saturating_sub(self.base_ms).min(AHEAD_MS_MAX))
    }
}

/// The current time, milliseconds since 1970.
pub(crate) fn wall_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Converts `ms` since 1970 to wall-clock time.
pub(crate) fn system_time(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clocks_keep_step() {
        let clock = Clock::start();
        let later = Instant::now() + Duration::from_secs(90);
        assert_eq!(clock.to_instant(clock.to_ms(later)), later);
        assert_eq!(clock.to_instant(0), Instant::now());
    }
}
