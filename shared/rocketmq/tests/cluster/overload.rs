//! More messages than the broker takes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use spillway_broker::Call;
use spillway_rocketmq::{ClientError, FutureProducer, FutureRecord, SendError};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::fixture::{ClusterFixture, PATIENCE, TOPIC};

const LATENCY: Duration = Duration::from_millis(150);
/// With [`LATENCY`], 213 messages a second fit.
const IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(32).unwrap();
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);
/// When the queue is full for good.
const FULL_AFTER: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(4);

fn record() -> FutureRecord {
    FutureRecord::to(TOPIC).payload("x")
}

/// Messages a second with as many senders as places, each of which waits for its result.
async fn capacity(producer: &FutureProducer) -> f64 {
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..IN_FLIGHT.get() {
        let producer = producer.clone();
        senders.spawn(async move {
            let mut sent = 0_u32;
            while began.elapsed() < MEASURED {
                producer.send(record(), PATIENCE).await.expect("delivered");
                sent += 1;
            }
            sent
        });
    }
    let sent: u32 = senders.join_all().await.into_iter().sum();
    f64::from(sent) / began.elapsed().as_secs_f64()
}

/// Offers `rate` messages a second. Returns the delivered ones a second, once the queue is full.
async fn goodput(producer: &FutureProducer, rate: f64) -> f64 {
    let delivered = Arc::new(AtomicU32::new(0));
    let began = Instant::now();
    let measured = FULL_AFTER..FULL_AFTER + MEASURED;
    let mut ticks = interval(Duration::from_secs(1).div_f64(rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while began.elapsed() < measured.end {
        ticks.tick().await;
        match producer.send_result(record()) {
            Ok(delivery) => {
                let (delivered, measured) = (delivered.clone(), measured.clone());
                tokio::spawn(async move {
                    let is_delivered = delivery.await.is_ok();
                    let counts = is_delivered && measured.contains(&began.elapsed());
                    delivered.fetch_add(counts.into(), Ordering::Relaxed);
                });
            }
            Err((error, _record)) => assert_eq!(error, SendError::QueueFull),
        }
    }
    sleep_until(began + measured.end).await;
    f64::from(delivered.load(Ordering::Relaxed)) / MEASURED.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goodput_holds_at_three_times_the_capacity() {
    let fixture = ClusterFixture::start_with(|config| config.masters = 1).await;
    let faults = fixture.cluster.faults(0);
    faults.set_latency(LATENCY);
    let producer = fixture.producer_with(|config| {
        config.in_flight_max = IN_FLIGHT;
        config.delivery_timeout = DELIVERY_TIMEOUT;
    });
    producer.warm_up().await.expect("warm");
    let capacity = capacity(&producer).await;
    let (began, connections) = (Instant::now(), faults.connections());
    let goodput = goodput(&producer, 3.0 * capacity).await;
    let opened = faults.connections() - connections;
    println!(
        "{goodput:.0} of {capacity:.0} messages/s delivered at three times as many, {opened} new connections"
    );
    // 1.0 on a quiet machine; a starved one delays the last moment at which a message can make it. The unit test of the
    // gate has the exact bound, in paused time.
    assert!(goodput >= 0.5 * capacity, "{goodput:.0} of {capacity:.0} messages/s");
    assert!(opened <= began.elapsed().as_secs(), "{opened} new connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_throttled_send_holds_the_others_back() {
    const MESSAGES: usize = 500;
    let fixture = ClusterFixture::start_with(|config| config.masters = 1).await;
    let faults = fixture.cluster.faults(0);
    let producer = fixture.producer_with(|config| config.delivery_timeout = DELIVERY_TIMEOUT);
    producer.warm_up().await.expect("warm");
    faults.throttle_all_sends(true);
    let began = Instant::now();
    let sends: Vec<_> = (0..MESSAGES).map(|_| producer.send_result(record()).expect("room")).collect();
    for sent in sends {
        let (error, _record) = sent.await.expect_err("throttled");
        let SendError::Delivery { attempts, error } = error else { panic!("{error:?}") };
        // Without a place in flight a message ends in a time-out.
        assert!(attempts == 0 || matches!(error, ClientError::Throttled { .. }), "{attempts}: {error:?}");
    }
    assert!(began.elapsed() < DELIVERY_TIMEOUT + Duration::from_millis(500), "{:?}", began.elapsed());
    // Each place in flight once, then one call for each of the delays: 20, 40, 80 … ms. Without a brake 2,500.
    let calls = faults.calls(Call::Send);
    assert!(calls <= 64 + 16, "{calls} calls");
    // While the brake is on, a message that cannot make its deadline is answered at once.
    // The seventh attempt follows after 1,260 ms of delays; the next delay, of a second, is too long.
    let hasty_timeout = Duration::from_millis(2_200);
    let hasty = fixture.producer_with(|config| {
        config.delivery_timeout = hasty_timeout;
        config.retry.attempts_max = 100;
    });
    let began = Instant::now();
    let (error, _record) = hasty.send(record(), PATIENCE).await.expect_err("throttled");
    assert!(error.is_throttled() && began.elapsed() < hasty_timeout, "{:?}: {error:?}", began.elapsed());
    assert!(matches!(error, SendError::Delivery { attempts: 2..=7, .. }), "{error:?}");
    faults.throttle_all_sends(false);
    for sender in [&producer, &hasty] {
        while sender.send(record(), PATIENCE).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "the brake stays on");
        }
    }
}
