//! Future tasks besides the plan.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use super::in_flight::InFlight;

#[derive(Debug)]
pub(super) enum TimedTask {
    Retry(Box<InFlight>),
    /// Disconnect, if the request is still in flight.
    HangUp(ConnectionSlot),
    /// Send the next part of a slow body.
    Trickle(ConnectionSlot),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionSlot {
    pub(super) slot: usize,
    pub(super) flight_id: u64,
}

#[derive(Debug)]
struct TimerEntry {
    at_ns: u64,
    task: TimedTask,
}

impl PartialEq for TimerEntry {
    fn eq(&self, other: &Self) -> bool {
        self.at_ns == other.at_ns
    }
}

impl Eq for TimerEntry {}

impl PartialOrd for TimerEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TimerEntry {
    /// The earliest is the greatest: it leaves the heap first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at_ns.cmp(&self.at_ns)
    }
}

/// Timers, and the deadlines of requests in flight.
#[derive(Debug)]
pub(super) struct TimerQueue {
    tasks: BinaryHeap<TimerEntry>,
    /// All requests have the same time-out, so the deadlines are in order.
    deadlines: VecDeque<(u64, ConnectionSlot)>,
    retries: usize,
}

impl TimerQueue {
    /// Reserves places for `deadlines_max` deadlines, so that the queue never moves.
    pub(super) fn new(deadlines_max: usize) -> Self {
        let deadlines = VecDeque::with_capacity(deadlines_max);
        Self { tasks: BinaryHeap::new(), deadlines, retries: 0 }
    }

    pub(super) fn set(&mut self, at_ns: u64, task: TimedTask) {
        self.retries += usize::from(matches!(task, TimedTask::Retry(_)));
        self.tasks.push(TimerEntry { at_ns, task });
    }

    pub(super) fn set_deadline(&mut self, at_ns: u64, place: ConnectionSlot) {
        self.deadlines.push_back((at_ns, place));
    }

    pub(super) fn due(&mut self, now_ns: u64) -> Option<TimedTask> {
        if self.tasks.peek()?.at_ns > now_ns {
            return None;
        }
        let timer = self.tasks.pop()?;
        self.retries -= usize::from(matches!(timer.task, TimedTask::Retry(_)));
        Some(timer.task)
    }

    /// The next request in flight whose deadline has passed. Drops the deadlines before it of requests that have ended,
    /// so that few remain.
    pub(super) fn expired(
        &mut self,
        now_ns: u64,
        is_under_way: impl Fn(ConnectionSlot) -> bool,
    ) -> Option<ConnectionSlot> {
        while let Some((at_ns, place)) = self.deadlines.front().copied() {
            let waits = is_under_way(place);
            if waits && at_ns > now_ns {
                return None;
            }
            self.deadlines.pop_front();
            if waits {
                return Some(place);
            }
        }
        None
    }

    pub(super) fn next_ns(&self) -> Option<u64> {
        let task = self.tasks.peek().map(|timer| timer.at_ns);
        let deadline = self.deadlines.front().map(|(at_ns, _)| *at_ns);
        [task, deadline].into_iter().flatten().min()
    }

    /// Requests that wait to be retried.
    pub(super) const fn retries(&self) -> usize {
        self.retries
    }

    /// Takes all retries out; the remaining tasks belong to requests in flight.
    pub(super) fn drop_retries(&mut self) -> Vec<InFlight> {
        if self.retries == 0 {
            return Vec::new();
        }
        self.retries = 0;
        let (mut tasks, mut retries) = (BinaryHeap::new(), Vec::new());
        for timer in self.tasks.drain() {
            match timer.task {
                TimedTask::Retry(flight) => retries.push(*flight),
                _ => tasks.push(timer),
            }
        }
        self.tasks = tasks;
        retries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_of_ended_requests_leave_early_and_only_those_in_flight_expire() {
        let mut timers = TimerQueue::new(8);
        let place = |flight_id| ConnectionSlot { slot: 0, flight_id };
        for flight_id in 0..100 {
            timers.set_deadline(1_000 + flight_id, place(flight_id));
        }
        assert_eq!(timers.expired(0, |place| place.flight_id >= 90), None);
        assert_eq!((timers.deadlines.len(), timers.next_ns()), (10, Some(1_090)));
        assert_eq!(timers.expired(1_091, |place| place.flight_id != 90), Some(place(91)));
        assert_eq!(timers.expired(1_091, |_| true), None);
        assert_eq!(timers.next_ns(), Some(1_092));
    }
}
