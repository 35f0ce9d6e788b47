//! Ordered delivery, and filters.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::*;
use crate::store::ops::{NewMessages, Op, Placement};
use crate::store::state::Limits;
use spillway_rocketmq::TopicType;
use spillway_rocketmq::protocol::{Message, SystemProperties};

const HIDDEN: Duration = Duration::from_secs(30);

struct Bench {
    state: State,
    batch: Batch,
    placement: Placement,
}

impl Bench {
    /// A topic of type FIFO with two queues.
    fn ordered(attempts_max: u16) -> Self {
        Self::new(TopicType::Fifo, attempts_max, Placement::Group(0))
    }

    fn new(topic_type: TopicType, attempts_max: u16, placement: Placement) -> Self {
        let state = State::new(Limits { bytes_max: 1 << 30, attempts_max });
        let mut bench = Self { state, batch: Batch::default(), placement };
        bench.state.segments.begin(1, 0);
        let topic = TopicConfig::new("orders", 2).of_type(topic_type);
        bench.state.create_topic(&topic, &mut bench.batch.bytes).expect("legal");
        bench.state.create_group("drain", &mut bench.batch.bytes).expect("legal");
        bench.take(1, &TagFilter::All);
        bench
    }

    /// Sends messages with these ids, each with its first letter as tag.
    fn send(&mut self, ids: &[&str]) {
        for id in ids {
            let system = SystemProperties {
                message_id: (*id).to_owned(),
                tag: Some(id[..1].to_owned()),
                ..SystemProperties::default()
            };
            let message = Message { system_properties: Some(system), ..Message::default() };
            let (answer, _) = oneshot::channel();
            let messages = NewMessages {
                topic: "orders".to_owned(),
                messages: vec![prost::Message::encode_to_vec(&message).into()],
                placement: self.placement.clone(),
            };
            self.state.apply(Op::Send { messages, answer }, Instant::now(), &mut self.batch);
        }
    }

    fn take(&mut self, max: usize, filter: &TagFilter) -> Vec<(String, DeliveredMessage)> {
        let taken = self.state.take((0, 0), filter, max, HIDDEN, Instant::now(), &mut self.batch);
        taken.into_iter().map(|taken| (id(&taken.raw), taken)).collect()
    }

    /// Takes messages; returns their ids and receipts.
    fn next(&mut self, max: usize) -> (Vec<String>, Vec<Receipt>) {
        self.take(max, &TagFilter::All).into_iter().map(|(id, taken)| (id, taken.receipt)).unzip()
    }

    fn ids(&mut self, filter: &str) -> Vec<String> {
        let filter = TagFilter::parse(filter).expect("legal");
        self.take(32, &filter).into_iter().map(|(id, _)| id).collect()
    }

    fn ack(&mut self, receipt: Receipt) {
        let now = Instant::now();
        let acked = self.state.ack("orders", "drain", &[Some(receipt)], now, &mut self.batch);
        assert_eq!(acked, Ok(vec![Acked::Settled]));
    }

    fn nack(&mut self, receipt: Receipt) {
        let now = Instant::now();
        let changed = self.state.change("orders", "drain", receipt, Duration::ZERO, now, &mut self.batch);
        changed.expect("the receipt holds");
    }
}

fn id(raw: &Bytes) -> String {
    let message: Message = prost::Message::decode(raw.clone()).expect("a message");
    message.system_properties.unwrap_or_default().message_id
}

// As Apache's ConsumerOrderInfoManager: checkBlock() blocks a queue while a message of its last batch is neither acked nor
// visible again, commitAndNext() goes on at the first message that is not acked.
#[tokio::test(start_paused = true)]
async fn a_queue_in_order_is_blocked_while_a_message_is_hidden() {
    let mut bench = Bench::ordered(17);
    bench.send(&["1", "2", "3", "4", "5"]);
    let (ids, receipts) = bench.next(3);
    assert_eq!(ids, ["1", "2", "3"]);
    bench.ack(receipts[0]);
    bench.ack(receipts[2]);
    assert!(bench.next(32).0.is_empty(), "2 is hidden");
    bench.nack(receipts[1]);
    let (ids, receipts) = bench.next(2);
    assert_eq!(ids, ["2", "4"]);
    tokio::time::advance(HIDDEN).await;
    assert_eq!(bench.next(32).0, ["2", "4", "5"], "redelivered in order, before the new one");
    assert_eq!(receipts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn queues_in_order_do_not_block_each_other() {
    let mut bench = Bench::ordered(17);
    bench.send(&["1", "2"]);
    bench.placement = Placement::Group(1);
    bench.send(&["a", "b"]);
    let first = bench.next(1).0;
    let second = bench.next(1).0;
    let mut both = [first.concat(), second.concat()];
    both.sort();
    assert_eq!(both, ["1", "a"]);
    assert!(bench.next(32).0.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_ack_wakes_a_receive_that_waits_for_the_next_in_order() {
    let mut bench = Bench::ordered(17);
    bench.send(&["1", "2"]);
    let (_, receipts) = bench.next(1);
    let (answer, mut answered) = oneshot::channel();
    let waiter = super::super::ops::Waiter {
        topic: "orders".to_owned(),
        group: "drain".to_owned(),
        filter: TagFilter::All,
        max: 32,
        invisible: HIDDEN,
        answer,
    };
    bench.state.apply(Op::Receive(waiter), Instant::now(), &mut bench.batch);
    bench.state.serve_waiters(Instant::now(), &mut bench.batch);
    bench.ack(receipts[0]);
    bench.state.serve_waiters(Instant::now(), &mut bench.batch);
    bench.batch.replies.drain(..).for_each(|reply| drop(reply.send()));
    let taken = answered.try_recv().expect("answered").expect("served");
    assert_eq!(taken.iter().map(|taken| id(&taken.raw)).collect::<Vec<_>>(), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_makes_room_for_the_next_in_order() {
    let mut bench = Bench::ordered(2);
    bench.send(&["1", "2"]);
    for _ in 0..2 {
        assert_eq!(bench.next(1).0, ["1"]);
        tokio::time::advance(HIDDEN).await;
    }
    assert_eq!(bench.next(1).0, ["2"]);
    assert_eq!(bench.state.stats(Instant::now()).topic("%DLQ%drain").expect("made").stored, 1);
}

#[tokio::test(start_paused = true)]
async fn a_filter_passes_its_tags_and_settles_the_others() {
    let mut bench = Bench::new(TopicType::Normal, 17, Placement::Anywhere);
    bench.send(&["a1", "b1", "c1", "a2", "b2", "c2"]);
    let mut ids = bench.ids("a || c");
    ids.sort();
    assert_eq!(ids, ["a1", "a2", "c1", "c2"]);
    assert!(bench.ids("*").is_empty(), "what did not pass is settled");
    let stats = bench.state.stats(Instant::now());
    let group = stats.group("orders", "drain").expect("known");
    assert_eq!((group.in_flight, group.acked, stats.topic("orders").expect("made").stored), (4, 2, 4));
    // A filter applies to redelivered messages too.
    tokio::time::advance(HIDDEN).await;
    let mut ids = bench.ids("c");
    ids.sort();
    assert_eq!(ids, ["c1", "c2"]);
    assert_eq!(bench.state.stats(Instant::now()).topic("orders").expect("made").stored, 2);
}

#[tokio::test(start_paused = true)]
async fn a_filter_finds_its_message_behind_many_others() {
    let mut bench = Bench::new(TopicType::Normal, 17, Placement::Anywhere);
    for _ in 0..FILTERED_MAX * 2 {
        bench.send(&["b"]);
    }
    bench.send(&["a"]);
    let (answer, mut answered) = oneshot::channel();
    let waiter = super::super::ops::Waiter {
        topic: "orders".to_owned(),
        group: "drain".to_owned(),
        filter: TagFilter::parse("a").expect("legal"),
        max: 32,
        invisible: HIDDEN,
        answer,
    };
    bench.state.apply(Op::Receive(waiter), Instant::now(), &mut bench.batch);
    for _ in 0..4 {
        bench.state.serve_waiters(Instant::now(), &mut bench.batch);
    }
    bench.batch.replies.drain(..).for_each(|reply| drop(reply.send()));
    assert_eq!(answered.try_recv().expect("answered").expect("served").len(), 1);
    assert_eq!(bench.state.stats(Instant::now()).topic("orders").expect("made").stored, 1);
}
