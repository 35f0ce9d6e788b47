//! When the coalescer sends a batch, and the result of each order. The clock is paused.

use std::num::NonZeroUsize;
use std::time::Duration;

use ingest_fn::publish::{BatchLimits, Coalescer, OrderPublisher, PublishError};
use shared::envelope::PREFIX_BYTES_MAX;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;

use crate::support::{HeldSink, Sent, order_id, order_ids, order_of_bytes};

const LINGER: Duration = Duration::from_millis(2);

/// Longer than any test runs.
const PATIENCE: Duration = Duration::from_secs(3_600);
const KEY_BYTES: usize = 37;

const LIMITS: BatchLimits =
    BatchLimits { orders_max: NonZeroUsize::new(10).unwrap(), bytes_max: 4_032, linger: LINGER };

type Publishing = JoinHandle<Result<(), PublishError>>;

/// A coalescer, and the receiving end of its sink.
struct Bench {
    coalescer: Coalescer<HeldSink>,
    sent: UnboundedReceiver<Sent>,
}

impl Bench {
    fn new(limits: BatchLimits) -> Self {
        let (sink, sent) = HeldSink::new();
        Self { coalescer: Coalescer::new(sink, limits), sent }
    }

    /// A bench with order 0 in flight, so that further orders gather.
    async fn busy(limits: BatchLimits) -> (Self, Sent, Publishing) {
        let mut bench = Self::new(limits);
        let publishing = bench.publish(0, 0).await;
        let batch = bench.expect_batch([0]);
        (bench, batch, publishing)
    }

    /// Publishes a synthetic order; returns once the coalescer has it.
    async fn publish(&self, number: u64, padding: usize) -> Publishing {
        self.publish_within(number, padding, PATIENCE).await
    }

    async fn publish_within(&self, number: u64, padding: usize, within: Duration) -> Publishing {
        let coalescer = self.coalescer.clone();
        let publishing = tokio::spawn(async move {
            coalescer.publish(order_id(number), order_of_bytes(number, padding), within).await
        });
        settle().await;
        publishing
    }

    fn expect_nothing(&mut self) {
        assert!(self.sent.try_recv().is_err(), "a batch was sent");
    }

    #[track_caller]
    fn expect_batch(&mut self, numbers: impl IntoIterator<Item = u64>) -> Sent {
        let batch = self.sent.try_recv().expect("a batch was sent");
        let expected = order_ids(numbers);
        assert_eq!(batch.order_ids, expected);
        let carried: Vec<_> = batch.orders().iter().map(|order| order.order_id).collect();
        assert_eq!(carried, expected, "keys and body agree");
        batch
    }
}

/// Runs all ready tasks without advancing the clock.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_order_is_sent_at_once() {
    let mut bench = Bench::new(LIMITS);
    for number in 0..3 {
        let arrived = Instant::now();
        let publishing = bench.publish(number, 0).await;
        bench.expect_batch([number]).acknowledge();
        assert_eq!(publishing.await.expect("no panic"), Ok(()));
        assert_eq!(arrived.elapsed(), Duration::ZERO);
        tokio::time::sleep(LINGER).await;
    }
}

#[tokio::test(start_paused = true)]
async fn orders_gather_for_a_linger_after_a_send() {
    let mut bench = Bench::new(LIMITS);
    let _waiting = bench.publish(0, 0).await;
    bench.expect_batch([0]).acknowledge();
    settle().await;
    tokio::time::sleep(LINGER / 2).await;
    let _waiting = bench.publish(1, 0).await;
    bench.expect_nothing();
    tokio::time::sleep(LINGER / 2).await;
    let _waiting = bench.publish(2, 0).await;
    let batch = bench.sent.recv().await.expect("a batch");
    assert_eq!(batch.order_ids, order_ids([1, 2]));
}

#[tokio::test(start_paused = true)]
async fn orders_gather_while_a_send_is_in_flight_and_after_it_ends() {
    let (mut bench, first, _waiting) = Bench::busy(LIMITS).await;
    let started = Instant::now();
    for number in 1..=3 {
        let _waiting = bench.publish(number, 0).await;
    }
    bench.expect_nothing();
    first.acknowledge();
    settle().await;
    let _waiting = bench.publish(4, 0).await;
    bench.expect_nothing();
    let batch = bench.sent.recv().await.expect("a batch");
    assert_eq!(batch.order_ids, order_ids([1, 2, 3, 4]));
    let waited = started.elapsed();
    assert!((LINGER..=LINGER + Duration::from_millis(1)).contains(&waited), "{waited:?}");
    // Nothing is in flight or pending, and nothing was sent lately: the next order is sent alone.
    batch.acknowledge();
    settle().await;
    tokio::time::sleep(LINGER).await;
    let _waiting = bench.publish(5, 0).await;
    bench.expect_batch([5]);
}

#[tokio::test(start_paused = true)]
async fn orders_are_sent_when_the_linger_has_elapsed() {
    let (mut bench, _first, _waiting) = Bench::busy(LIMITS).await;
    let started = Instant::now();
    let _waiting = bench.publish(1, 0).await;
    tokio::time::sleep(LINGER / 2).await;
    let _waiting = bench.publish(2, 0).await;
    bench.expect_nothing();
    let batch = bench.sent.recv().await.expect("a batch");
    assert_eq!(batch.order_ids, order_ids([1, 2]));
    // The linger starts with the first order; tokio's timer has a resolution of a millisecond.
    let waited = started.elapsed();
    assert!((LINGER..=LINGER + Duration::from_millis(1)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_sealed_by_count() {
    let orders_max = NonZeroUsize::new(3).expect("positive");
    let (mut bench, _first, _waiting) = Bench::busy(BatchLimits { orders_max, ..LIMITS }).await;
    for number in 1..=7 {
        let _waiting = bench.publish(number, 0).await;
    }
    bench.expect_batch([1, 2, 3]);
    bench.expect_batch([4, 5, 6]);
    bench.expect_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_one_never_waits() {
    let (mut bench, _first, _waiting) =
        Bench::busy(BatchLimits { orders_max: NonZeroUsize::MIN, ..LIMITS }).await;
    for number in 1..=3 {
        let _waiting = bench.publish(number, 0).await;
        bench.expect_batch([number]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_sealed_by_bytes_of_body_and_keys() {
    // Room for exactly three of the smallest orders.
    let bytes = order_of_bytes(1, 0).len() + KEY_BYTES;
    let bytes_max = PREFIX_BYTES_MAX + 3 * bytes;
    let (mut bench, _first, _waiting) = Bench::busy(BatchLimits { bytes_max, ..LIMITS }).await;
    for number in 1..=4 {
        let _waiting = bench.publish(number, 0).await;
    }
    // The fourth does not fit, so the first three are sent.
    let batch = bench.expect_batch([1, 2, 3]);
    assert!(batch.body.len() + 3 * KEY_BYTES <= bytes_max);
    bench.expect_nothing();
    // With one byte less a batch has two.
    let (mut bench, _first, _waiting) = Bench::busy(BatchLimits { bytes_max: bytes_max - 1, ..LIMITS }).await;
    for number in 1..=3 {
        let _waiting = bench.publish(number, 0).await;
    }
    bench.expect_batch([1, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_order_larger_than_a_batch_is_sent_alone() {
    let (mut bench, _first, _waiting) = Bench::busy(BatchLimits { bytes_max: 256, ..LIMITS }).await;
    let _waiting = bench.publish(1, 0).await;
    let _waiting = bench.publish(2, 190).await;
    bench.expect_batch([1]);
    let _waiting = bench.publish(3, 0).await;
    let large = bench.expect_batch([2]);
    assert!(large.body.len() + KEY_BYTES > 256);
}

#[tokio::test(start_paused = true)]
async fn extreme_limits_still_send_every_order() {
    for bytes_max in [0, 1, usize::MAX] {
        let limits = BatchLimits { bytes_max, orders_max: NonZeroUsize::MAX, linger: Duration::ZERO };
        let (mut bench, _first, _waiting) = Bench::busy(limits).await;
        let waiting = bench.publish(1, 0).await;
        let batch = bench.sent.recv().await.expect("a batch");
        batch.acknowledge();
        assert_eq!(waiting.await.expect("no panic"), Ok(()), "{bytes_max}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_linger_that_ends_late_does_not_seal_a_later_batch() {
    let orders_max = NonZeroUsize::new(2).expect("positive");
    let (mut bench, _first, _waiting) = Bench::busy(BatchLimits { orders_max, ..LIMITS }).await;
    // Order 1 starts a linger; order 2 completes the batch before it elapses.
    let _waiting = bench.publish(1, 0).await;
    tokio::time::advance(Duration::from_millis(1)).await;
    let _waiting = bench.publish(2, 0).await;
    bench.expect_batch([1, 2]);
    // Order 3 starts its own linger; the first linger elapses now and must not seal its batch.
    let _waiting = bench.publish(3, 0).await;
    tokio::time::advance(Duration::from_millis(1) + Duration::from_micros(500)).await;
    settle().await;
    bench.expect_nothing();
    tokio::time::advance(LINGER).await;
    settle().await;
    bench.expect_batch([3]);
}

#[tokio::test(start_paused = true)]
async fn every_order_gets_the_result_of_its_own_batch_once() {
    let orders_max = NonZeroUsize::new(2).expect("positive");
    let (mut bench, first, busy) = Bench::busy(BatchLimits { orders_max, ..LIMITS }).await;
    let mut waiting = Vec::new();
    for number in 1..=4 {
        waiting.push(bench.publish(number, 0).await);
    }
    let (second, third) = (bench.expect_batch([1, 2]), bench.expect_batch([3, 4]));
    third.answer.send(Err(PublishError::Throttled)).expect("waited for");
    second.acknowledge();
    first.answer.send(Err(PublishError::QueueFull)).expect("waited for");
    assert_eq!(busy.await.expect("no panic"), Err(PublishError::QueueFull));
    let mut answers = Vec::new();
    for waiting in waiting {
        answers.push(waiting.await.expect("no panic"));
    }
    let throttled = Err(PublishError::Throttled);
    assert_eq!(answers, [Ok(()), Ok(()), throttled, throttled]);
}

#[tokio::test(start_paused = true)]
async fn an_order_is_sent_even_if_its_client_hangs_up() {
    let (mut bench, _first, _waiting) = Bench::busy(LIMITS).await;
    let gone = bench.publish(1, 0).await;
    gone.abort();
    let batch = bench.sent.recv().await.expect("a batch");
    assert_eq!(batch.order_ids, order_ids([1]));
    // The acknowledgement has no receiver, which is harmless.
    batch.acknowledge();
    settle().await;
    let _waiting = bench.publish(2, 0).await;
    assert_eq!(bench.sent.recv().await.expect("a batch").order_ids, order_ids([2]));
}

#[tokio::test(start_paused = true)]
async fn an_order_past_its_deadline_is_not_sent() {
    let (mut bench, first, _waiting) = Bench::busy(LIMITS).await;
    let late = bench.publish_within(1, 0, LINGER / 2).await;
    let in_time = bench.publish(2, 0).await;
    // As after a freeze: all timers elapse at the same time.
    tokio::time::advance(LINGER).await;
    settle().await;
    let batch = bench.expect_batch([2]);
    assert_eq!(late.await.expect("no panic"), Err(PublishError::TimedOut));
    batch.acknowledge();
    assert_eq!(in_time.await.expect("no panic"), Ok(()));

    let late = bench.publish_within(3, 0, LINGER / 2).await;
    first.acknowledge();
    tokio::time::advance(LINGER).await;
    settle().await;
    assert_eq!(late.await.expect("no panic"), Err(PublishError::TimedOut));
    bench.expect_nothing();
    tokio::time::sleep(LINGER).await;
    let single = bench.publish(4, 0).await;
    bench.expect_batch([4]).acknowledge();
    assert_eq!(single.await.expect("no panic"), Ok(()), "nothing counts as in flight");
}
