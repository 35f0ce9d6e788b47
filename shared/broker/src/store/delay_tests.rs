//! Messages are delivered at their time, and no sooner.

use std::time::Duration;

use tokio::sync::oneshot;

use super::*;
use crate::config::TopicConfig;
use crate::error::Refusal;
use crate::store::ops::{DeliveredMessage, NewMessages, Op, Placement, Reply, Waiter};
use crate::store::state::Limits;
use crate::store::{Receipt, TagFilter};
use spillway_rocketmq::TopicType;
use spillway_rocketmq::protocol::Code;

const HIDDEN: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    state: State,
    batch: Batch,
}

impl Bench {
    fn new() -> Self {
        let state = State::new(Limits { bytes_max: 1 << 20, attempts_max: 2 });
        let mut bench = Self { state, batch: Batch::default() };
        bench.state.segments.begin(1, 0);
        let topic = TopicConfig::new("later", 1).of_type(TopicType::Delay);
        bench.state.create_topic(&topic, &mut bench.batch.bytes).expect("legal");
        bench.state.create_group("drain", &mut bench.batch.bytes).expect("legal");
        bench.take();
        bench
    }

    /// Sends a message that is due after `delay`.
    fn send(&mut self, body: &'static str, delay: Duration) {
        let at = self.state.clock.to_ms(Instant::now() + delay);
        assert_eq!(self.send_at(body, Placement::At(vec![at])), Ok(()));
    }

    fn send_at(&mut self, body: &'static str, placement: Placement) -> Result<(), Refusal> {
        let (answer, _) = oneshot::channel();
        let messages = vec![Bytes::from_static(body.as_bytes())];
        let messages = NewMessages { topic: "later".to_owned(), messages, placement };
        self.state.apply(Op::Send { messages, answer }, Instant::now(), &mut self.batch);
        match self.batch.replies.pop() {
            Some(Reply::Sent(_, result)) => result.map(drop),
            other => panic!("no reply to a send: {other:?}"),
        }
    }

    fn take(&mut self) -> Vec<DeliveredMessage> {
        let now = Instant::now();
        self.state.release_due(now, &mut self.batch);
        self.state.take((0, 0), &TagFilter::All, 32, HIDDEN, now, &mut self.batch)
    }

    fn bodies(&mut self) -> Vec<String> {
        let taken = self.take();
        taken.iter().map(|taken| String::from_utf8_lossy(&taken.raw).into_owned()).collect()
    }

    /// Bodies of the messages that come now, all acked.
    fn settled(&mut self) -> Vec<String> {
        let taken = self.take();
        taken.iter().for_each(|taken| self.ack(taken.receipt));
        taken.iter().map(|taken| String::from_utf8_lossy(&taken.raw).into_owned()).collect()
    }

    fn ack(&mut self, receipt: Receipt) {
        let now = Instant::now();
        self.state.ack("later", "drain", &[Some(receipt)], now, &mut self.batch).expect("known");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_come_at_their_times_in_any_order_of_sending() {
    let mut bench = Bench::new();
    bench.send("late", 20 * HOUR);
    bench.send("soon", HOUR);
    bench.send("overdue", Duration::ZERO);
    assert_eq!(bench.settled(), ["overdue"]);
    let stats = bench.state.stats(Instant::now());
    assert_eq!((stats.topic("later").expect("made").waiting, bench.settled().len()), (2, 0));
    tokio::time::advance(HOUR - Duration::from_millis(1)).await;
    assert!(bench.settled().is_empty());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(bench.settled(), ["soon"]);
    tokio::time::advance(19 * HOUR).await;
    assert_eq!(bench.settled(), ["late"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_receive_wakes_at_the_delivery_time() {
    let mut bench = Bench::new();
    bench.send("soon", HOUR);
    let (answer, mut answered) = oneshot::channel();
    let waiter = Waiter {
        topic: "later".to_owned(),
        group: "drain".to_owned(),
        filter: TagFilter::All,
        max: 1,
        invisible: HIDDEN,
        answer,
    };
    bench.state.apply(Op::Receive(waiter), Instant::now(), &mut bench.batch);
    bench.state.serve_waiters(Instant::now(), &mut bench.batch);
    let wake = bench.state.next_wake(Instant::now()).expect("a message waits");
    assert_eq!(wake, Instant::now() + HOUR);
    tokio::time::sleep_until(wake).await;
    bench.state.release_due(Instant::now(), &mut bench.batch);
    bench.state.serve_waiters(Instant::now(), &mut bench.batch);
    bench.batch.replies.drain(..).for_each(|reply| drop(reply.send()));
    let taken = answered.try_recv().expect("answered").expect("served");
    assert_eq!(taken.iter().map(|taken| taken.attempt).collect::<Vec<_>>(), [1], "waiting is no attempt");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_starts_while_a_message_waits_receives_it() {
    let mut bench = Bench::new();
    bench.send("soon", HOUR);
    bench.state.create_group("audit", &mut bench.batch.bytes).expect("legal");
    let audit = |bench: &mut Bench| {
        let now = Instant::now();
        bench.state.release_due(now, &mut bench.batch);
        bench.state.take((0, 1), &TagFilter::All, 32, HIDDEN, now, &mut bench.batch).len()
    };
    assert_eq!(audit(&mut bench), 0);
    tokio::time::advance(HOUR).await;
    assert_eq!((audit(&mut bench), bench.bodies().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_settled_message_leaves_nothing_and_an_unsettled_one_ends_as_a_dead_letter_at_once() {
    let mut bench = Bench::new();
    bench.send("good", HOUR);
    bench.send("poison", HOUR);
    tokio::time::advance(HOUR).await;
    let taken = bench.take();
    bench.ack(taken[0].receipt);
    tokio::time::advance(HIDDEN).await;
    assert_eq!(bench.bodies(), ["poison"]);
    tokio::time::advance(HIDDEN).await;
    assert!(bench.bodies().is_empty());
    let stats = bench.state.stats(Instant::now());
    assert_eq!(stats.topic("%DLQ%drain").expect("made").stored, 1);
    let later = stats.topic("later").expect("made");
    assert_eq!((later.stored, later.waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_topic_takes_messages_of_its_type_only() {
    let mut bench = Bench::new();
    for placement in [Placement::Anywhere, Placement::Group(7)] {
        let refused = bench.send_at("now", placement).expect_err("of another type");
        // MESSAGE_PROPERTY_CONFLICT_WITH_TYPE
        assert_eq!(refused.code, Code(40_014), "{refused}");
    }
    let other = TopicConfig::new("later", 1);
    let refused = bench.state.create_topic(&other, &mut bench.batch.bytes).expect_err("of another type");
    assert_eq!(refused.code, Code::BAD_REQUEST);
}
