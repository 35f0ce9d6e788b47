//! A timer with sub-millisecond precision: the selector's own time-out counts in milliseconds, and a millisecond is
//! fifty requests.

use std::time::Duration;

use mio::{Events, Poll, Token};

/// Minimum sleep, nanoseconds. Requests that are due within it leave together. It bounds the wake-ups of a thread and
/// is far below the allowed send delay.
const GRAIN_NS: u64 = 100_000;

/// Tick of a busy thread, nanoseconds. It sends the due requests, reads the responses, and sleeps until the next tick.
/// Waking up for each response would cost as much CPU as the requests, here and in the server. A response may be read a
/// tick late.
pub(super) const TICK_NS: u64 = 200_000;

/// Maximum sleep: a stop request is noticed within this time.
const SLEEP_NS_MAX: u64 = 50_000_000;

/// Sleeps until the next tick; returns the events of the meantime.
pub(super) fn sleep_until_tick(poll: &mut Poll, events: &mut Events, now_ns: u64) -> std::io::Result<()> {
    sleep(TICK_NS - now_ns % TICK_NS);
    poll.poll(events, Some(Duration::ZERO))
}

#[allow(clippy::disallowed_methods, reason = "a thread of its own, outside any runtime")]
fn sleep(ns: u64) {
    std::thread::sleep(Duration::from_nanos(ns));
}

/// Waits on a selector until a point in time.
#[derive(Debug)]
pub(super) struct WakeTimer {
    #[cfg(target_os = "linux")]
    timer: std::os::fd::OwnedFd,
    /// The time at which the timer fires, nanoseconds of the generator's clock; 0: not set.
    #[cfg(target_os = "linux")]
    rings_at_ns: u64,
}

#[cfg(target_os = "linux")]
impl WakeTimer {
    /// Creates a timer for `poll`; its events carry `token`.
    pub(super) fn new(poll: &Poll, token: Token) -> std::io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        use std::os::fd::AsRawFd;

        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let descriptor = timer.as_raw_fd();
        poll.registry().register(&mut mio::unix::SourceFd(&descriptor), token, mio::Interest::READABLE)?;
        Ok(Self { timer, rings_at_ns: 0 })
    }

    /// Waits for events, at most until `until_ns`.
    pub(super) fn wait(
        &mut self,
        poll: &mut Poll,
        events: &mut Events,
        now_ns: u64,
        until_ns: u64,
    ) -> std::io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        if until_ns <= now_ns {
            return poll.poll(events, Some(Duration::ZERO));
        }
        let sleep_ns = (until_ns - now_ns).clamp(GRAIN_NS, SLEEP_NS_MAX);
        let wake_ns = now_ns + sleep_ns;
        // An earlier time is as good: the caller waits again after an early wake-up.
        if self.rings_at_ns <= now_ns || self.rings_at_ns > wake_ns {
            let value = Timespec { tv_sec: 0, tv_nsec: sleep_ns as _ };
            let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
            self.rings_at_ns = wake_ns;
        }
        poll.poll(events, None)
    }
}

#[cfg(not(target_os = "linux"))]
impl WakeTimer {
    pub(super) fn new(_poll: &Poll, _token: Token) -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for events, at most until `until_ns`, which the selector rounds up to a millisecond.
    pub(super) fn wait(
        &mut self,
        poll: &mut Poll,
        events: &mut Events,
        now_ns: u64,
        until_ns: u64,
    ) -> std::io::Result<()> {
        let sleep_ns = until_ns.saturating_sub(now_ns);
        let sleep_ns = if sleep_ns == 0 { 0 } else { sleep_ns.clamp(GRAIN_NS, SLEEP_NS_MAX) };
        poll.poll(events, Some(Duration::from_nanos(sleep_ns)))
    }
}
