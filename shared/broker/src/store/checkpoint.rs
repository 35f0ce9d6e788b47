//! Writes the whole state, reads it, and moves messages out of nearly empty segments.

use tokio::time::Instant;

use super::record::{
    ChangeKind, Checkpoint, CursorState, Delivered, GroupMade, MessageRecord, Settled, TopicMade, TopicState,
    WAITING_QUEUE, put_message,
};
use super::state::State;
use super::subscription::{Cursor, Out};
use super::topic::Stored;

impl State {
    /// The state without the messages.
    pub(crate) fn checkpoint(&self) -> ChangeKind {
        let topics = (0_u32..)
            .zip(&self.topics)
            .map(|(id, topic)| TopicState {
                id,
                name: topic.name.clone(),
                message_type: topic.message_type.into(),
                next_offsets: topic.queues.iter().map(|queue| queue.next_offset).collect(),
            })
            .collect();
        let groups =
            (0_u32..).zip(&self.groups).map(|(id, name)| GroupMade { id, name: name.clone() }).collect();
        let mut cursors = Vec::new();
        for (key, subscription) in &self.subscriptions {
            for (queue, cursor) in (0_u32..).zip(&subscription.cursors) {
                if let Some(cursor) = cursor {
                    cursors.push(self.cursor_state(*key, queue, cursor));
                }
            }
        }
        ChangeKind::Checkpoint(Checkpoint {
            topics,
            groups,
            cursors,
            lease_next: self.lease_next,
            waiting: self.waiting.numbers.iter().copied().collect(),
            waiting_next: self.waiting.next_number,
        })
    }

    fn cursor_state(&self, (topic, group): (u32, u32), queue: u32, cursor: &Cursor) -> CursorState {
        let mut state = CursorState {
            topic,
            group,
            queue,
            next: cursor.next,
            settled: cursor.settled,
            ..CursorState::default()
        };
        for (offset, out) in &cursor.out {
            state.offsets.push(*offset);
            state.attempts.push(out.attempts.into());
            state.leases.push(out.lease);
            state.until_ms.push(out.until.map_or(0, |until| self.clock.to_ms(until)));
        }
        state
    }

    /// Applies a record of the log. Messages are loaded in a second pass, when their groups are known.
    pub(crate) fn replay(&mut self, change: ChangeKind) {
        match change {
            ChangeKind::Topic(made) => self.topic_made(&made),
            ChangeKind::Group(made) => self.group_made(&made),
            ChangeKind::Started(started) => {
                let subscription = self.subscriptions.entry((started.topic, started.group)).or_default();
                subscription.start(started.queue as usize, started.next);
            }
            ChangeKind::Delivered(delivered) => self.replay_delivered(&delivered),
            ChangeKind::Settled(settled) => self.replay_settled(&settled),
            ChangeKind::Checkpoint(checkpoint) => self.restore(checkpoint),
            ChangeKind::Due(due) => self.waiting.left(&due.numbers),
        }
    }

    fn replay_delivered(&mut self, delivered: &Delivered) {
        let until = self.clock.to_instant(delivered.until_ms);
        let subscription = self.subscriptions.entry((delivered.topic, delivered.group)).or_default();
        let entries = delivered.queues.iter().zip(&delivered.offsets).zip(&delivered.attempts);
        for (lease, ((queue, offset), attempts)) in (delivered.lease_first..).zip(entries) {
            subscription.hide(*queue, *offset, u16::try_from(*attempts).unwrap_or(u16::MAX), lease, until);
            self.lease_next = self.lease_next.max(lease + 1);
        }
    }

    fn replay_settled(&mut self, settled: &Settled) {
        let subscription = self.subscriptions.entry((settled.topic, settled.group)).or_default();
        for (queue, offset) in settled.queues.iter().zip(&settled.offsets) {
            subscription.replay_settled(*queue, *offset);
        }
    }

    fn restore(&mut self, checkpoint: Checkpoint) {
        // Cursors are part of their subscriptions; topics and groups are never removed.
        self.subscriptions.clear();
        self.lease_next = self.lease_next.max(checkpoint.lease_next);
        self.waiting.numbers = checkpoint.waiting.into_iter().collect();
        self.waiting.next_number = self.waiting.next_number.max(checkpoint.waiting_next);
        for topic in checkpoint.topics {
            let queues = u32::try_from(topic.next_offsets.len()).unwrap_or(u32::MAX);
            let TopicState { id, name, message_type, .. } = &topic;
            let made = TopicMade { id: *id, name: name.clone(), queues, message_type: *message_type };
            self.topic_made(&made);
            if let Some(known) = self.topics.get_mut(topic.id as usize) {
                for (queue, next) in known.queues.iter_mut().zip(topic.next_offsets) {
                    queue.next_offset = queue.next_offset.max(next);
                }
            }
        }
        for group in &checkpoint.groups {
            self.group_made(group);
        }
        for state in checkpoint.cursors {
            let mut cursor = Cursor::starting_at(state.next);
            cursor.settled = state.settled;
            let entries =
                state.offsets.iter().zip(&state.attempts).zip(state.leases.iter().zip(&state.until_ms));
            for ((offset, attempts), (lease, until_ms)) in entries {
                let attempts = u16::try_from(*attempts).unwrap_or(u16::MAX);
                let until = (*until_ms > 0).then(|| self.clock.to_instant(*until_ms));
                cursor.out.insert(*offset, Out { attempts, lease: *lease, until });
            }
            let subscription = self.subscriptions.entry((state.topic, state.group)).or_default();
            subscription.start(state.queue as usize, state.next);
            if let Some(started) = subscription.cursor(state.queue as usize) {
                *started = cursor;
            }
        }
    }

    /// Accounts for a message in the log, needed or not.
    pub(crate) fn seen(&mut self, record: &MessageRecord<'_>) {
        if record.queue == WAITING_QUEUE {
            return self.waiting.seen(record.offset);
        }
        let queue = self
            .topics
            .get_mut(record.topic as usize)
            .and_then(|topic| topic.queues.get_mut(record.queue as usize));
        if let Some(queue) = queue {
            queue.next_offset = queue.next_offset.max(record.offset + 1);
        }
    }

    /// Loads a message into memory if some group has not settled it.
    pub(crate) fn load(&mut self, record: &MessageRecord<'_>, segment: u64) {
        if record.queue == WAITING_QUEUE {
            return self.load_waiting(record, segment);
        }
        let mut pending = 0;
        let mut groups = 0;
        for (_, subscription) in self.subscriptions.range_mut((record.topic, 0)..=(record.topic, u32::MAX)) {
            if let Some(cursor) = subscription.cursor(record.queue as usize) {
                groups += 1;
                pending += u32::from(cursor.needs(record.offset));
            }
        }
        let Some(topic) = self.topics.get_mut(record.topic as usize) else { return };
        let waits_for_anyone = groups == 0 && topic.is_dead_letters();
        let Some(queue) = topic.queues.get_mut(record.queue as usize) else { return };
        if pending == 0 && !waits_for_anyone {
            return;
        }
        let raw = bytes::Bytes::copy_from_slice(record.raw);
        self.segments.live(segment, record.encoded_bytes());
        let stored = Stored { raw, stored_ms: record.stored_ms, segment, pending };
        // The message was moved from an older segment, and the process ended before that one was deleted.
        if let Some(older) = queue.messages.insert(record.offset, stored) {
            self.segments.dead(older.segment, record.encoded_bytes());
        }
    }

    /// Makes the parts consistent after the log was read.
    pub(crate) fn settle_down(&mut self, now: Instant) {
        for ((topic, _), subscription) in &mut self.subscriptions {
            let Some(topic) = self.topics.get_mut(*topic as usize) else { continue };
            for (queue, cursor) in topic.queues.iter_mut().zip(&mut subscription.cursors) {
                let Some(cursor) = cursor else { continue };
                queue.next_offset = queue.next_offset.max(cursor.next);
                // Its message was in a segment whose messages were all settled, or in a damaged part.
                cursor.out.retain(|offset, _| queue.messages.contains_key(offset));
            }
            subscription.rebuild();
            subscription.lapse(now);
        }
    }

    /// When the log's budget runs low, copies the needed messages of one segment to the newest, so that its file can be
    /// deleted: first of nearly empty segments, under more pressure of segments that are not full.
    ///
    /// Costs a scan of all messages in memory. Writes less than it frees, or at most three times that.
    pub(crate) fn compact(&mut self, log: &mut Vec<u8>) {
        let bytes_total = self.segments.bytes_total();
        let quarters = match self.limits.bytes_max {
            max if bytes_total > max / 4 * 3 => 3,
            max if bytes_total > max / 2 => 1,
            _ => return,
        };
        let Some(from) = self.segments.sparse(quarters) else { return };
        let to = self.segments.newest();
        for moved_bytes in self.waiting.copy(from, to, log) {
            self.segments.dead(from, moved_bytes);
            self.segments.live(to, moved_bytes);
        }
        for (topic_id, topic) in (0_u32..).zip(&mut self.topics) {
            for (queue_id, queue) in (0_u32..).zip(&mut topic.queues) {
                for (offset, stored) in queue.messages.iter_mut().filter(|(_, stored)| stored.segment == from)
                {
                    let Stored { raw, stored_ms, segment, .. } = stored;
                    let record = MessageRecord {
                        topic: topic_id,
                        queue: queue_id,
                        offset: *offset,
                        stored_ms: *stored_ms,
                        raw,
                    };
                    put_message(log, &record);
                    self.segments.dead(from, record.encoded_bytes());
                    self.segments.live(to, record.encoded_bytes());
                    *segment = to;
                }
            }
        }
    }
}
