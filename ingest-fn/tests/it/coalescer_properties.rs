//! For any arrivals and any behaviour of the broker, no order is lost, duplicated or answered before its batch.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ingest_fn::publish::{BatchLimits, BatchSink, Coalescer, OrderPublisher, PublishError, SealedBatch};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq, proptest};
use shared::envelope::decode_batch;
use shared::order::OrderId;
use tokio::time::{Instant, sleep, sleep_until};

use crate::support::{order_id, order_of_bytes};

const KEY_BYTES: usize = 37;

/// Longer than any case runs.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// An order: the time of its arrival, its size, and the time after which its client hangs up.
#[derive(Clone, Debug)]
struct Arrival {
    after: Duration,
    padding: usize,
    hangs_up_after: Option<Duration>,
}

/// The broker's reaction to one batch.
#[derive(Clone, Copy, Debug)]
struct Treatment {
    latency: Duration,
    result: Result<(), PublishError>,
}

/// A batch as the sink received it.
#[derive(Clone, Debug)]
struct Seen {
    order_ids: Vec<OrderId>,
    body_bytes: usize,
    sent_at: Instant,
    ended_at: Option<Instant>,
    result: Result<(), PublishError>,
}

/// A broker that applies its treatments to the batches in rotation.
#[derive(Clone, Debug)]
struct Broker {
    treatments: Arc<Vec<Treatment>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Broker {
    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl BatchSink for Broker {
    fn send(&self, batch: SealedBatch) -> impl Future<Output = Result<(), PublishError>> + Send + 'static {
        let orders = decode_batch(&batch.body).expect("a batch");
        let carried: Vec<_> = orders.iter().map(|order| order.order_id).collect();
        assert_eq!(carried, batch.order_ids, "keys and body agree");
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let number = seen.len();
        let Treatment { latency, result } = self.treatments[number % self.treatments.len()];
        seen.push(Seen {
            order_ids: batch.order_ids,
            body_bytes: batch.body.len(),
            sent_at: Instant::now(),
            ended_at: None,
            result,
        });
        let all = self.seen.clone();
        async move {
            sleep(latency).await;
            all.lock().unwrap_or_else(PoisonError::into_inner)[number].ended_at = Some(Instant::now());
            result
        }
    }
}

/// Result and time of a client's answer; `None` if the client hung up.
type Heard = Option<(Result<(), PublishError>, Instant)>;

struct Played {
    limits: BatchLimits,
    arrived_at: Vec<Instant>,
    heard: Vec<Heard>,
    batches: Vec<Seen>,
}

async fn play(limits: BatchLimits, arrivals: &[Arrival], treatments: Vec<Treatment>) -> Played {
    let broker = Broker { treatments: Arc::new(treatments), seen: Arc::default() };
    let coalescer = Coalescer::new(broker.clone(), limits);
    let mut clients = Vec::new();
    let mut arrived_at = Vec::new();
    let mut at = Instant::now();
    for (number, arrival) in (0..).zip(arrivals) {
        at += arrival.after;
        arrived_at.push(at);
        let (coalescer, arrival) = (coalescer.clone(), arrival.clone());
        clients.push(tokio::spawn(async move {
            sleep_until(at).await;
            let publishing =
                coalescer.publish(order_id(number), order_of_bytes(number, arrival.padding), PATIENCE);
            match arrival.hangs_up_after {
                None => Some((publishing.await, Instant::now())),
                Some(patience) => {
                    let heard = tokio::time::timeout(patience, publishing).await.ok();
                    heard.map(|result| (result, Instant::now()))
                }
            }
        }));
    }
    let mut heard = Vec::new();
    for client in clients {
        heard.push(client.await.expect("no panic"));
    }
    // Orders whose clients hung up may still be in flight.
    while broker.seen().iter().any(|batch| batch.ended_at.is_none())
        || broker.seen().iter().map(|batch| batch.order_ids.len()).sum::<usize>() < arrivals.len()
    {
        sleep(Duration::from_millis(1)).await;
    }
    Played { limits, arrived_at, heard, batches: broker.seen() }
}

impl Played {
    fn check(&self) -> Result<(), TestCaseError> {
        let mut batch_of = HashMap::new();
        for (index, batch) in self.batches.iter().enumerate() {
            let orders = batch.order_ids.len();
            prop_assert!((1..=self.limits.orders_max.get()).contains(&orders));
            prop_assert!(orders == 1 || batch.body_bytes + orders * KEY_BYTES <= self.limits.bytes_max);
            for order_id in &batch.order_ids {
                prop_assert_eq!(batch_of.insert(*order_id, index), None, "an order was sent twice");
            }
        }
        prop_assert_eq!(batch_of.len(), self.heard.len(), "an order was lost");
        for (number, (arrived_at, heard)) in (0..).zip(self.arrived_at.iter().zip(&self.heard)) {
            let batch = &self.batches[batch_of[&order_id(number)]];
            let waited = batch.sent_at - *arrived_at;
            // Two milliseconds for two timers, each with a resolution of a millisecond.
            let bound = self.limits.linger + Duration::from_millis(2);
            prop_assert!(waited <= bound, "order {} waited {:?}", number, waited);
            if let Some((result, heard_at)) = heard {
                prop_assert_eq!(*result, batch.result, "order {} got the result of another batch", number);
                prop_assert!(batch.ended_at.is_some_and(|ended_at| ended_at <= *heard_at));
            }
        }
        Ok(())
    }
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let after = prop_oneof![3 => Just(0_u64), 5 => 0_u64..1_500, 1 => 0_u64..40_000];
    let patience =
        prop_oneof![4 => Just(None), 1 => (0_u64..30).prop_map(|ms| Some(Duration::from_millis(ms)))];
    (after, 0_usize..190, patience).prop_map(|(after_us, padding, hangs_up_after)| Arrival {
        after: Duration::from_micros(after_us),
        padding,
        hangs_up_after,
    })
}

fn treatment() -> impl Strategy<Value = Treatment> {
    let result = prop_oneof![
        3 => Just(Ok(())),
        1 => Just(Err(PublishError::Throttled)),
        1 => Just(Err(PublishError::TimedOut)),
        1 => Just(Err(PublishError::Failed)),
    ];
    (0_u64..25, result)
        .prop_map(|(latency_ms, result)| Treatment { latency: Duration::from_millis(latency_ms), result })
}

fn limits() -> impl Strategy<Value = BatchLimits> {
    (1_usize..12, 64_usize..4_032, 0_u64..10).prop_map(|(orders_max, bytes_max, linger_ms)| BatchLimits {
        orders_max: NonZeroUsize::new(orders_max).expect("positive"),
        bytes_max,
        linger: Duration::from_millis(linger_ms),
    })
}

proptest! {
    #[test]
    fn no_order_is_lost_duplicated_or_answered_early(
        limits in limits(),
        arrivals in vec(arrival(), 1..80),
        treatments in vec(treatment(), 1..12),
        slow in any::<bool>(),
    ) {
        // A slow broker, so that many batches are in flight, or one as generated.
        let treatments = treatments
            .into_iter()
            .map(|treatment| Treatment { latency: treatment.latency * if slow { 10 } else { 1 }, ..treatment })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(play(limits, &arrivals, treatments)).check()?;
    }
}
