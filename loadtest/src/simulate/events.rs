//! What is still to come, by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::platform::Nanos;

/// Something that will happen to an instance, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A request has its answer.
    Done(u32),
    /// It takes requests.
    Ready(u32),
    /// It has ended.
    Gone(u32),
}

/// Events in order of time; at the same time in order of kind and instance, so that a run is repeatable.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Time, kind and instance in one number: one comparison orders them.
    heap: BinaryHeap<Reverse<u128>>,
}

impl Events {
    pub(super) fn push(&mut self, at: Nanos, event: Event) {
        let (kind, index) = match event {
            Event::Done(index) => (0, index),
            Event::Ready(index) => (1, index),
            Event::Gone(index) => (2, index),
        };
        self.heap.push(Reverse(u128::from(at) << 64 | kind << 32 | u128::from(index)));
    }

    /// When the next one is due; [`Nanos::MAX`]: none is.
    pub(super) fn next_at(&self) -> Nanos {
        self.heap.peek().map_or(Nanos::MAX, |Reverse(event)| (event >> 64) as Nanos)
    }

    pub(super) fn pop(&mut self) -> Option<(Nanos, Event)> {
        let Reverse(event) = self.heap.pop()?;
        let index = event as u32;
        let event_kind = (event >> 32) as u32;
        let what = match event_kind {
            0 => Event::Done(index),
            1 => Event::Ready(index),
            _ => Event::Gone(index),
        };
        Some(((event >> 64) as Nanos, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_kind_then_instance() {
        let mut events = Events::default();
        let ordered = [
            (1, Event::Gone(9)),
            (5, Event::Done(2)),
            (5, Event::Done(u32::MAX)),
            (5, Event::Ready(0)),
            (5, Event::Gone(0)),
            (u64::MAX - 1, Event::Ready(7)),
        ];
        for (at, event) in [3, 0, 5, 4, 2, 1].map(|place| ordered[place]) {
            events.push(at, event);
        }
        let mut popped = Vec::new();
        while let Some(next) = events.pop() {
            popped.push(next);
        }
        assert_eq!(popped, ordered);
        assert_eq!(events.next_at(), u64::MAX);
    }
}
