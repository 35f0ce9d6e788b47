//! One of two brokers answers errors.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_broker::{Call, Cluster};
use spillway_rocketmq::protocol::Code;
use spillway_rocketmq::{FutureProducer, FutureRecord, StreamConsumer};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::fixture::{ClusterFixture, PATIENCE, TOPIC, until};
use crate::outages::p99_and_max;

const LATENCY: Duration = Duration::from_millis(20);
const SENDERS: usize = 8;
const CONSUMERS: usize = 4;
/// Slices with both brokers and slices with one alternate, so that other work of the machine slows down both alike.
const SLICE: Duration = Duration::from_millis(1_500);
const SLICES: u32 = 3;

#[derive(Default)]
struct Load {
    stopped: AtomicBool,
    sent: AtomicU32,
    received: AtomicU32,
    one_fails: AtomicBool,
    /// Acks of messages of the healthy broker while the other one fails.
    acks: Mutex<Vec<Duration>>,
}

/// Sends and receives of some slices.
#[derive(Default)]
struct Counted {
    sent: u32,
    received: u32,
    time: Duration,
}

impl Counted {
    /// Sends and receives a second.
    fn rates(&self) -> (f64, f64) {
        let rate = |count: u32| f64::from(count) / self.time.as_secs_f64();
        (rate(self.sent), rate(self.received))
    }
}

impl Load {
    async fn count_slice(&self, counted: &mut Counted) {
        let (sent, received) = (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed));
        let began = Instant::now();
        sleep(SLICE).await;
        counted.sent += self.sent.load(Ordering::Relaxed) - sent;
        counted.received += self.received.load(Ordering::Relaxed) - received;
        counted.time += began.elapsed();
    }
}

async fn send(load: Arc<Load>, producer: FutureProducer) {
    while !load.stopped.load(Ordering::Relaxed) {
        producer.send(FutureRecord::to(TOPIC).payload("x"), PATIENCE).await.expect("delivered");
        load.sent.fetch_add(1, Ordering::Relaxed);
    }
}

async fn receive(load: Arc<Load>, consumer: StreamConsumer) {
    let mut acks = JoinSet::new();
    while !load.stopped.load(Ordering::Relaxed) {
        for message in consumer.receive(32).await.unwrap_or_default() {
            load.received.fetch_add(1, Ordering::Relaxed);
            let load = load.clone();
            acks.spawn(async move {
                let is_counted = message.position().0 == "broker-0" && load.one_fails.load(Ordering::Relaxed);
                let began = Instant::now();
                message.ack().await.expect("acked");
                if is_counted {
                    load.acks.lock().expect("sound").push(began.elapsed());
                }
            });
        }
    }
    acks.join_all().await;
}

fn fail(cluster: &Cluster, load: &Load, on: bool) {
    load.one_fails.store(on, Ordering::Relaxed);
    for call in [Call::Send, Call::Receive, Call::Ack] {
        cluster.faults(1).reject(call, on.then_some(Code::INTERNAL_SERVER_ERROR));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_brokers_that_answers_errors_costs_little() {
    let fixture = ClusterFixture::start().await;
    fixture.cluster.faults(0).set_latency(LATENCY);
    fixture.cluster.faults(1).set_latency(LATENCY);
    let (consumer, producer) = (fixture.consumer().await, fixture.producer());
    let load = Arc::new(Load::default());
    let mut tasks = JoinSet::new();
    for _ in 0..SENDERS {
        tasks.spawn(send(load.clone(), producer.clone()));
    }
    for _ in 0..CONSUMERS {
        tasks.spawn(receive(load.clone(), consumer.clone()));
    }
    let failing = fixture.cluster.faults(1);
    let (mut both, mut one) = (Counted::default(), Counted::default());
    for _ in 0..SLICES {
        // After its rest.
        let calls = || [Call::Send, Call::Receive].map(|call| failing.calls(call));
        let [sends, receives] = calls();
        until("the broker is used", || calls()[0] > sends && calls()[1] > receives).await;
        load.count_slice(&mut both).await;
        fail(&fixture.cluster, &load, true);
        load.count_slice(&mut one).await;
        fail(&fixture.cluster, &load, false);
    }
    load.stopped.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    let ((sent, received), (sent_failing, received_failing)) = (both.rates(), one.rates());
    let acks = std::mem::take(&mut *load.acks.lock().expect("sound"));
    assert!(!acks.is_empty());
    let (ack_p99, ack_max) = p99_and_max(acks);
    println!(
        "both brokers: {sent:.0} sends/s, {received:.0} receives/s; one fails: {sent_failing:.0} sends/s, \
         {received_failing:.0} receives/s, an ack of the other p99 {ack_p99:?}, longest {ack_max:?}"
    );
    assert!(ack_p99 < Duration::from_secs(1), "{ack_p99:?}");
    // 0.9 and more on a quiet machine.
    assert!(sent_failing >= 0.5 * sent, "{sent_failing:.0} of {sent:.0} sends/s");
    assert!(received_failing >= 0.5 * received, "{received_failing:.0} of {received:.0} receives/s");
}
