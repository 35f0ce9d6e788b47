//! One of two brokers answers errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use spillway_broker::{Call, Cluster};
use spillway_rocketmq::protocol::Code;
use spillway_rocketmq::{FutureProducer, FutureRecord, StreamConsumer};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::fixture::{ClusterFixture, PATIENCE, TOPIC};

const LATENCY: Duration = Duration::from_millis(20);
const SENDERS: usize = 8;
const CONSUMERS: usize = 4;
const MEASURED: Duration = Duration::from_secs(4);

#[derive(Default)]
struct Load {
    stopped: AtomicBool,
    sent: AtomicU32,
    received: AtomicU32,
    /// Longest ack of a message of the healthy broker since the last count, in milliseconds.
    slowest_ack_ms: AtomicU32,
}

impl Load {
    /// Sends and receives a second, and the slowest ack.
    async fn measure(&self) -> (f64, f64, Duration) {
        let (sent, received) = (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed));
        self.slowest_ack_ms.store(0, Ordering::Relaxed);
        sleep(MEASURED).await;
        let rate = |counter: &AtomicU32, before| {
            f64::from(counter.load(Ordering::Relaxed) - before) / MEASURED.as_secs_f64()
        };
        let slowest_ack = Duration::from_millis(self.slowest_ack_ms.load(Ordering::Relaxed).into());
        (rate(&self.sent, sent), rate(&self.received, received), slowest_ack)
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
                let is_healthy = message.position().0 == "broker-0";
                let began = Instant::now();
                message.ack().await.expect("acked");
                let took = u32::try_from(began.elapsed().as_millis()).expect("small");
                load.slowest_ack_ms.fetch_max(if is_healthy { took } else { 0 }, Ordering::Relaxed);
            });
        }
    }
    acks.join_all().await;
}

fn fail(cluster: &Cluster, on: bool) {
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
    sleep(Duration::from_secs(1)).await;
    let (sent, received, _) = load.measure().await;
    fail(&fixture.cluster, true);
    let (sent_failing, received_failing, slowest_ack) = load.measure().await;
    fail(&fixture.cluster, false);
    load.stopped.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    println!(
        "both brokers: {sent:.0} sends/s, {received:.0} receives/s; one fails: {sent_failing:.0} sends/s, \
         {received_failing:.0} receives/s, the slowest ack of the other {slowest_ack:?}"
    );
    assert!(slowest_ack < Duration::from_secs(1), "{slowest_ack:?}");
    // 0.9 and more on a quiet machine.
    assert!(sent_failing >= 0.5 * sent, "{sent_failing:.0} of {sent:.0} sends/s");
    assert!(received_failing >= 0.5 * received, "{received_failing:.0} of {received:.0} receives/s");
}
