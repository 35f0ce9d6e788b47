//! Future events of the virtual clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Nanos;

/// An event of the instance with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceEvent {
    Done(u32),
    Ready(u32),
    Gone(u32),
}

/// Events ordered by time, then kind, then instance, so that a run is repeatable.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    /// Time, kind and instance packed into one number: one comparison orders events.
    heap: BinaryHeap<Reverse<u128>>,
}

impl EventQueue {
    pub(super) fn push(&mut self, at: Nanos, event: InstanceEvent) {
        let (kind, index) = match event {
            InstanceEvent::Done(index) => (0, index),
            InstanceEvent::Ready(index) => (1, index),
            InstanceEvent::Gone(index) => (2, index),
        };
        self.heap.push(Reverse(u128::from(at) << 64 | kind << 32 | u128::from(index)));
    }

    /// The time of the next event, or [`Nanos::MAX`].
    pub(super) fn next_at(&self) -> Nanos {
        self.heap.peek().map_or(Nanos::MAX, |Reverse(event)| (event >> 64) as Nanos)
    }

    pub(super) fn pop(&mut self) -> Option<(Nanos, InstanceEvent)> {
        let Reverse(event) = self.heap.pop()?;
        let index = event as u32;
        let event_kind = (event >> 32) as u32;
        let what = match event_kind {
            0 => InstanceEvent::Done(index),
            1 => InstanceEvent::Ready(index),
            _ => InstanceEvent::Gone(index),
        };
        Some(((event >> 64) as Nanos, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_ordered_by_time_then_kind_then_instance() {
        let mut events = EventQueue::default();
        let ordered = [
            (1, InstanceEvent::Gone(9)),
            (5, InstanceEvent::Done(2)),
            (5, InstanceEvent::Done(u32::MAX)),
            (5, InstanceEvent::Ready(0)),
            (5, InstanceEvent::Gone(0)),
            (u64::MAX - 1, InstanceEvent::Ready(7)),
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
