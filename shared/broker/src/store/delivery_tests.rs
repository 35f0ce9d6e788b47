//! The rules of delivery, without log files and without a network.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::*;
use crate::store::ops::{NewMessages, Op, Placement, Reply, Waiter};
use crate::store::state::Limits;

const HIDDEN: Duration = Duration::from_secs(30);

struct Bench {
    state: State,
    batch: Batch,
}

impl Bench {
    fn new(queues: usize, attempts_max: u16) -> Self {
        let state = State::new(Limits { bytes_max: 1 << 20, attempts_max });
        let mut bench = Self { state, batch: Batch::default() };
        bench.state.segments.begin(1, 0);
        bench.state.create_topic(&TopicConfig::new("orders", queues), &mut bench.batch.bytes).expect("legal");
        bench.state.create_group("drain", &mut bench.batch.bytes).expect("legal");
        bench
    }

    fn send(&mut self, count: usize) {
        for number in 0..count {
            let (answer, _) = oneshot::channel();
            let messages = NewMessages {
                topic: "orders".to_owned(),
                messages: vec![Bytes::from(number.to_string())],
                placement: Placement::Anywhere,
            };
            self.state.apply(Op::Send { messages, answer }, Instant::now(), &mut self.batch);
        }
    }

    fn take(&mut self, max: usize) -> Vec<DeliveredMessage> {
        self.take_from("orders", "drain", max)
    }

    fn take_from(&mut self, topic: &str, group: &str, max: usize) -> Vec<DeliveredMessage> {
        let key = (self.state.topic_id(topic).expect("known"), self.state.group_id(group).expect("known"));
        self.state.take(key, &TagFilter::All, max, HIDDEN, Instant::now(), &mut self.batch)
    }

    fn ack(&mut self, receipt: Receipt) -> Acked {
        self.state.ack("orders", "drain", &[Some(receipt)], Instant::now(), &mut self.batch).expect("known")
            [0]
    }

    fn stored(&self) -> usize {
        self.state.topics.iter().flat_map(|topic| &topic.queues).map(|queue| queue.messages.len()).sum()
    }

    fn waiter(&mut self, max: usize) -> oneshot::Receiver<Result<Vec<DeliveredMessage>, Refusal>> {
        let (answer, answered) = oneshot::channel();
        let waiter = Waiter {
            topic: "orders".to_owned(),
            group: "drain".to_owned(),
            filter: TagFilter::All,
            max,
            invisible: HIDDEN,
            answer,
        };
        self.state.apply(Op::Receive(waiter), Instant::now(), &mut self.batch);
        answered
    }

    /// Ends a round: serves waiting receives, sends responses.
    fn round(&mut self) {
        self.state.serve_waiters(Instant::now(), &mut self.batch);
        for reply in std::mem::take(&mut self.batch.replies) {
            let untaken = reply.send();
            self.state.undeliver(&untaken);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_group_starts_after_the_stored_messages() {
    let mut bench = Bench::new(2, 17);
    bench.send(4);
    assert_eq!(bench.stored(), 0, "no group can ever receive these");
    assert!(bench.take(32).is_empty());
    bench.send(4);
    assert_eq!(bench.take(32).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_receive_touches_queues_until_its_batch_is_full() {
    let mut bench = Bench::new(2, 17);
    // Three rounds over two queues: the next starts at queue 1.
    (0..3).for_each(|_| assert!(bench.take(1).is_empty()));
    bench.state.create_topic(&TopicConfig::new("orders", 3), &mut bench.batch.bytes).expect("legal");
    bench.send(3);
    assert_eq!(bench.take(1).remove(0).receipt.queue, 1);
    assert!(bench.state.subscriptions[&(0, 0)].cursors[2].is_none(), "the batch was full before queue 2");
    bench.send(3);
    // Both messages of queue 2 are older than the group.
    let queues: Vec<_> = bench.take(32).iter().map(|taken| taken.receipt.queue).collect();
    assert_eq!(queues, [0, 0, 1]);
    bench.send(3);
    assert_eq!(bench.take(32).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_redelivered_until_it_is_acked() {
    let mut bench = Bench::new(1, 17);
    bench.take(1);
    bench.send(1);
    let first = bench.take(1).remove(0);
    assert!(bench.take(1).is_empty(), "hidden");
    tokio::time::advance(HIDDEN).await;
    assert_eq!(bench.ack(first.receipt), Acked::Invalid, "the hiding has ended");
    let second = bench.take(1).remove(0);
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_eq!(bench.ack(first.receipt), Acked::Invalid, "another delivery replaced it");
    assert_eq!(bench.ack(second.receipt), Acked::Settled);
    assert_eq!(bench.ack(second.receipt), Acked::Settled, "asked again");
    assert_eq!(bench.stored(), 0);
    tokio::time::advance(HIDDEN).await;
    assert!(bench.take(1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_change_returns_a_new_receipt_and_expiry() {
    let mut bench = Bench::new(1, 17);
    bench.take(1);
    bench.send(1);
    let old = bench.take(1).remove(0).receipt;
    let now = Instant::now();
    let new = bench
        .state
        .change("orders", "drain", old, 2 * HIDDEN, now, &mut bench.batch)
        .expect("the receipt holds");
    let refused =
        bench.state.change("orders", "drain", old, HIDDEN, now, &mut bench.batch).expect_err("dead");
    assert_eq!(refused.code, Code::INVALID_RECEIPT_HANDLE);
    assert_eq!(bench.ack(old), Acked::Invalid);
    tokio::time::advance(HIDDEN).await;
    assert!(bench.take(1).is_empty(), "still hidden");
    assert_eq!(bench.ack(new), Acked::Settled);
}

#[tokio::test(start_paused = true)]
async fn a_message_nacked_without_delay_is_redelivered_at_once() {
    let mut bench = Bench::new(1, 17);
    bench.take(1);
    bench.send(1);
    let receipt = bench.take(1).remove(0).receipt;
    bench
        .state
        .change("orders", "drain", receipt, Duration::ZERO, Instant::now(), &mut bench.batch)
        .expect("the receipt holds");
    assert_eq!(bench.take(1).remove(0).attempt, 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_delivered_too_often_moves_to_the_dead_letter_topic() {
    let mut bench = Bench::new(1, 2);
    bench.take(1);
    bench.send(2);
    for _ in 0..2 {
        assert_eq!(bench.take(32).len(), 2);
        tokio::time::advance(HIDDEN).await;
    }
    assert!(bench.take(32).is_empty());
    let stats = bench.state.stats(Instant::now());
    assert_eq!(stats.topic("%DLQ%drain").expect("made").stored, 2);
    assert_eq!(stats.topic("orders").expect("made").stored, 0);
    bench.state.create_group("dead-letters", &mut bench.batch.bytes).expect("legal");
    let dead = bench.take_from("%DLQ%drain", "dead-letters", 32);
    assert_eq!(dead.iter().map(|taken| &taken.raw[..]).collect::<Vec<_>>(), [b"0", b"1"]);
    let receipts: Vec<_> = dead.iter().map(|taken| Some(taken.receipt)).collect();
    let now = Instant::now();
    bench.state.ack("%DLQ%drain", "dead-letters", &receipts, now, &mut bench.batch).expect("known");
    assert_eq!(bench.stored(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_lives_until_every_group_has_settled_it() {
    let mut bench = Bench::new(1, 17);
    bench.state.create_group("audit", &mut bench.batch.bytes).expect("legal");
    bench.take(1);
    bench.take_from("orders", "audit", 1);
    bench.send(1);
    let receipt = bench.take(1).remove(0).receipt;
    bench.ack(receipt);
    assert_eq!(bench.stored(), 1);
    let taken = bench.take_from("orders", "audit", 1).remove(0);
    let wrong = bench.state.ack("orders", "drain", &[Some(taken.receipt)], Instant::now(), &mut bench.batch);
    assert_eq!(wrong, Ok(vec![Acked::Invalid]), "a receipt is worth nothing to another group");
    let now = Instant::now();
    bench.state.ack("orders", "audit", &[Some(taken.receipt)], now, &mut bench.batch).expect("known");
    assert_eq!(bench.stored(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_receive_gets_the_next_message() {
    let mut bench = Bench::new(2, 17);
    let mut waiting = bench.waiter(32);
    bench.round();
    assert!(waiting.try_recv().is_err());
    bench.send(3);
    bench.round();
    assert_eq!(waiting.try_recv().expect("answered").expect("served").len(), 3);
    // The end of the invisible duration wakes the next one.
    let mut waiting = bench.waiter(32);
    bench.round();
    let wake = bench.state.next_wake(Instant::now()).expect("a receive waits");
    assert_eq!(wake, Instant::now() + HIDDEN);
    tokio::time::advance(HIDDEN).await;
    bench.round();
    assert_eq!(waiting.try_recv().expect("answered").expect("served").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_cancelled_receive_go_to_the_next() {
    let mut bench = Bench::new(1, 17);
    let gone = bench.waiter(1);
    let mut waiting = bench.waiter(1);
    bench.send(1);
    bench.state.serve_waiters(Instant::now(), &mut bench.batch);
    drop(gone);
    // The response has no receiver: the message is visible again, with no attempt counted.
    bench.round();
    bench.round();
    let taken = waiting.try_recv().expect("answered").expect("served");
    assert_eq!(taken.iter().map(|taken| taken.attempt).collect::<Vec<_>>(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_sends_and_takes_acks() {
    let mut bench = Bench::new(1, 17);
    bench.take(1);
    bench.send(1);
    let receipt = bench.take(1).remove(0).receipt;
    bench.state.segments.grew(1 << 20);
    bench.send(1);
    let refused = bench.batch.replies.pop().expect("a reply");
    assert!(matches!(&refused, Reply::Sent(_, Err(refusal)) if refusal.code == Code::TOO_MANY_REQUESTS));
    assert_eq!(bench.ack(receipt), Acked::Settled);
}

#[tokio::test(start_paused = true)]
async fn unknown_topics_and_groups_have_different_codes() {
    let mut bench = Bench::new(1, 17);
    let now = Instant::now();
    let mut code = |topic: &str, group: &str| {
        bench.state.ack(topic, group, &[], now, &mut bench.batch).map_err(|r| r.code)
    };
    assert_eq!(code("orders", "drain"), Ok(vec![]));
    assert_eq!(code("nope", "drain"), Err(Code::TOPIC_NOT_FOUND));
    assert_eq!(code("orders", "nope"), Err(Code::CONSUMER_GROUP_NOT_FOUND));
}

#[tokio::test(start_paused = true)]
async fn statistics_count_what_there_is() {
    let mut bench = Bench::new(2, 17);
    bench.take(1);
    bench.send(5);
    let receipt = bench.take(2).remove(0).receipt;
    bench.ack(receipt);
    let stats = bench.state.stats(Instant::now());
    let group = stats.group("orders", "drain").expect("known");
    assert_eq!((group.ready, group.in_flight, group.acked), (3, 1, 1));
    assert!(group.oldest_unacked.is_some());
    let topic = stats.topic("orders").expect("known");
    assert_eq!((topic.sent, topic.stored, topic.queues), (5, 4, 2));
}
