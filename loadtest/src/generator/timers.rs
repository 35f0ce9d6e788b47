//! What is to happen later, besides the plan.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use super::flight::Flight;

/// Something to do at its time.
#[derive(Debug)]
pub(super) enum Task {
    /// Send a request again.
    Retry(Box<Flight>),
    /// Hang up, if the request is still under way.
    HangUp(Place),
    /// Let go of more of a slow body.
    Trickle(Place),
}

/// A request on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: usize,
    pub(super) flight_id: u64,
}

#[derive(Debug)]
struct Timer {
    at_ns: u64,
    task: Task,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.at_ns == other.at_ns
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    /// The earliest is the greatest: it comes first out of a heap.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at_ns.cmp(&self.at_ns)
    }
}

/// Timers, and the deadlines of requests on connections.
#[derive(Debug, Default)]
pub(super) struct Timers {
    tasks: BinaryHeap<Timer>,
    /// All requests have the same time-out, so these are in order.
    deadlines: VecDeque<(u64, Place)>,
    retries: usize,
}

impl Timers {
    pub(super) fn set(&mut self, at_ns: u64, task: Task) {
        self.retries += usize::from(matches!(task, Task::Retry(_)));
        self.tasks.push(Timer { at_ns, task });
    }

    pub(super) fn set_deadline(&mut self, at_ns: u64, place: Place) {
        self.deadlines.push_back((at_ns, place));
    }

    /// The next task that is due.
    pub(super) fn due(&mut self, now_ns: u64) -> Option<Task> {
        if self.tasks.peek()?.at_ns > now_ns {
            return None;
        }
        let timer = self.tasks.pop()?;
        self.retries -= usize::from(matches!(timer.task, Task::Retry(_)));
        Some(timer.task)
    }

    /// The next request whose time is over, if it is still under way.
    pub(super) fn expired(&mut self, now_ns: u64) -> Option<Place> {
        let (at_ns, place) = *self.deadlines.front()?;
        if at_ns > now_ns {
            return None;
        }
        self.deadlines.pop_front();
        Some(place)
    }

    /// When to look next.
    pub(super) fn next_ns(&self) -> Option<u64> {
        let task = self.tasks.peek().map(|timer| timer.at_ns);
        let deadline = self.deadlines.front().map(|(at_ns, _)| *at_ns);
        [task, deadline].into_iter().flatten().min()
    }

    /// Requests that are to be sent again.
    pub(super) const fn retries(&self) -> usize {
        self.retries
    }

    /// Gives up sending again: what is left of the tasks belongs to requests under way.
    pub(super) fn drop_retries(&mut self) {
        self.tasks.retain(|timer| !matches!(timer.task, Task::Retry(_)));
        self.retries = 0;
    }
}
