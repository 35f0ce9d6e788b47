//! A worker in its pool: the pipeline under a lease and under the adaptive limit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use drain_worker::adaptive_limit::AdaptiveLimit;
use drain_worker::control::{AuditContext, GroupSettings, RATE_MAX, Rate, SettingsChange};
use drain_worker::pool::{Member, PoolConfig, PoolSnapshot, WorkerReport, WorkerSignals, WorkerState};
use drain_worker::rate::RateGate;
use drain_worker::store::{GroupSnapshot, PoolStore, StoreError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use shared::telemetry::Capture;
use shared::testkit::{PATIENCE, eventually};

use crate::faulty_store::FaultyStore;
use crate::harness::{Worker, WorkerFixture, orders};

const GROUP: &str = "drain";

/// A running pool member.
pub(crate) struct Membership {
    pub(crate) snapshot: watch::Receiver<Option<Arc<PoolSnapshot>>>,
    leave: CancellationToken,
    running: JoinHandle<Result<(), StoreError>>,
}

impl Membership {
    pub(crate) fn start<P: PoolStore>(
        store: Arc<P>,
        worker: &str,
        rate: u32,
        gate: RateGate,
        signals: WorkerSignals,
        slow: Option<Duration>,
    ) -> Self {
        let config = PoolConfig {
            group: GROUP.to_owned(),
            worker: worker.to_owned(),
            seed: GroupSettings::new(Rate::new(rate).expect("a rate")),
            lease: Duration::from_secs(1),
            heartbeat_interval: Duration::from_millis(100),
            heartbeat_interval_fast: Duration::from_millis(20),
        };
        let member = Member::new(store, config, gate, signals, AdaptiveLimit::new(slow));
        let (snapshot, leave) = (member.snapshot(), CancellationToken::new());
        let running = tokio::spawn(member.run(leave.clone()));
        Self { snapshot, leave, running }
    }

    /// Returns the last report to the pool, with the adaptive limit.
    fn report(&self) -> Option<WorkerReport> {
        let snapshot = self.snapshot.borrow().clone()?;
        snapshot.reports.get(&snapshot.lease).map(|report| WorkerReport::clone(report))
    }

    pub(crate) async fn end(self) {
        self.leave.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.running).await.expect("leaves in time");
        ended.expect("does not panic").expect("leaves gracefully");
    }
}

/// Starts a worker that may commit its share.
async fn worker(
    fixture: &WorkerFixture,
    store: &Arc<FaultyStore>,
    rate: u32,
    slow: Option<Duration>,
) -> (Worker, Membership) {
    let (gate, signals) = (RateGate::closed(), WorkerSignals::default());
    let membership = Membership::start(store.clone(), "first", rate, gate.clone(), signals.clone(), slow);
    (fixture.worker_with(store.clone(), gate, signals).await, membership)
}

async fn group(fixture: &WorkerFixture) -> GroupSnapshot {
    fixture.store.read_group(GROUP).await.expect("succeeds").expect("the group exists")
}

#[tokio::test]
async fn a_worker_says_that_the_ceiling_is_below_its_initial_rate() {
    let fixture = WorkerFixture::new().await;
    let start = |name, rate| {
        let (gate, signals) = (RateGate::closed(), WorkerSignals::default());
        Membership::start(fixture.store.clone(), name, rate, gate, signals, None)
    };
    let joined = async |member: &Membership| {
        eventually("joined", async || member.snapshot.borrow().is_some()).await;
    };
    let capture = Capture::current_thread("drain_worker=info").expect("a filter");
    let first = start("first", 900);
    joined(&first).await;
    let ceiling = SettingsChange::SetCeiling(Rate::new(1_000).expect("a rate"));
    fixture.store.change_settings(GROUP, &ceiling, None, &AuditContext::default()).await.expect("set");
    let (within, above) = (start("within", 1_000), start("above", 1_001));
    joined(&within).await;
    joined(&above).await;
    let lines = capture.lines();
    let said: Vec<_> = lines.iter().filter(|line| line["event"] == "initial_rate_above_ceiling").collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((&said[0]["initial_rate"], &said[0]["ceiling"]), (&1_001.into(), &1_000.into()));
    for member in [first, within, above] {
        member.end().await;
    }
}

/// The worker has no connection to the pool and keeps committing; its commit is delayed in the network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_of_a_worker_without_lease_are_rejected_and_redelivered() {
    let fixture = WorkerFixture::new().await;
    let failing = FaultyStore::new(fixture.store.clone());
    failing.hold.send_replace(true);
    fixture.publish_raw(b"not an order".to_vec()).await;
    fixture.publish(&orders(0..500, "PLENTY")).await;
    let (worker, first) = worker(&fixture, &failing, 5_000, None).await;
    eventually("sending", async || failing.held.load(Ordering::SeqCst) >= 2).await;
    let lost = first.snapshot.borrow().as_ref().expect("joined").lease;

    failing.is_deaf.store(true, Ordering::SeqCst);
    let second = Membership::start(
        fixture.store.clone(),
        "second",
        5_000,
        RateGate::closed(),
        WorkerSignals::default(),
        None,
    );
    let fenced = async || {
        let leases = group(&fixture).await.leases;
        leases.iter().all(|lease| lease.id != lost || lease.fenced_us.is_some())
    };
    eventually("fenced by the other worker", fenced).await;
    failing.hold.send_replace(false);
    eventually("refused", async || failing.fenced.load(Ordering::SeqCst) >= 2).await;
    let counts = fixture.counts().await;
    let written = (counts.orders(), counts.dead_letters_total());
    assert_eq!(written, (0, 0), "no order or letter was written under the lost lease");

    failing.is_deaf.store(false, Ordering::SeqCst);
    fixture.drained(501).await;
    assert_eq!(fixture.counts().await.dead_letters_total(), 1);
    assert_ne!(first.snapshot.borrow().as_ref().expect("joined").lease, lost, "under its own lease");
    let stock = fixture.store.stock().await.expect("stock");
    assert_eq!(stock.iter().find(|stock| stock.sku == "PLENTY").map(|stock| stock.reserved), Some(500));
    worker.stop().await.expect("stops gracefully");
    first.end().await;
    second.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_lowers_its_limit_while_the_database_is_slow_reports_why_and_recovers() {
    const CAP: u32 = 400;
    let fixture = WorkerFixture::new().await;
    let failing = FaultyStore::new(fixture.store.clone());
    let (worker, membership) = worker(&fixture, &failing, CAP, Some(Duration::from_millis(150))).await;
    fixture.publish(&orders(0..20_000, "PLENTY")).await;
    let settled = async || fixture.counts().await.orders();
    eventually("draining", async || settled().await > 0).await;
    assert_eq!(membership.report().and_then(|report| report.limit), None, "no slow commit yet");

    failing.delay_ms.store(300, Ordering::SeqCst);
    let backs_off =
        async || membership.report().is_some_and(|report| report.limit.is_some_and(|limit| limit < CAP));
    eventually("backing off", backs_off).await;
    let report = membership.report().expect("succeeds");
    assert_eq!(report.state, WorkerState::BackingOff);
    let reason = report.reason.expect("a reason");
    assert!(reason.contains("ms"), "{reason}");
    let wanted = group(&fixture).await.leases.iter().map(|lease| lease.wanted).max().expect("a lease");
    assert!(wanted < CAP, "the requested share is within the limit: {wanted}");

    failing.delay_ms.store(0, Ordering::SeqCst);
    let limit = |report: WorkerReport| report.limit.unwrap_or(RATE_MAX);
    eventually("back", async || membership.report().is_some_and(|report| limit(report) >= CAP)).await;
    assert!(settled().await < 20_000, "during constant demand");
    worker.stop().await.expect("stops gracefully");
    membership.end().await;
}
