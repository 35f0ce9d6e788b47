//! One group on one topic: its cursor on each queue, and its unsettled deliveries.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tokio::time::Instant;

use super::ops::Waiter;

/// A delivered, unsettled message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Out {
    /// Deliveries so far.
    pub(crate) attempts: u16,
    /// Lease of the latest delivery.
    pub(crate) lease: u64,
    /// End of the invisible duration; `None` when it may be delivered again.
    pub(crate) until: Option<Instant>,
}

/// A group's cursor on one queue.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// First offset that was never delivered.
    pub(crate) next: u64,
    /// Delivered and unsettled, below `next`; every other offset below it is settled.
    pub(crate) out: BTreeMap<u64, Out>,
    /// Those of them that may be delivered again.
    pub(crate) again: BTreeSet<u64>,
    /// Number of settled messages.
    pub(crate) settled: u64,
}

impl Cursor {
    pub(crate) fn starting_at(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// True if the group has not settled `offset`.
    pub(crate) fn needs(&self, offset: u64) -> bool {
        offset >= self.next || self.out.contains_key(&offset)
    }

    /// True if a delivered message is hidden.
    pub(crate) fn has_hidden(&self) -> bool {
        self.out.len() > self.again.len()
    }

    /// First unsettled offset.
    pub(crate) fn oldest(&self) -> u64 {
        self.out.first_key_value().map_or(self.next, |(offset, _)| *offset)
    }
}

/// A group on a topic.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    /// Cursors by queue; `None` until the group's first receive that visits the queue.
    pub(crate) cursors: Vec<Option<Cursor>>,
    /// Hidden messages by the end of their invisible duration.
    expiry: BTreeSet<(Instant, u32, u64)>,
    /// First queue of the next receive.
    turn: usize,
    /// Waiting receives.
    pub(crate) waiters: VecDeque<Waiter>,
    /// True if waiting receives may find messages.
    pub(crate) stirred: bool,
}

impl Subscription {
    /// Queues of a receive, in its order.
    pub(crate) fn round(&mut self, queues: usize) -> impl Iterator<Item = usize> + use<> {
        if self.cursors.len() < queues {
            self.cursors.resize_with(queues, || None);
        }
        let first = self.turn % queues.max(1);
        self.turn = first + 1;
        (0..queues).map(move |step| (first + step) % queues)
    }

    pub(crate) fn cursor(&mut self, queue: usize) -> Option<&mut Cursor> {
        self.cursors.get_mut(queue)?.as_mut()
    }

    /// Starts the group on a queue.
    pub(crate) fn start(&mut self, queue: usize, next: u64) {
        if self.cursors.len() <= queue {
            self.cursors.resize_with(queue + 1, || None);
        }
        self.cursors[queue].get_or_insert_with(|| Cursor::starting_at(next));
    }

    /// Hides a message after a delivery, or a change of its invisible duration.
    pub(crate) fn hide(&mut self, queue: u32, offset: u64, attempts: u16, lease: u64, until: Instant) {
        let Some(cursor) = self.cursors.get_mut(queue as usize).and_then(Option::as_mut) else { return };
        cursor.next = cursor.next.max(offset + 1);
        cursor.again.remove(&offset);
        let before = cursor.out.insert(offset, Out { attempts, lease, until: Some(until) });
        if let Some(Out { until: Some(before), .. }) = before {
            self.expiry.remove(&(before, queue, offset));
        }
        self.expiry.insert((until, queue, offset));
    }

    /// Returns the state of the receipt with `lease` at `now`.
    pub(crate) fn holds(&self, queue: u32, offset: u64, lease: u64, now: Instant) -> ReceiptState {
        let Some(cursor) = self.cursors.get(queue as usize).and_then(Option::as_ref) else {
            return ReceiptState::Never;
        };
        if offset >= cursor.next {
            return ReceiptState::Never;
        }
        match cursor.out.get(&offset) {
            None => ReceiptState::Settled,
            Some(out) if out.lease == lease && out.until.is_some_and(|until| until > now) => {
                ReceiptState::Held { attempts: out.attempts }
            }
            Some(_) => ReceiptState::Lost,
        }
    }

    /// Settles a message; returns true if it was unsettled.
    pub(crate) fn settle(&mut self, queue: u32, offset: u64) -> bool {
        let Some(cursor) = self.cursors.get_mut(queue as usize).and_then(Option::as_mut) else {
            return false;
        };
        let Some(out) = cursor.out.remove(&offset) else { return false };
        cursor.again.remove(&offset);
        cursor.settled += 1;
        if let Some(until) = out.until {
            self.expiry.remove(&(until, queue, offset));
        }
        true
    }

    /// Settles a message that the log names: one that was not delivered did not pass the group's filter.
    pub(crate) fn replay_settled(&mut self, queue: u32, offset: u64) {
        if !self.settle(queue, offset)
            && let Some(cursor) = self.cursor(queue as usize)
        {
            cursor.next = cursor.next.max(offset + 1);
            cursor.settled += 1;
        }
    }

    /// Makes every message visible whose invisible duration ended by `now`.
    pub(crate) fn lapse(&mut self, now: Instant) {
        while let Some(&(until, queue, offset)) = self.expiry.first()
            && until <= now
        {
            self.expiry.pop_first();
            self.show(queue, offset);
        }
    }

    /// Makes every hidden message visible; returns their number.
    pub(crate) fn lapse_all(&mut self) -> usize {
        let hidden = std::mem::take(&mut self.expiry);
        for (_, queue, offset) in &hidden {
            self.show(*queue, *offset);
        }
        hidden.len()
    }

    /// Reverts a delivery that never left the broker.
    pub(crate) fn undeliver(&mut self, queue: u32, offset: u64, lease: u64) {
        let Some(out) = self.cursor(queue as usize).and_then(|cursor| cursor.out.get_mut(&offset)) else {
            return;
        };
        if out.lease != lease {
            return;
        }
        out.attempts = out.attempts.saturating_sub(1);
        if let Some(until) = out.until {
            self.expiry.remove(&(until, queue, offset));
        }
        self.show(queue, offset);
    }

    fn show(&mut self, queue: u32, offset: u64) {
        if let Some(cursor) = self.cursor(queue as usize)
            && let Some(out) = cursor.out.get_mut(&offset)
        {
            out.until = None;
            cursor.again.insert(offset);
            self.stirred = true;
        }
    }

    /// Returns the next end of an invisible duration.
    pub(crate) fn next_lapse(&self) -> Option<Instant> {
        self.expiry.first().map(|(until, _, _)| *until)
    }

    /// Number of delivered, unsettled messages, hidden or not.
    pub(crate) fn out(&self) -> usize {
        self.cursors.iter().flatten().map(|cursor| cursor.out.len()).sum()
    }

    pub(crate) fn hidden(&self) -> usize {
        self.expiry.len()
    }

    /// Rebuilds `expiry` and `again` from the cursors, after the log was read.
    pub(crate) fn rebuild(&mut self) {
        self.expiry.clear();
        for (queue, cursor) in (0_u32..).zip(&mut self.cursors) {
            let Some(cursor) = cursor else { continue };
            cursor.again.clear();
            for (offset, out) in &cursor.out {
                match out.until {
                    Some(until) => {
                        self.expiry.insert((until, queue, *offset));
                    }
                    None => {
                        cursor.again.insert(*offset);
                    }
                }
            }
        }
    }
}

/// State of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReceiptState {
    /// The receipt is valid.
    Held { attempts: u16 },
    /// The message is settled.
    Settled,
    /// The invisible duration ended, or a later delivery or change replaced the receipt.
    Lost,
    /// The message was never delivered to the group.
    Never,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn subscription() -> Subscription {
        let mut subscription = Subscription::default();
        subscription.start(0, 5);
        subscription
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_kills_the_receipt_before_it() {
        let mut subscription = subscription();
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(9));
        subscription.hide(0, 5, 1, 100, soon);
        assert_eq!(subscription.holds(0, 5, 100, now), ReceiptState::Held { attempts: 1 });
        subscription.hide(0, 5, 1, 101, late);
        assert_eq!(subscription.holds(0, 5, 100, now), ReceiptState::Lost);
        assert_eq!(subscription.holds(0, 5, 101, now), ReceiptState::Held { attempts: 1 });
        subscription.lapse(soon);
        assert_eq!((subscription.hidden(), subscription.next_lapse()), (1, Some(late)));
        subscription.lapse(late);
        assert_eq!(subscription.holds(0, 5, 101, late), ReceiptState::Lost);
        assert!(subscription.cursor(0).is_some_and(|cursor| cursor.again.contains(&5)));
    }

    #[tokio::test(start_paused = true)]
    async fn settling_works_once_and_leaves_nothing() {
        let mut subscription = subscription();
        let now = Instant::now();
        subscription.hide(0, 5, 1, 100, now + Duration::from_secs(1));
        assert!(subscription.settle(0, 5));
        assert!(!subscription.settle(0, 5));
        assert_eq!(subscription.holds(0, 5, 100, now), ReceiptState::Settled);
        assert_eq!(subscription.holds(0, 6, 100, now), ReceiptState::Never);
        assert_eq!((subscription.hidden(), subscription.lapse_all()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_undelivered_message_costs_no_attempt() {
        let mut subscription = subscription();
        subscription.hide(0, 5, 1, 100, Instant::now() + Duration::from_secs(1));
        subscription.undeliver(0, 5, 99);
        assert_eq!(subscription.hidden(), 1);
        subscription.undeliver(0, 5, 100);
        let out = subscription.cursor(0).and_then(|cursor| cursor.out.get(&5).copied()).expect("held");
        assert_eq!((out.attempts, out.until), (0, None));
    }

    #[test]
    fn receives_start_at_another_queue_each_time() {
        let mut subscription = Subscription::default();
        assert_eq!(subscription.round(3).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(subscription.round(3).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(subscription.round(3).collect::<Vec<_>>(), [2, 0, 1]);
        assert_eq!(subscription.round(4).collect::<Vec<_>>(), [3, 0, 1, 2]);
    }
}
