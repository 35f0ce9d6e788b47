//! One of two brokers is killed, or paused, under load: the other goes on, and no acknowledged message is lost.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_broker::ClusterAccess;
use spillway_rocketmq::{FutureProducer, FutureRecord, StreamConsumer};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::pair::{BrokerPair, FAILING, Outage};

const SEND_INTERVAL: Duration = Duration::from_millis(5);
const CONSUMERS: usize = 4;
/// Time before the outage, in which both brokers answer.
const BEFORE: Duration = Duration::from_secs(3);
/// The longest that a message may take: a broker restarts within it.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Load {
    /// Each acknowledged message: its number, and the times of the send and of the acknowledgement.
    sent: Mutex<Vec<(usize, Instant, Instant)>>,
    failed: Mutex<Vec<String>>,
    sends: Mutex<JoinSet<()>>,
    received: Mutex<HashSet<usize>>,
    /// Each ack of a message of the broker that goes on: its begin, and its duration.
    acks: Mutex<Vec<(Instant, Duration)>>,
}

impl Load {
    async fn send(self: Arc<Self>, producer: FutureProducer, topic: String, number: usize) {
        let began = Instant::now();
        match producer.send(FutureRecord::to(&topic).payload(number.to_string()), PATIENCE).await {
            Ok(_) => self.sent.lock().expect("sound").push((number, began, Instant::now())),
            Err((error, _)) => self.failed.lock().expect("sound").push(error.to_string()),
        }
    }

    async fn receive(self: Arc<Self>, consumer: StreamConsumer) {
        let mut acks = JoinSet::new();
        loop {
            for message in consumer.receive(32).await.unwrap_or_default() {
                let load = self.clone();
                acks.spawn(async move {
                    let number =
                        std::str::from_utf8(message.payload()).expect("text").parse().expect("a number");
                    load.received.lock().expect("sound").insert(number);
                    let began = Instant::now();
                    let goes_on = message.position().0 != FAILING && message.position().0 != "broker-b";
                    // The broker redelivers a message whose ack fails.
                    if message.ack().await.is_ok() && goes_on {
                        load.acks.lock().expect("sound").push((began, began.elapsed()));
                    }
                });
                while acks.try_join_next().is_some() {}
            }
        }
    }
}

/// The 99th percentile and the longest.
pub(crate) fn p99_and_max(mut durations: Vec<Duration>) -> (Duration, Duration) {
    durations.sort_unstable();
    let at =
        |share: usize| durations.get((durations.len() * share / 100).min(durations.len().saturating_sub(1)));
    (at(99).copied().unwrap_or_default(), at(100).copied().unwrap_or_default())
}

/// The share of a whole second's sends that were acknowledged in the time from `from` to `to`.
fn sent_share(load: &Load, from: Instant, to: Instant) -> f64 {
    let sent = load.sent.lock().expect("sound");
    let count = sent.iter().filter(|(_, _, at)| (from..to).contains(at)).count();
    let due = to.duration_since(from).as_secs_f64() / SEND_INTERVAL.as_secs_f64();
    f64::from(u32::try_from(count).expect("few")) / due
}

async fn one_broker_fails(mut pair: BrokerPair, outage: Outage, access: ClusterAccess, lasts: Duration) {
    let load = Arc::new(Load::default());
    let (producer, consumer) = (pair.producer(PATIENCE), pair.consumer().await);
    producer.warm_up().await.expect("warm");
    let mut receivers = JoinSet::new();
    for _ in 0..CONSUMERS {
        receivers.spawn(load.clone().receive(consumer.clone()));
    }
    let stop = CancellationToken::new();
    let sending = tokio::spawn(stop.clone().run_until_cancelled_owned({
        let (load, topic) = (load.clone(), pair.topic().to_owned());
        async move {
            let mut ticks = interval(SEND_INTERVAL);
            for number in 0.. {
                ticks.tick().await;
                load.sends.lock().expect("sound").spawn(load.clone().send(
                    producer.clone(),
                    topic.clone(),
                    number,
                ));
            }
        }
    }));
    sleep(BEFORE).await;
    pair.begin(outage).await;
    let began = Instant::now();
    sleep(lasts).await;
    let ended = Instant::now();
    pair.end(outage).await;
    stop.cancel();
    sending.await.expect("no panic");
    let sends = std::mem::take(&mut *load.sends.lock().expect("sound"));
    sends.join_all().await;

    let sent: HashSet<usize> = load.sent.lock().expect("sound").iter().map(|(number, ..)| *number).collect();
    let receiving = async {
        while !load.received.lock().expect("sound").is_superset(&sent) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let late = timeout(PATIENCE, receiving).await.is_err();
    receivers.shutdown().await;
    let lost = sent.difference(&load.received.lock().expect("sound")).count();
    assert!(!late, "{lost} of {} acknowledged messages did not come", sent.len());

    let during = |at: Instant| (began..ended).contains(&at);
    let acks = load.acks.lock().expect("sound");
    let (ack_p99, ack_max) =
        p99_and_max(acks.iter().filter(|(at, _)| during(*at)).map(|(_, took)| *took).collect());
    let (send_p99, send_max) = p99_and_max(
        load.sent
            .lock()
            .expect("sound")
            .iter()
            .filter(|(_, at, _)| during(*at))
            .map(|(_, at, end)| *end - *at)
            .collect(),
    );
    let (before, share) = (sent_share(&load, began - BEFORE / 2, began), sent_share(&load, began, ended));
    println!(
        "{outage:?} for {lasts:?}: {} sent, of the sends due {before:.2} before and {share:.2} during the outage; a send \
         during it p99 {send_p99:?}, longest {send_max:?}; an ack of the other broker p99 {ack_p99:?}, longest {ack_max:?}",
        sent.len(),
    );
    let failed = load.failed.lock().expect("sound");
    assert!(failed.is_empty(), "{} sends failed: {:?}", failed.len(), failed.first());
    // Behind a shared endpoint the proxy chooses the broker of a send, and each that it gives to a paused broker waits for its
    // time-out (`SendMessageActivity` of Apache's proxy; `sendLatencyEnable` makes the proxy avoid the broker).
    if !matches!((outage, access), (Outage::Paused, ClusterAccess::OneEndpoint)) {
        assert!(
            !acks.is_empty() && ack_p99 < Duration::from_secs(1),
            "the other broker's acks: p99 {ack_p99:?}"
        );
        // A slow machine sends less of what is due before the outage too.
        assert!(share > 0.5 * before, "{share:.2} of the sends due, {before:.2} before");
    }
}

/// A test for each outage and each way to reach the brokers.
macro_rules! outages {
    ($($test:ident: $outage:ident, $access:ident;)*) => {
        mod embedded {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let pair = BrokerPair::embedded(ClusterAccess::$access).await;
                one_broker_fails(pair, Outage::$outage, ClusterAccess::$access, Duration::from_secs(4)).await;
            })*
        }

        /// These disturb every other test of the stack.
        mod two_real_brokers {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(pair) = BrokerPair::real(ClusterAccess::$access).await {
                    let lasts = std::env::var("SPILLWAY_OUTAGE_S").map_or(5, |s| s.parse().expect("seconds"));
                    one_broker_fails(pair, Outage::$outage, ClusterAccess::$access, Duration::from_secs(lasts)).await;
                }
            })*
        }
    };
}

outages! {
    a_killed_broker_with_its_own_endpoint: Killed, EndpointEach;
    a_paused_broker_with_its_own_endpoint: Paused, EndpointEach;
    a_killed_broker_behind_a_shared_endpoint: Killed, OneEndpoint;
    a_paused_broker_behind_a_shared_endpoint: Paused, OneEndpoint;
}
