//! A simulated worker: a real gate and member, and writers that commit generated batches.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::LEASE;
use crate::database::{Database, Session};
use drain_worker::adaptive_limit::AdaptiveLimit;
use drain_worker::control::{GroupSettings, Rate};
use drain_worker::pool::{Member, PoolConfig, WorkerSignals};
use drain_worker::rate::{RateGate, WINDOW};
use drain_worker::store::StoreError;

pub(crate) struct Worker {
    frozen: watch::Sender<bool>,
    is_busy: watch::Sender<bool>,
    finish: CancellationToken,
    tasks: Vec<AbortHandle>,
}

impl Worker {
    /// With a random clock and a random demand.
    pub(crate) fn start(database: &Arc<Database>, random: &mut StdRng) -> Self {
        let is_busy = random.random_bool(0.8);
        // Two synchronized clocks differ by up to 500 millionths while one is being corrected; WINDOW allows for
        // twice that.
        let drift = random.random_range(-0.000_9..0.000_9);
        Self::run(database, random, WINDOW.mul_f64(1.0 - drift), is_busy)
    }

    pub(crate) fn hungry(database: &Arc<Database>, random: &mut StdRng) -> Self {
        Self::run(database, random, WINDOW, true)
    }

    pub(crate) fn idle(database: &Arc<Database>, random: &mut StdRng) -> Self {
        Self::run(database, random, WINDOW, false)
    }

    fn run(database: &Arc<Database>, random: &mut StdRng, window: Duration, busy: bool) -> Self {
        let gate = RateGate::with_window(window);
        let (frozen, is_busy) = (watch::Sender::new(false), watch::Sender::new(busy));
        let leave = CancellationToken::new();
        let session = Session::new(database.clone(), frozen.subscribe());
        let config = PoolConfig {
            group: "drain".to_owned(),
            worker: "simulated".to_owned(),
            seed: GroupSettings::new(Rate::new(1).expect("within bounds")),
            lease: LEASE,
            heartbeat_interval: Duration::from_millis(250),
            heartbeat_interval_fast: Duration::from_millis(30),
        };
        let member = Member::new(
            Arc::new(session.clone()),
            config,
            gate.clone(),
            WorkerSignals::default(),
            AdaptiveLimit::new(None),
        );
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
                is_busy: is_busy.subscribe(),
                finish: finish.clone(),
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
        Self { frozen, is_busy, finish, tasks }
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

    pub(crate) fn change_mood(&self) {
        self.is_busy.send_modify(|busy| *busy = !*busy);
    }
}

struct Writer {
    session: Session,
    gate: RateGate,
    is_busy: watch::Receiver<bool>,
    finish: CancellationToken,
    random: StdRng,
}

impl Writer {
    async fn run(mut self) {
        let finish = self.finish.clone();
        while !finish.is_cancelled() {
            let is_busy = *self.is_busy.borrow();
            let mut is_busy_now = self.is_busy.clone();
            if !is_busy {
                let pause = Duration::from_millis(self.random.random_range(1..40_000));
                let busy = async { is_busy_now.wait_for(|busy| *busy).await.map(drop) };
                let waiting = async {
                    tokio::select! { () = sleep(pause) => {}, _busy = busy => {} }
                };
                finish.run_until_cancelled(waiting).await;
            }
            let orders = self.random.random_range(1..=if is_busy { 200 } else { 2 });
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
