//! A simulated worker: a real gate and member, and writers that commit generated batches.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::LEASE;
use crate::database::{Database, Session};
use drain_worker::adaptive_limit::AdaptiveLimit;
use drain_worker::control::{GroupSettings, Rate};
use drain_worker::pool::{Member, PoolConfig, WorkerSignals};
use drain_worker::rate::{RateGate, WINDOW};
use drain_worker::store::StoreError;

/// The orders that a worker has to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// An order or two now and then.
    Idle,
    /// None.
    Quiet,
    /// About 40 orders a second, unevenly.
    Steady,
    /// More than any share.
    Hungry,
}

impl Demand {
    /// Maximum orders of one write, and maximum pause before it, ms.
    const fn bounds(self) -> (u32, u64) {
        match self {
            Self::Idle => (2, 40_000),
            Self::Quiet => (1, 1 << 40),
            Self::Steady => (20, 2_000),
            Self::Hungry => (200, 0),
        }
    }
}

pub(crate) struct Worker {
    frozen: watch::Sender<bool>,
    demand: watch::Sender<Demand>,
    finish: CancellationToken,
    tasks: Vec<AbortHandle>,
    progress: Arc<Mutex<Progress>>,
}

/// When a worker last committed, and its longest wait for that.
struct Progress {
    last_at: Instant,
    longest: Duration,
}

impl Worker {
    /// With a random clock and a random demand.
    pub(crate) fn start(database: &Arc<Database>, random: &mut StdRng) -> Self {
        let demand = if random.random_bool(0.8) { Demand::Hungry } else { Demand::Idle };
        // Two synchronized clocks differ by up to 500 millionths while one is being corrected; WINDOW allows for
        // twice that.
        let drift = random.random_range(-0.000_9..0.000_9);
        Self::run(database, random, WINDOW.mul_f64(1.0 - drift), demand)
    }

    pub(crate) fn hungry(database: &Arc<Database>, random: &mut StdRng) -> Self {
        Self::run(database, random, WINDOW, Demand::Hungry)
    }

    pub(crate) fn idle(database: &Arc<Database>, random: &mut StdRng) -> Self {
        Self::run(database, random, WINDOW, Demand::Idle)
    }

    pub(crate) fn quiet(database: &Arc<Database>, random: &mut StdRng) -> Self {
        Self::run(database, random, WINDOW, Demand::Quiet)
    }

    pub(crate) fn steady(database: &Arc<Database>, random: &mut StdRng) -> Self {
        Self::run(database, random, WINDOW, Demand::Steady)
    }

    fn run(database: &Arc<Database>, random: &mut StdRng, window: Duration, demand: Demand) -> Self {
        let gate = RateGate::with_window(window);
        let (frozen, demand) = (watch::Sender::new(false), watch::Sender::new(demand));
        let leave = CancellationToken::new();
        let session = Session::new(database.clone(), frozen.subscribe());
        let config = PoolConfig {
            group: "drain".to_owned(),
            worker: "simulated".to_owned(),
            seed: GroupSettings::new(Rate::new(1).expect("within bounds")),
            lease: LEASE,
            heartbeat_interval: Duration::from_millis(500),
            heartbeat_interval_fast: Duration::from_millis(30),
        };
        let member = Member::new(
            Arc::new(session.clone()),
            config,
            gate.clone(),
            WorkerSignals::default(),
            AdaptiveLimit::new(None),
        );
        let progress = Arc::new(Mutex::new(Progress { last_at: Instant::now(), longest: Duration::ZERO }));
        let finish = CancellationToken::new();
        let membership = tokio::spawn({
            let leave = leave.clone();
            async move { member.run(leave).await.expect("no fatal error") }
        });
        let mut writers = JoinSet::new();
        let mut tasks = vec![membership.abort_handle()];
        for _ in 0..4 {
            let writer = Writer {
                session: session.clone(),
                gate: gate.clone(),
                demand: demand.subscribe(),
                finish: finish.clone(),
                progress: progress.clone(),
                random: StdRng::seed_from_u64(random.random()),
            };
            tasks.push(writers.spawn(writer.run()));
        }
        // The worker releases the share after the last write.
        let last = tokio::spawn(async move {
            while writers.join_next().await.is_some() {}
            leave.cancel();
        });
        tasks.push(last.abort_handle());
        Self { frozen, demand, finish, tasks, progress }
    }

    /// Aborts the worker, like a SIGKILL: its requests to the database continue.
    pub(crate) fn kill(self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }

    /// Stops the worker gracefully.
    pub(crate) fn leave(self) {
        self.finish.cancel();
    }

    /// Freezes the worker for `time`, like a SIGSTOP.
    pub(crate) fn freeze(&self, time: Duration) {
        let frozen = self.frozen.clone();
        frozen.send_replace(true);
        tokio::spawn(async move {
            sleep(time).await;
            frozen.send_replace(false);
        });
    }

    /// Returns the longest time without a commit.
    pub(crate) fn longest_wait(&self) -> Duration {
        let progress = self.progress.lock().expect("not poisoned");
        progress.longest.max(progress.last_at.elapsed())
    }

    pub(crate) fn change_mood(&self) {
        self.demand.send_modify(|demand| {
            *demand = if *demand == Demand::Hungry { Demand::Idle } else { Demand::Hungry };
        });
    }
}

struct Writer {
    session: Session,
    gate: RateGate,
    demand: watch::Receiver<Demand>,
    finish: CancellationToken,
    progress: Arc<Mutex<Progress>>,
    random: StdRng,
}

impl Writer {
    async fn run(mut self) {
        let finish = self.finish.clone();
        while !finish.is_cancelled() {
            let demand = *self.demand.borrow();
            let (orders_max, pause_max_ms) = demand.bounds();
            if pause_max_ms > 0 {
                let pause = Duration::from_millis(self.random.random_range(1..pause_max_ms));
                let mut changes = self.demand.clone();
                let changed = async { changes.wait_for(|now| *now != demand).await.map(drop) };
                let waiting = async {
                    tokio::select! { () = sleep(pause) => {}, _changed = changed => {} }
                };
                finish.run_until_cancelled(waiting).await;
            }
            let orders = self.random.random_range(1..=orders_max);
            self.write(orders).await;
        }
    }

    /// Writes as the pipeline's writers do.
    async fn write(&mut self, orders: u32) {
        let mut left = orders;
        while let Some(asked) = NonZeroU32::new(left) {
            let grant = self.gate.acquire(asked).await;
            self.session.thaw().await;
            let batch = self.random.random();
            loop {
                match self.session.commit(grant.fence(), batch, u64::from(grant.orders().get())).await {
                    Ok(()) => {
                        left -= grant.orders().get();
                        let mut progress = self.progress.lock().expect("not poisoned");
                        progress.longest = progress.longest.max(progress.last_at.elapsed());
                        progress.last_at = Instant::now();
                        grant.complete();
                        break;
                    }
                    Err(StoreError::Fenced(_)) => {
                        self.gate.revoke(grant.fence());
                        break;
                    }
                    Err(_transient) => sleep(Duration::from_millis(self.random.random_range(50..500))).await,
                }
            }
        }
    }
}
