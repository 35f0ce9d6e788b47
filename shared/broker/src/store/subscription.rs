//! One group on one topic: how far it is on each queue, and what it holds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tokio::time::Instant;

use super::ops::Waiter;

/// A message that was handed out and is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Out {
    /// Deliveries so far.
    pub(crate) attempts: u16,
    /// Of the latest delivery.
    pub(crate) lease: u64,
    /// Hidden until then; `None` once it may be delivered again.
    pub(crate) until: Option<Instant>,
}

/// A group's place on one queue.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// The first offset that was never handed out.
    pub(crate) next: u64,
    /// Below `next`: handed out and not settled. Whatever is missing here is settled.
    pub(crate) out: BTreeMap<u64, Out>,
    /// Of these, the ones that may be delivered again.
    pub(crate) again: BTreeSet<u64>,
    /// Messages settled.
    pub(crate) settled: u64,
}

impl Cursor {
    pub(crate) fn starting_at(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// Whether the group has yet to settle `offset`.
    pub(crate) fn needs(&self, offset: u64) -> bool {
        offset >= self.next || self.out.contains_key(&offset)
    }

    /// The first offset that is not settled.
    pub(crate) fn oldest(&self) -> u64 {
        self.out.first_key_value().map_or(self.next, |(offset, _)| *offset)
    }
}

/// A group on a topic.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    /// By queue; `None` until the group's first receive that touches the queue.
    pub(crate) cursors: Vec<Option<Cursor>>,
    /// Hidden messages by the end of their hiding.
    expiry: BTreeSet<(Instant, u32, u64)>,
    /// The queue the next receive starts at.
    turn: usize,
    /// Receives that found nothing and wait.
    pub(crate) waiters: VecDeque<Waiter>,
    /// Set when waiting receives may find something.
    pub(crate) stirred: bool,
}

impl Subscription {
    /// The queues of a receive, in its order.
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

    /// Puts the group on a queue.
    pub(crate) fn start(&mut self, queue: usize, next: u64) {
        if self.cursors.len() <= queue {
            self.cursors.resize_with(queue + 1, || None);
        }
        self.cursors[queue].get_or_insert_with(|| Cursor::starting_at(next));
    }

    /// Hides a message: the delivery, or the change of one.
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

    /// Whether `lease` holds the message right now.
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

    /// Settles a message. Whether it was open.
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

    /// Makes every message visible whose hiding has ended by `now`.
    pub(crate) fn lapse(&mut self, now: Instant) {
        while let Some(&(until, queue, offset)) = self.expiry.first()
            && until <= now
        {
            self.expiry.pop_first();
            self.show(queue, offset);
        }
    }

    /// Makes every hidden message visible. How many there were.
    pub(crate) fn lapse_all(&mut self) -> usize {
        let hidden = std::mem::take(&mut self.expiry);
        for (_, queue, offset) in &hidden {
            self.show(*queue, *offset);
        }
        hidden.len()
    }

    /// Takes a delivery back that never left the broker.
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

    /// When the next hidden message becomes visible.
    pub(crate) fn next_lapse(&self) -> Option<Instant> {
        self.expiry.first().map(|(until, _, _)| *until)
    }

    /// Messages handed out and not settled, hidden or not.
    pub(crate) fn out(&self) -> usize {
        self.cursors.iter().flatten().map(|cursor| cursor.out.len()).sum()
    }

    pub(crate) fn hidden(&self) -> usize {
        self.expiry.len()
    }

    /// Sets `expiry` and `again` from what the cursors hold, after they were read from the log.
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

/// What a receipt is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReceiptState {
    /// It holds the message.
    Held { attempts: u16 },
    /// The message is settled already.
    Settled,
    /// The hiding ended, or another delivery or change replaced the receipt.
    Lost,
    /// The group was never given that message.
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
