//! The store's state in memory: topics, groups, cursors, and the accounting of the log.
//!
//! Only one task accesses it. Every change goes into the [`Batch`] of its round; responses leave after the batch is
//! written, so that the end of the process loses nothing that was acknowledged.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::clock::{Clock, wall_ms};
use super::ops::{Batch, NewMessages, Op, Placement, Reply, TopicInfo, Waiter};
use super::record::{ChangeKind, GroupMade, MessageRecord, TopicMade, put_change, put_message};
use super::segments::Segments;
use super::subscription::Subscription;
use super::topic::{DEAD_LETTER_PREFIX, Stored, Topic};
use super::waiting::Waiting;
use crate::config::{QUEUES_MAX, TopicConfig};
use crate::error::Refusal;
use spillway_rocketmq::protocol::{Code, MessageType};

/// Maximum topics, not counting dead-letter topics. A topic costs a few hundred bytes.
pub(crate) const TOPICS_MAX: usize = 1024;
/// Maximum groups.
pub(crate) const GROUPS_MAX: usize = 1024;
/// Maximum receives of one group that wait on one topic.
const WAITERS_MAX: usize = 1024;

/// Bounds of the state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Maximum bytes of the log; beyond it sends are rejected.
    pub(crate) bytes_max: u64,
    /// Maximum deliveries of a message before it moves to the dead-letter topic.
    pub(crate) attempts_max: u16,
}

#[derive(Debug)]
pub(crate) struct State {
    /// By id.
    pub(crate) topics: Vec<Topic>,
    pub(crate) topic_ids: HashMap<String, u32>,
    /// Names by id.
    pub(crate) groups: Vec<String>,
    pub(crate) group_ids: HashMap<String, u32>,
    /// By topic and group.
    pub(crate) subscriptions: BTreeMap<(u32, u32), Subscription>,
    /// Messages that wait for their delivery time.
    pub(crate) waiting: Waiting,
    pub(crate) segments: Segments,
    /// Next unused lease; a lease is never reused.
    pub(crate) lease_next: u64,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
}

impl State {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            topics: Vec::new(),
            topic_ids: HashMap::new(),
            groups: Vec::new(),
            group_ids: HashMap::new(),
            subscriptions: BTreeMap::new(),
            waiting: Waiting::default(),
            segments: Segments::default(),
            lease_next: 1,
            clock: Clock::start(),
            limits,
        }
    }

    /// Starts leases above all earlier ones, even if the end of the log was lost with the machine: 65,536 per millisecond
    /// since 1970.
    pub(crate) fn raise_leases(&mut self) {
        self.lease_next = self.lease_next.max(wall_ms() << 16);
    }

    /// Executes `op`; its response waits in `batch`.
    pub(crate) fn apply(&mut self, op: Op, now: Instant, batch: &mut Batch) {
        let reply = match op {
            Op::Send { messages, answer } => {
                let result = self.send(messages, now, batch);
                Reply::Sent(answer, result)
            }
            Op::Receive(waiter) => return self.receive(waiter, now, batch),
            Op::Ack { topic, group, receipts, answer } => {
                let result = self.ack(&topic, &group, &receipts, now, batch);
                Reply::Acked(answer, result)
            }
            Op::Change { topic, group, receipt, invisible, answer } => {
                let result = self.change(&topic, &group, receipt, invisible, now, batch);
                Reply::Changed(answer, result)
            }
            Op::Topic { topic, answer } => Reply::Topic(answer, self.topic_info(&topic)),
            Op::AnyFifo { topics, answer } => {
                let is_fifo = |topic: &String| {
                    self.topic_info(topic).is_ok_and(|info| info.message_type == MessageType::Fifo)
                };
                Reply::AnyFifo(answer, topics.iter().any(is_fifo))
            }
            Op::GroupExists { group, answer } => Reply::Done(answer, self.group_id(&group).map(drop)),
            Op::CreateTopic { topic, answer } => {
                let result = self.create_topic(&topic, &mut batch.bytes).map(drop);
                Reply::Done(answer, result)
            }
            Op::CreateGroup { group, answer } => {
                let result = self.create_group(&group, &mut batch.bytes);
                Reply::Done(answer, result)
            }
            Op::Redeliver { answer } => {
                let shown = self.subscriptions.values_mut().map(Subscription::lapse_all).sum();
                Reply::Count(answer, Ok(shown))
            }
            Op::Stats { answer } => Reply::Stats(answer, self.stats(now)),
        };
        batch.replies.push(reply);
    }

    pub(crate) fn topic_id(&self, name: &str) -> Result<u32, Refusal> {
        self.topic_ids.get(name).copied().ok_or_else(|| Refusal::no_topic(name))
    }

    fn topic_info(&self, name: &str) -> Result<TopicInfo, Refusal> {
        let topic = &self.topics[self.topic_id(name)? as usize];
        Ok(TopicInfo { queues: topic.queues.len(), message_type: topic.message_type })
    }

    pub(crate) fn group_id(&self, name: &str) -> Result<u32, Refusal> {
        self.group_ids.get(name).copied().ok_or_else(|| Refusal::no_group(name))
    }

    /// Creates the topic, or adds queues to it.
    pub(crate) fn create_topic(&mut self, topic: &TopicConfig, log: &mut Vec<u8>) -> Result<u32, Refusal> {
        let TopicConfig { name, queues, topic_type } = topic;
        let (queues, message_type) = (*queues, MessageType::from(*topic_type));
        if queues == 0 || queues > QUEUES_MAX {
            return Err(Refusal::new(Code::BAD_REQUEST, format!("a topic has 1 to {QUEUES_MAX} queues")));
        }
        let known = self.topic_ids.get(name).copied();
        let id = known.unwrap_or_else(|| u32::try_from(self.topics.len()).unwrap_or(u32::MAX));
        if let Some(known) = known.and_then(|id| self.topics.get(id as usize)) {
            if known.message_type != message_type {
                return Err(Refusal::new(Code::BAD_REQUEST, "the topic exists and has another type"));
            }
            if known.queues.len() >= queues {
                return Ok(id);
            }
        }
        // At most one dead-letter topic per group, so they always find room.
        let topics_max =
            if name.starts_with(DEAD_LETTER_PREFIX) { TOPICS_MAX + GROUPS_MAX } else { TOPICS_MAX };
        if known.is_none() && self.topics.len() >= topics_max {
            return Err(Refusal::new(Code::BAD_REQUEST, "too many topics"));
        }
        let made = TopicMade {
            id,
            name: name.clone(),
            queues: u32::try_from(queues).unwrap_or(u32::MAX),
            message_type: message_type.into(),
        };
        self.topic_made(&made);
        put_change(log, ChangeKind::Topic(made));
        // Waiting receives have not visited the new queues.
        for (_, subscription) in self.subscriptions.range_mut((id, 0)..=(id, u32::MAX)) {
            subscription.stirred = true;
        }
        Ok(id)
    }

    pub(crate) fn create_group(&mut self, name: &str, log: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.group_ids.contains_key(name) {
            return Ok(());
        }
        if self.groups.len() >= GROUPS_MAX {
            return Err(Refusal::new(Code::BAD_REQUEST, "too many groups"));
        }
        let id = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let made = GroupMade { id, name: name.to_owned() };
        self.group_made(&made);
        put_change(log, ChangeKind::Group(made));
        Ok(())
    }

    pub(crate) fn topic_made(&mut self, made: &TopicMade) {
        let queues = made.queues as usize;
        match self.topics.get_mut(made.id as usize) {
            Some(topic) => topic.extend_to(queues),
            None => self.topics.push(Topic::new(made.name.clone(), made.message_type(), queues)),
        }
        self.topic_ids.insert(made.name.clone(), made.id);
    }

    pub(crate) fn group_made(&mut self, made: &GroupMade) {
        if made.id as usize >= self.groups.len() {
            self.groups.push(made.name.clone());
        }
        self.group_ids.insert(made.name.clone(), made.id);
    }

    /// Stores the messages of one call: on one queue, or until their delivery times. Returns the offset of the first, or
    /// its number among the waiting ones.
    fn send(&mut self, sent: NewMessages, now: Instant, batch: &mut Batch) -> Result<u64, Refusal> {
        let NewMessages { topic, messages, placement } = sent;
        let id = self.topic_id(&topic)?;
        self.topics[id as usize].check_type(placement.message_type())?;
        let more: usize = messages.iter().map(|raw| super::record::record_bytes(raw.len())).sum();
        let bytes_total = self.segments.bytes_total() + (batch.bytes.len() + more) as u64;
        if bytes_total > self.limits.bytes_max {
            return Err(Refusal::new(Code::TOO_MANY_REQUESTS, "the broker's store is full"));
        }
        self.topics[id as usize].sent += messages.len() as u64;
        let queue = match &placement {
            Placement::Group(hash) => self.topics[id as usize].queue_of(*hash),
            Placement::Anywhere | Placement::At(_) => self.topics[id as usize].next_queue(),
        };
        let first = self.topics[id as usize].queues[queue].next_offset;
        let Placement::At(times) = placement else {
            for raw in messages {
                self.store(id, queue, raw, &mut batch.bytes);
            }
            return Ok(first);
        };
        let first = self.waiting.next_number;
        for (raw, deliver_ms) in messages.into_iter().zip(times) {
            self.delay(id, deliver_ms, raw, &mut batch.bytes);
        }
        // The time of some may be past.
        self.release_due(now, batch);
        Ok(first)
    }

    /// Appends one message to a queue.
    pub(crate) fn store(&mut self, topic_id: u32, queue: usize, raw: bytes::Bytes, log: &mut Vec<u8>) {
        let mut pending = 0;
        for (_, subscription) in self.subscriptions.range_mut((topic_id, 0)..=(topic_id, u32::MAX)) {
            if subscription.cursor(queue).is_some() {
                pending += 1;
                subscription.stirred = true;
            }
        }
        let topic = &mut self.topics[topic_id as usize];
        let keep = pending > 0 || topic.is_dead_letters();
        let queue_id = u32::try_from(queue).unwrap_or(u32::MAX);
        let queue = &mut topic.queues[queue];
        let offset = queue.next_offset;
        queue.next_offset += 1;
        let stored_ms = wall_ms();
        let record = MessageRecord { topic: topic_id, queue: queue_id, offset, stored_ms, raw: &raw };
        put_message(log, &record);
        // A later group starts after this message, so without a group it is never delivered.
        if keep {
            let segment = self.segments.newest();
            self.segments.live(segment, record.encoded_bytes());
            queue.messages.insert(offset, Stored { raw, stored_ms, segment, pending });
        }
    }

    /// Delivers messages to waiting receives wherever something changed.
    pub(crate) fn serve_waiters(&mut self, now: Instant, batch: &mut Batch) {
        let keys: Vec<(u32, u32)> = self
            .subscriptions
            .iter_mut()
            .filter_map(|(key, subscription)| {
                subscription.lapse(now);
                let stirred = std::mem::take(&mut subscription.stirred);
                (stirred && !subscription.waiters.is_empty()).then_some(*key)
            })
            .collect();
        for key in keys {
            while let Some(waiter) = self.next_waiter(key) {
                let taken = self.take(key, &waiter.filter, waiter.max, waiter.invisible, now, batch);
                if taken.is_empty() {
                    if let Some(subscription) = self.subscriptions.get_mut(&key) {
                        subscription.waiters.push_front(waiter);
                    }
                    break;
                }
                batch.replies.push(Reply::Received(waiter.answer, Ok(taken)));
            }
        }
    }

    /// Returns the first waiting receive whose caller is still there.
    fn next_waiter(&mut self, key: (u32, u32)) -> Option<Waiter> {
        let waiters = &mut self.subscriptions.get_mut(&key)?.waiters;
        std::iter::from_fn(|| waiters.pop_front()).find(|waiter| !waiter.answer.is_closed())
    }

    /// Delivers immediately, or queues the receive.
    fn receive(&mut self, waiter: Waiter, now: Instant, batch: &mut Batch) {
        let key =
            match self.topic_id(&waiter.topic).and_then(|topic| Ok((topic, self.group_id(&waiter.group)?))) {
                Ok(key) => key,
                Err(refusal) => return batch.replies.push(Reply::Received(waiter.answer, Err(refusal))),
            };
        let taken = self.take(key, &waiter.filter, waiter.max, waiter.invisible, now, batch);
        if !taken.is_empty() {
            return batch.replies.push(Reply::Received(waiter.answer, Ok(taken)));
        }
        let waiters = &mut self.subscriptions.entry(key).or_default().waiters;
        // Abandoned receives accumulate only here, on a topic without activity.
        waiters.retain(|waiter| !waiter.answer.is_closed());
        if waiters.len() >= WAITERS_MAX {
            let refusal = Refusal::new(Code::TOO_MANY_REQUESTS, "polling full");
            return batch.replies.push(Reply::Received(waiter.answer, Err(refusal)));
        }
        waiters.push_back(waiter);
    }

    /// Returns the next instant at which a waiting receive must be checked, or a message enters a queue.
    pub(crate) fn next_wake(&self, now: Instant) -> Option<Instant> {
        self.subscriptions
            .values()
            .filter(|subscription| !subscription.waiters.is_empty())
            .filter_map(
                |subscription| if subscription.stirred { Some(now) } else { subscription.next_lapse() },
            )
            .chain(self.next_due())
            .min()
    }
}
