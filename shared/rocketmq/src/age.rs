//! How old something is, by two clocks.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// When something was learnt. A process may be frozen, and its machine suspended: not every clock runs on meanwhile,
/// so the one that says more is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LearntAt {
    monotonic: Instant,
    wall: SystemTime,
}

impl LearntAt {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    pub(crate) fn age(&self) -> Duration {
        // A wall clock that was set back says nothing.
        self.monotonic.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_that_says_more_is_believed() {
        let hour = Duration::from_secs(3_600);
        let learnt = LearntAt::now();
        assert!(learnt.age() < hour);
        let slept_through = LearntAt { wall: learnt.wall - hour, ..learnt };
        assert!(slept_through.age() >= hour, "suspended: the monotonic clock stood still");
        let set_back = LearntAt { wall: learnt.wall + hour, ..learnt };
        assert_eq!(set_back.age(), Duration::ZERO);
        tokio::time::advance(hour).await;
        assert_eq!(set_back.age(), hour);
    }
}
