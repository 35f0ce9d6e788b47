//! Elapsed time that counts suspensions of the process and the machine.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// An instant on the monotonic clock and the wall clock. While a process is frozen or its machine is suspended, one of the
/// two may stop; [`Self::age`] uses the larger value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreezeAwareInstant {
    monotonic: Instant,
    wall: SystemTime,
}

impl FreezeAwareInstant {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    pub(crate) fn age(&self) -> Duration {
        // A wall clock that was set back counts as zero.
        self.monotonic.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_larger_of_both_clocks_counts() {
        let hour = Duration::from_secs(3_600);
        let instant = FreezeAwareInstant::now();
        assert!(instant.age() < hour);
        let suspended = FreezeAwareInstant { wall: instant.wall - hour, ..instant };
        assert!(suspended.age() >= hour, "the monotonic clock stopped during a suspension");
        let set_back = FreezeAwareInstant { wall: instant.wall + hour, ..instant };
        assert_eq!(set_back.age(), Duration::ZERO);
        tokio::time::advance(hour).await;
        assert_eq!(set_back.age(), hour);
    }
}
