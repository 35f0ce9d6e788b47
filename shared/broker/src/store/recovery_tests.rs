//! A log that ends anywhere is read up to the last whole record.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::TopicConfig;
use crate::store::TagFilter;
use crate::store::ops::{Batch, DeliveredMessage};
use crate::store::record::put_change;
use spillway_rocketmq::protocol::{Message, SystemProperties};

const HIDDEN: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const LIMITS: Limits = Limits { bytes_max: 1 << 20, attempts_max: 3 };

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    Take {
        group: usize,
        max: usize,
    },
    Ack(prop::sample::Index),
    Extend(prop::sample::Index),
    /// Receives messages with odd numbers only.
    Filter {
        max: usize,
    },
    /// Sends a message that is due in so many hours.
    Delay(u32),
    /// Delivers what is due within so many hours.
    Due(u32),
    /// Everything hidden becomes visible.
    Lapse,
    /// A new segment begins.
    Seal,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..6_usize).prop_map(Step::Send),
        3 => (0..2_usize, 1..5_usize).prop_map(|(group, max)| Step::Take { group, max }),
        3 => any::<prop::sample::Index>().prop_map(Step::Ack),
        1 => any::<prop::sample::Index>().prop_map(Step::Extend),
        1 => (1..5_usize).prop_map(|max| Step::Filter { max }),
        1 => (0..4_u32).prop_map(Step::Delay),
        1 => (0..4_u32).prop_map(Step::Due),
        2 => Just(Step::Lapse),
        1 => Just(Step::Seal),
    ]
}

/// All cursors: topic, group, queue, next, settled, and unsettled deliveries with attempts and lease.
type Outline = Vec<(u32, u32, usize, u64, u64, Vec<(u64, u16, u64)>)>;

fn outline(state: &State) -> Outline {
    let mut outline = Vec::new();
    for ((topic, group), subscription) in &state.subscriptions {
        for (queue, cursor) in subscription.cursors.iter().enumerate() {
            let Some(cursor) = cursor else { continue };
            let out = cursor.out.iter().map(|(offset, out)| (*offset, out.attempts, out.lease)).collect();
            outline.push((*topic, *group, queue, cursor.next, cursor.settled, out));
        }
    }
    outline
}

/// Bodies of the messages that some group needs, by topic, queue and offset.
fn messages(state: &State) -> Vec<(usize, usize, u64, u32, Bytes)> {
    let mut messages = Vec::new();
    for (topic_id, topic) in state.topics.iter().enumerate() {
        for (queue_id, queue) in topic.queues.iter().enumerate() {
            for (offset, stored) in &queue.messages {
                messages.push((topic_id, queue_id, *offset, stored.pending, stored.raw.clone()));
            }
        }
    }
    messages
}

/// The waiting messages: numbers, the next number, and the number of each topic.
fn waiting(state: &State) -> (Vec<u64>, u64, Vec<(u32, u64)>) {
    let waiting = &state.waiting;
    (waiting.numbers.iter().copied().collect(), waiting.next_number, waiting.counts().into_iter().collect())
}

/// A message with a number as body, and its parity as tag.
fn numbered(number: u32) -> Bytes {
    let system = SystemProperties {
        tag: Some(if number.is_multiple_of(2) { "even" } else { "odd" }.to_owned()),
        ..SystemProperties::default()
    };
    let message =
        Message { system_properties: Some(system), body: number.to_string().into(), ..Message::default() };
    prost::Message::encode_to_vec(&message).into()
}

/// A store with its log in memory: one buffer per segment.
struct History {
    state: State,
    segments: Vec<Vec<u8>>,
    held: Vec<DeliveredMessage>,
    sent: u32,
}

impl History {
    fn new() -> Self {
        let mut history = Self { state: State::new(LIMITS), segments: Vec::new(), held: Vec::new(), sent: 0 };
        history.seal();
        let mut log = Vec::new();
        history.state.create_topic(&TopicConfig::new("orders", 2), &mut log).expect("legal");
        for group in ["drain", "audit"] {
            history.state.create_group(group, &mut log).expect("legal");
        }
        history.write(&log);
        history
    }

    fn seal(&mut self) {
        let mut log = MAGIC.to_vec();
        put_change(&mut log, self.state.checkpoint());
        self.state.segments.begin(self.segments.len() as u64 + 1, log.len() as u64);
        self.segments.push(Vec::new());
        self.write(&log);
    }

    fn write(&mut self, log: &[u8]) {
        self.state.segments.grew(log.len() as u64);
        self.segments.last_mut().expect("one at least").extend_from_slice(log);
    }

    fn step(&mut self, step: Step) {
        let now = Instant::now();
        let mut batch = Batch::default();
        match step {
            Step::Send(count) => {
                for _ in 0..count {
                    let queue = self.state.topics[0].next_queue();
                    self.sent += 1;
                    self.state.store(0, queue, numbered(self.sent), &mut batch.bytes);
                }
            }
            Step::Take { group, max } => {
                let group = u32::try_from(group).expect("small");
                let taken = self.state.take((0, group), &TagFilter::All, max, HIDDEN, now, &mut batch);
                self.held.extend(taken);
            }
            Step::Filter { max } => {
                let odd = TagFilter::parse("odd").expect("legal");
                let taken = self.state.take((0, 0), &odd, max, HIDDEN, now, &mut batch);
                self.held.extend(taken);
            }
            Step::Delay(hours) => {
                self.sent += 1;
                let at = self.state.clock.to_ms(now + HOUR * hours);
                self.state.delay(0, at, numbered(self.sent), &mut batch.bytes);
            }
            Step::Due(hours) => self.state.release_due(now + HOUR * hours, &mut batch),
            Step::Ack(index) | Step::Extend(index) if !self.held.is_empty() => {
                let held = self.held.swap_remove(index.index(self.held.len()));
                let group = if held.receipt.group == 0 { "drain" } else { "audit" };
                if matches!(step, Step::Ack(_)) {
                    self.state.ack("orders", group, &[Some(held.receipt)], now, &mut batch).expect("known");
                } else {
                    let hidden = Duration::from_secs(90);
                    // Rejected if the invisible duration has expired.
                    let _either = self.state.change("orders", group, held.receipt, hidden, now, &mut batch);
                }
            }
            Step::Ack(_) | Step::Extend(_) => {}
            Step::Lapse => {
                for subscription in self.state.subscriptions.values_mut() {
                    subscription.lapse_all();
                }
            }
            Step::Seal => return self.seal(),
        }
        self.write(&batch.bytes);
    }

    /// Writes the segments to disk, the last one truncated to `cut`.
    fn put(&self, segments: usize, cut: usize) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for (index, segment) in self.segments.iter().take(segments).enumerate() {
            let bytes = if index + 1 == segments { &segment[..cut] } else { segment };
            std::fs::write(dir.path().join(format!("{:016x}.log", index + 1)), bytes).expect("written");
        }
        dir
    }
}

fn recovered(dir: &tempfile::TempDir) -> State {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let directory = Directory::lock(dir.path()).await.expect("no other broker has it");
        recover(&directory, LIMITS).expect("readable")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_what_is_read(steps in proptest::collection::vec(step(), 0..60)) {
        let mut history = History::new();
        for step in steps {
            history.step(step);
        }
        let last = history.segments.last().map_or(0, Vec::len);
        let dir = history.put(history.segments.len(), last);
        let state = recovered(&dir);
        prop_assert_eq!(outline(&state), outline(&history.state));
        prop_assert_eq!(messages(&state), messages(&history.state));
        prop_assert_eq!(waiting(&state), waiting(&history.state));
        prop_assert_eq!(state.lease_next, history.state.lease_next);
        prop_assert_eq!(state.segments.bytes_total(), history.state.segments.bytes_total());
    }

    #[test]
    fn a_cut_anywhere_leaves_a_prefix(
        steps in proptest::collection::vec(step(), 0..40),
        cut in any::<prop::sample::Index>(),
    ) {
        // After each step: the log's length and the state.
        let mut history = History::new();
        let mut marks = Vec::new();
        for step in steps {
            history.step(step);
            let segment = history.segments.len();
            let length = history.segments[segment - 1].len();
            marks.push((segment, length, outline(&history.state), messages(&history.state), waiting(&history.state)));
        }
        let segment = history.segments.len();
        let cut = cut.index(history.segments[segment - 1].len() + 1);
        let dir = history.put(segment, cut);
        let state = recovered(&dir);

        // A cut exactly after a step restores that step; any other cut loses only the incomplete step.
        let before = marks.iter().rev().find(|(in_segment, length, ..)| *in_segment < segment || *length <= cut);
        if let Some((in_segment, length, outline_then, messages_then, waiting_then)) = before
            && *in_segment == segment
        {
            if *length == cut {
                prop_assert_eq!(&outline(&state), outline_then);
                prop_assert_eq!(&messages(&state), messages_then);
                prop_assert_eq!(&waiting(&state), waiting_then);
            }
            for (_, _, queue, next, settled, _) in outline_then {
                let now = outline(&state);
                let same = now.iter().find(|(_, _, other, at, done, _)| other == queue && at >= next && done >= settled);
                prop_assert!(same.is_some(), "a place went backwards");
            }
        }

        // The truncated log reads the same again.
        let again = recovered(&dir);
        prop_assert_eq!(outline(&again), outline(&state));
        prop_assert_eq!(messages(&again), messages(&state));
        prop_assert_eq!(waiting(&again), waiting(&state));
    }

    #[test]
    fn a_flipped_bit_costs_the_records_that_it_hits_and_no_others(
        count in 3..30_usize,
        hit in any::<prop::sample::Index>(),
    ) {
        let mut history = History::new();
        history.step(Step::Take { group: 0, max: 1 });
        let from = history.segments[0].len();
        history.step(Step::Send(count));
        let whole = messages(&history.state);
        // Frame, fields and body alike.
        let segment = &mut history.segments[0];
        let at = (from * 8) + hit.index((segment.len() - from) * 8);
        segment[at / 8] ^= 1 << (at % 8);
        let last = history.segments[0].len();
        let dir = history.put(1, last);
        let left = messages(&recovered(&dir));
        prop_assert!(left.len() + 1 == whole.len(), "{} of {} messages", left.len(), whole.len());
        prop_assert!(left.iter().all(|message| whole.contains(message)));
    }
}

#[test]
fn a_message_moved_to_another_segment_counts_once() {
    let mut history = History::new();
    history.step(Step::Take { group: 0, max: 1 });
    history.step(Step::Send(20));
    history.step(Step::Take { group: 0, max: 32 });
    while history.held.len() > 1 {
        history.step(Step::Ack(any_index()));
    }
    history.seal();
    let mut log = Vec::new();
    history.state.limits.bytes_max = 1;
    history.state.compact(&mut log);
    assert!(!log.is_empty(), "one of twenty messages is worth moving");
    history.write(&log);
    let last = history.segments.last().map_or(0, Vec::len);
    let dir = history.put(history.segments.len(), last);
    let mut state = recovered(&dir);
    assert_eq!(messages(&state).len(), 1);
    state.segments.begin(9, 0);
    assert_eq!(state.segments.take_free(), [1], "its first place is free");
    assert_eq!(history.state.segments.take_free(), [1]);
}

fn any_index() -> prop::sample::Index {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    any::<prop::sample::Index>().new_tree(&mut runner).expect("no filter").current()
}

#[test]
fn a_file_of_another_kind_is_rejected() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("0000000000000001.log"), b"something else").expect("written");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let result = runtime.block_on(async {
        let directory = Directory::lock(dir.path()).await.expect("no other broker has it");
        recover(&directory, LIMITS)
    });
    assert!(matches!(result, Err(BrokerError::Foreign { .. })));
}

#[test]
fn a_segment_that_was_only_just_made_is_empty() {
    for length in 0..MAGIC.len() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("0000000000000001.log"), &MAGIC[..length]).expect("written");
        assert!(recovered(&dir).topics.is_empty());
    }
}
