//! The monitor against a model of broker and workers that has its own arithmetic.

#![allow(clippy::expect_used, reason = "tests use expect with the expectation")]

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drain_worker::control::{GroupSettings, Hold, Rate};
use drain_worker::monitor::{HistorySample, HistoryStep, Monitor, StatusView, Trend};
use drain_worker::pool::{
    LagReport, LimitedBy, PoolSnapshot, ShareDecision, WorkerReport, WorkerSignals, WorkerState,
};
use drain_worker::store::{GroupSnapshot, Lease, LeaseId};
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::time::{Instant, advance};
use tokio_util::sync::CancellationToken;

/// 2026-11-11T00:00:00Z, µs.
const START_US: i64 = 1_794_355_200_000_000;

/// One worker of the model. Each member counts orders, unless it names messages.
#[derive(Debug, Default)]
struct ModelWorker {
    id: u128,
    share: u64,
    held: u64,
    settled: u64,
    orders: u64,
    messages: u64,
    word: Option<LimitedBy>,
    is_dead: bool,
    /// True before the first report.
    is_new: bool,
    /// The delay of its clock, ms.
    clock_error_ms: i64,
}

/// A queue of messages, of which each member is a number of orders, and a monitor that sees reports alone.
struct Model {
    random: u64,
    second: u32,
    /// Seconds of one step.
    step_s: u32,
    queue: VecDeque<u64>,
    workers: Vec<ModelWorker>,
    is_lag_known: bool,
    /// The rate of the settings; `None`: what the shares add up to.
    cap: Option<u32>,
    /// The ends of the holds, seconds after the start; `None`: until removed.
    holds: Vec<Option<u32>>,
    /// The count of the second before: a count is older than the report that carries it.
    counted: Option<(i64, u64)>,
    snapshots: watch::Sender<Option<Arc<PoolSnapshot>>>,
    monitor: Monitor,
}

impl Model {
    /// Workers with these shares.
    fn new(shares: &[u64]) -> Self {
        let (snapshots, snapshot) = watch::channel(None);
        let monitor = Monitor::new(
            snapshot,
            WorkerSignals::default(),
            CancellationToken::new(),
            NonZeroU32::new(72).expect("not zero"),
        );
        let worker =
            |(id, &share)| ModelWorker { id, share, word: Some(LimitedBy::Cap), ..ModelWorker::default() };
        let workers = (1..).zip(shares).map(worker).collect();
        let (random, second, queue) = (0x9e37_79b9_7f4a_7c15, 0, VecDeque::new());
        Self {
            random,
            second,
            step_s: 1,
            queue,
            workers,
            is_lag_known: true,
            cap: None,
            holds: Vec::new(),
            counted: None,
            snapshots,
            monitor,
        }
    }

    /// A number from 1 to `below`.
    fn up_to(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below + 1
    }

    fn waiting(&self) -> u64 {
        self.queue.iter().sum::<u64>() + self.workers.iter().map(|worker| worker.held).sum::<u64>()
    }

    /// One step: publishes `orders` in messages of `size`, and each worker receives and commits up to its share.
    async fn pass(&mut self, orders: u64, mut size: impl FnMut(&mut Self) -> u64) -> StatusView {
        let mut published = 0;
        while published < orders {
            let message = size(self);
            self.queue.push_back(message);
            published += message;
        }
        for worker in &mut self.workers {
            while worker.held < 2 * worker.share {
                let Some(message) = self.queue.pop_front() else { break };
                worker.held += message;
                worker.orders += message;
                worker.messages += 1;
            }
            let committed = worker.held.min(worker.share);
            worker.held -= committed;
            worker.settled += committed;
        }
        advance(Duration::from_secs(self.step_s.into())).await;
        let before = (self.now_ms(), self.queue.len() as u64);
        self.second += self.step_s;
        self.show();
        self.counted = Some((before.0 + i64::from(self.step_s) * 1_000, before.1));
        self.monitor.sample();
        self.monitor.status().expect("joined")
    }

    fn now_ms(&self) -> i64 {
        START_US / 1_000 + i64::from(self.second) * 1_000
    }

    /// Gives the monitor the reports of this moment.
    fn show(&self) {
        let now_us = self.now_ms() * 1_000;
        let (as_of_ms, ready) = self.counted.unwrap_or((self.now_ms(), self.queue.len() as u64));
        let lag = LagReport {
            messages_ready: self.is_lag_known.then_some(ready),
            as_of_ms,
            source: "model".to_owned(),
            error: (!self.is_lag_known).then(|| "planted".to_owned()),
            ..LagReport::default()
        };
        let report = |worker: &ModelWorker| {
            let report = WorkerReport {
                at_ms: now_us / 1_000 - worker.clock_error_ms,
                state: WorkerState::Draining,
                settled_per_second: worker.share as f64,
                totals: BTreeMap::from([("confirmed".to_owned(), worker.settled)]),
                held_orders: worker.held,
                messages_received: worker.messages,
                orders_received: worker.orders,
                receive_failures_per_second: 0.5,
                limited_by: worker.word,
                lag: (worker.id == 1).then(|| lag.clone()),
                ..WorkerReport::default()
            };
            (LeaseId::from_u128(worker.id), Arc::new(report))
        };
        let lease = |worker: &ModelWorker| Lease {
            id: LeaseId::from_u128(worker.id),
            worker: format!("worker-{}", worker.id),
            share: u32::try_from(worker.share).expect("small"),
            wanted: 1,
            changes: 0,
            joined_us: START_US,
            expires_us: now_us + if worker.is_dead { -1 } else { 3_000_000 },
            fenced_us: None,
            report: String::new(),
        };
        let cap = self.workers.iter().map(|worker| worker.share).sum::<u64>();
        let cap = self.cap.unwrap_or(u32::try_from(cap.max(1)).expect("small"));
        let after_start = |seconds: u32| START_US + i64::from(seconds) * 1_000_000;
        let hold = |(id, until): (i64, &Option<u32>)| Hold {
            id,
            owner: "ann".to_owned(),
            reason: String::new(),
            since_us: now_us,
            until_us: until.map(after_start),
        };
        let holds = (1..).zip(&self.holds).map(hold).collect();
        let settings = GroupSettings { holds, ..GroupSettings::new(Rate::new(cap).expect("within bounds")) };
        let group = GroupSnapshot {
            now_us,
            revision: 1,
            settings,
            version: 0,
            leases: self.workers.iter().map(lease).collect(),
        };
        let decision = ShareDecision { cap, workers: 1, target: 0, goal: 0, share: 0, is_settled: true };
        self.snapshots.send_replace(Some(Arc::new(PoolSnapshot {
            group_id: "drain".to_owned(),
            name: "worker-1".to_owned(),
            group,
            reports: self.workers.iter().filter(|worker| !worker.is_new).map(report).collect(),
            lease: LeaseId::from_u128(1),
            decision,
            at: Instant::now(),
        })));
    }

    fn confirmed(&self, step: HistoryStep) -> Vec<f64> {
        let of = |sample: HistorySample| sample.by_outcome.get("confirmed").copied().expect("counted");
        self.monitor.history(step, None).into_iter().map(of).collect()
    }
}

fn is_within(found: f64, expected: f64, part: f64) -> bool {
    (found - expected).abs() <= part * expected
}

/// Half of the messages have one order, the others 40 to 64: an average over few messages varies by chance.
fn mixed(model: &mut Model) -> u64 {
    if model.up_to(2) == 1 { 1 } else { 39 + model.up_to(25) }
}

#[tokio::test(start_paused = true)]
async fn the_lag_in_orders_is_right_for_unequal_workers() {
    let mut model = Model::new(&[1_500, 400, 100]);
    model.pass(225_000, mixed).await;
    for second in 0..90 {
        let status = model.pass(500, mixed).await;
        let (orders, truth) = (status.lag.orders.expect("known") as f64, model.waiting() as f64);
        assert!(second < 10 || is_within(orders, truth, 0.1), "{second} s: {orders}, not {truth}");
    }
}

#[tokio::test(start_paused = true)]
async fn arrivals_and_the_eta_follow_from_the_lag() {
    let mut model = Model::new(&[1_500, 500]);
    model.workers[1].clock_error_ms = 60_000;
    model.pass(225_000, mixed).await;
    for second in 0..60 {
        let status = model.pass(500, mixed).await;
        if second < 20 {
            continue;
        }
        let arriving = status.arriving_per_second.expect("known");
        assert!((400.0..=650.0).contains(&arriving), "{second} s: {arriving}");
        assert_eq!(status.limited_by, Some(LimitedBy::Cap));
        let eta = status.eta.expect("known");
        // 500/s come, 2,000/s go.
        let expected = model.waiting() as f64 / 1_500.0;
        assert_eq!(eta.trend, Trend::Draining);
        assert!(
            is_within(eta.seconds.expect("drains"), expected, 0.2),
            "{second} s: {eta:?}, not {expected}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_sale_that_opens_is_growing_within_seconds_and_weighs_its_own_messages() {
    let mut model = Model::new(&[1_500, 500]);
    for _ in 0..60 {
        let status = model.pass(20, |_| 1).await;
        assert!(status.eta.is_none_or(|eta| eta.trend == Trend::Draining));
    }
    for second in 0..40 {
        let status = model.pass(50_000, |_| 64).await;
        let trend = status.eta.map(|eta| (eta.trend, eta.seconds));
        assert!(second < 5 || trend == Some((Trend::Growing, None)), "{second} s: {trend:?}");
        let (orders, truth) = (status.lag.orders.expect("known") as f64, model.waiting() as f64);
        assert!(second < 18 || is_within(orders, truth, 0.1), "{second} s: {orders}, not {truth}");
    }
    let arriving = model.pass(50_000, |_| 64).await.arriving_per_second.expect("known");
    assert!(is_within(arriving, 50_000.0, 0.1), "{arriving}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_is_not_0() {
    let mut model = Model::new(&[1_000, 1_000]);
    model.workers[1].is_new = true;
    let status = model.pass(0, |_| 1).await;
    let joining = &status.workers[1];
    assert_eq!((joining.held_orders, joining.committed_per_second), (None, None));
    assert_eq!(status.receive_failures_per_second, Some(0.5), "of the one that reports");
    assert_eq!((status.arriving_per_second, status.eta), (None, None), "of one moment");

    let mut model = Model::new(&[1]);
    model.workers[0].share = 0;
    model.queue.push_back(9);
    model.workers[0].share = 1;
    model.workers[0].held = 5;
    model.show();
    model.monitor.sample();
    let status = model.monitor.status().expect("joined");
    assert_eq!((status.lag.messages, status.lag.orders), (Some(1), None), "no message was received yet");

    model.is_lag_known = false;
    for _ in 0..10 {
        let status = model.pass(0, |_| 1).await;
        assert_eq!((status.lag.orders, status.arriving_per_second, status.eta), (None, None, None));
    }
    // The database is gone for longer than three seconds.
    advance(Duration::from_secs(4)).await;
    let status = model.monitor.status().expect("joined");
    assert_eq!((status.totals, status.limited_by, status.receive_failures_per_second), (None, None, None));
}

#[tokio::test(start_paused = true)]
async fn the_dead_do_not_count_as_workers() {
    let metrics = shared::telemetry::metrics();
    let mut model = Model::new(&[1_000, 1_000, 1_000]);
    model.workers[2].is_dead = true;
    model.pass(0, |_| 1).await;
    model.monitor.publish();
    let text = metrics.render();
    assert!(text.contains("\ndrain_workers 2\n"), "{text}");
    assert!(text.contains("\ndrain_limited_by{limit=\"cap\"} 1\n"), "{text}");
    assert!(text.contains("\ndrain_limited_by{limit=\"broker\"} 0\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_gap_and_not_one_instant() {
    let mut model = Model::new(&[100]);
    for _ in 0..10 {
        model.pass(100, |_| 1).await;
    }
    let before = model.monitor.history(HistoryStep::Second, None);
    assert_eq!(before.len(), 9, "the first second has no second before it");
    // No heartbeat is answered for half an hour.
    for _ in 0..1_800 {
        advance(Duration::from_secs(1)).await;
        model.second += 1;
        model.monitor.sample();
    }
    assert_eq!(model.monitor.history(HistoryStep::Second, None), before);
    for _ in 0..3 {
        model.pass(100, |_| 1).await;
    }
    let after = model.monitor.history(HistoryStep::Second, Some(before[8].at_us));
    assert_eq!(after.len(), 2, "only what is new");
    assert!(after[0].at_us - before[8].at_us > 1_800_000_000, "the gap shows");
    assert_eq!(model.confirmed(HistoryStep::Second), [100.0; 11], "the outage is not spread over one sample");
    let whole = model.monitor.history(HistoryStep::Second, Some(before[0].at_us));
    assert_eq!(whole[0].at_us, before[1].at_us, "`since` itself is not repeated");
}

#[tokio::test(start_paused = true)]
async fn a_day_is_kept_by_minute() {
    let mut model = Model::new(&[100]);
    model.step_s = 5;
    while model.second < 26 * 3_600 {
        // Nothing is known in the eleventh hour.
        if (36_000..39_600).contains(&model.second) {
            advance(Duration::from_secs(5)).await;
            model.second += 5;
        } else {
            model.pass(50, |_| 1).await;
        }
    }
    let minutes = model.monitor.history(HistoryStep::Minute, None);
    let at: Vec<_> = minutes.iter().map(|minute| (minute.at_us - START_US) / 60_000_000).collect();
    assert_eq!(at.last(), Some(&(26 * 60 - 1)), "the minute that has not ended is not shown");
    let gaps: Vec<_> = at.windows(2).filter(|pair| pair[1] - pair[0] != 1).collect();
    assert_eq!(
        (gaps, at.len()),
        (vec![&[600, 660][..]], 1_440),
        "an hour is missing, and the oldest are dropped"
    );
    assert!(minutes.iter().all(|minute| is_within(minute.by_outcome["confirmed"], 10.0, 0.01)));
    assert_eq!(model.monitor.history(HistoryStep::Second, None).len(), 900);
}

/// Nothing arrives, at any rate of the pool: the lag's count is a second older than the workers' counters.
#[tokio::test(start_paused = true)]
async fn a_change_of_the_rate_is_not_an_arrival() {
    let mut model = Model::new(&[60, 40]);
    model.pass(100_000, |_| 20).await;
    for second in 0..60 {
        let shares = match second {
            0..20 => [60, 40],
            20..40 => [1_200, 800],
            _ => [0, 0],
        };
        for (worker, share) in model.workers.iter_mut().zip(shares) {
            worker.share = share;
        }
        let status = model.pass(0, |_| 20).await;
        let arriving = status.arriving_per_second;
        assert!(second < 18 || arriving.is_some_and(|arriving| arriving < 1.0), "{second} s: {arriving:?}");
        assert!(status.eta.is_none_or(|eta| second < 18 || eta.trend != Trend::Growing), "{second} s");
    }
}

/// The forecast is that of the end of the backlog, not of the end of the hold.
#[tokio::test(start_paused = true)]
async fn the_eta_counts_a_hold_until_its_end() {
    const END: u32 = 630;
    let mut model = Model::new(&[2_000]);
    model.cap = Some(2_000);
    model.pass(120_000, |_| 20).await;
    for _ in 0..30 {
        model.pass(100, |_| 20).await;
    }
    model.workers[0].share = 0;
    // The later end counts.
    model.holds = vec![Some(END), Some(90)];
    for step in 0..100 {
        let status = model.pass(100, |_| 20).await;
        assert_eq!(status.limited_by, Some(LimitedBy::Cap));
        // The slope of the last quarter of a minute still has the time before the hold.
        if step < 20 {
            continue;
        }
        let eta = status.eta.expect("known");
        // 100/s come until the end, and then 2,000/s go as well.
        let left_s = f64::from(END - model.second);
        let expected = left_s + (model.waiting() as f64 + 100.0 * left_s) / 1_900.0;
        let found = eta.seconds.expect("drains");
        assert!(is_within(found, expected, 0.05), "{step} s: {found}, not {expected}");
        let at = time::OffsetDateTime::parse(&eta.drained_at.expect("drains"), &Rfc3339).expect("an instant");
        let from_now = at.unix_timestamp() as f64 - (START_US / 1_000_000) as f64 - f64::from(model.second);
        assert!((from_now - found).abs() <= 1.0, "{from_now}, not {found}");
    }

    // Until removed: nothing is drained, and what arrives adds up.
    model.holds = vec![None, Some(END)];
    for (arriving, trend, seconds) in [(100, Trend::Growing, 1), (0, Trend::Standing, 30)] {
        let mut last = None;
        for _ in 0..seconds {
            last = model.pass(arriving, |_| 20).await.eta;
        }
        assert_eq!(last.map(|eta| (eta.trend, eta.seconds)), Some((trend, None)));
    }
}

/// A worker that joins again brings the totals of its whole life.
#[tokio::test(start_paused = true)]
async fn a_worker_that_joins_again_is_not_a_burst() {
    let mut model = Model::new(&[100, 100]);
    for _ in 0..20 {
        model.pass(200, |_| 1).await;
    }
    (model.workers[1].id, model.workers[1].is_new) = (7, true);
    for _ in 0..20 {
        model.pass(200, |_| 1).await;
        model.workers[1].is_new = false;
        let status = model.pass(200, |_| 1).await;
        let arriving = status.arriving_per_second.expect("known");
        assert!((150.0..=250.0).contains(&arriving), "{arriving}");
    }
    assert!(model.confirmed(HistoryStep::Second).iter().all(|&confirmed| confirmed <= 200.0));
}
