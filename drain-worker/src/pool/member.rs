//! A worker's membership: joins, sends heartbeats, minds its gate's credits, fences who has lapsed, leaves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::allocate::is_live;
use super::demand::DemandEstimator;
use super::report::{Reporter, WorkerSignals};
use super::{ShareDecision, ShareRequest, allocate};
use crate::adaptive_limit::{AdaptiveLimit, PoolLoad};
use crate::control::GroupSettings;
use crate::rate::{GateUsage, RateGate};
use crate::store::{Fence, GroupSnapshot, Heartbeat, JoinRequest, LeaseId, PoolStore, StoreError};

/// Pause after a failed call.
const RETRY: Duration = Duration::from_millis(250);

/// Between two log lines about the same worker that hangs in a transaction.
const HUNG_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Longest that leaving may take. What is not given back by then lapses.
const LEAVE_MAX: Duration = Duration::from_secs(4);

/// A membership's bounds.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The consumer group, whose cap is shared.
    pub group: String,
    /// Host and process, for people; at most 128 characters.
    pub worker: String,
    /// What is set if the group is new to the database.
    pub seed: GroupSettings,
    /// How long a worker may be silent before its share goes to the others.
    pub lease: Duration,
    /// Between heartbeats.
    pub heartbeat_interval: Duration,
    /// Between heartbeats while shares move: what one worker gives up lies idle until another has noticed.
    pub heartbeat_interval_fast: Duration,
}

/// The pool as this worker saw it last.
#[derive(Clone, Debug)]
pub struct PoolSnapshot {
    /// The consumer group's name.
    pub group_id: String,
    /// This worker's name.
    pub name: String,
    /// The group, as it was before this worker's share was noted.
    pub group: GroupSnapshot,
    /// This worker's lease.
    pub lease: LeaseId,
    /// What came out of it.
    pub decision: ShareDecision,
    /// When, by this process's clock.
    pub at: Instant,
}

/// A worker's place in the pool.
#[derive(Debug)]
pub struct Member<P> {
    store: Arc<P>,
    config: PoolConfig,
    gate: RateGate,
    reporter: Reporter,
    adaptive_limit: AdaptiveLimit,
    demand: DemandEstimator,
    /// When the last heartbeat that was answered began.
    last_heartbeat_at: Option<Instant>,
    /// The lapsed lease that could not be fenced, and when that was told last.
    hung: Option<(LeaseId, Instant)>,
    snapshot: watch::Sender<Option<Arc<PoolSnapshot>>>,
}

impl<P: PoolStore> Member<P> {
    /// A member that is still to join; `gate` must have no credits of its own.
    #[must_use]
    pub fn new(
        store: Arc<P>,
        config: PoolConfig,
        gate: RateGate,
        signals: WorkerSignals,
        adaptive_limit: AdaptiveLimit,
    ) -> Self {
        let reporter = Reporter::new(signals);
        Self {
            store,
            config,
            gate,
            reporter,
            adaptive_limit,
            demand: DemandEstimator::default(),
            last_heartbeat_at: None,
            hung: None,
            snapshot: watch::Sender::new(None),
        }
    }

    /// What it saw last, and whenever it sees something new.
    #[must_use]
    pub fn snapshot(&self) -> watch::Receiver<Option<Arc<PoolSnapshot>>> {
        self.snapshot.subscribe()
    }

    /// Takes part until `leave`, then gives its share back and goes.
    ///
    /// # Errors
    /// [`StoreError`] that waiting does not mend. The gate has no credits then.
    pub async fn run(mut self, leave: CancellationToken) -> Result<(), StoreError> {
        let result = self.take_part(&leave).await;
        self.gate.set_credits(0);
        result
    }

    async fn take_part(&mut self, leave: &CancellationToken) -> Result<(), StoreError> {
        loop {
            let Some(lease) = leave.run_until_cancelled(self.join()).await.transpose()? else {
                return Ok(());
            };
            self.gate.bind(Fence::Lease(lease));
            if self.heartbeat_loop(lease, leave).await? {
                let gone = timeout(LEAVE_MAX, self.leave(lease)).await;
                tracing::debug!(%lease, in_time = gone.is_ok(), "left the pool");
                return Ok(());
            }
            // What was granted under the lost lease cannot be committed, and nothing is granted under it any more. Nobody
            // need wait for its time to be over.
            self.gate.set_credits(0);
            if let Err(error) = self.store.fence(&self.config.group, lease).await {
                tracing::warn!(%lease, %error, "the lost lease is still counted");
            }
        }
    }

    async fn join(&self) -> Result<LeaseId, StoreError> {
        loop {
            let lease = LeaseId::random();
            let joining = JoinRequest {
                group: &self.config.group,
                lease,
                worker: &self.config.worker,
                seed: &self.config.seed,
                ttl: self.config.lease,
            };
            match self.store.join(&joining).await {
                Ok(()) => {
                    tracing::info!(%lease, group = self.config.group, "joined the pool");
                    return Ok(lease);
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "joining the pool fails; trying again");
                    sleep(RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends heartbeats. `true`: it was asked to leave; `false`: the lease is gone.
    async fn heartbeat_loop(
        &mut self,
        lease: LeaseId,
        leave: &CancellationToken,
    ) -> Result<bool, StoreError> {
        let mut last_heartbeat_at;
        loop {
            last_heartbeat_at = Instant::now();
            let pause = match self.heartbeat(lease, None).await {
                Ok(snapshot) => {
                    self.fence_lapsed(&snapshot).await;
                    if snapshot.decision.is_settled {
                        self.config.heartbeat_interval
                    } else {
                        self.config.heartbeat_interval_fast
                    }
                }
                Err(StoreError::Fenced(detail)) => {
                    tracing::warn!(%lease, %detail, "this worker's lease is gone; joining the pool again");
                    return Ok(false);
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(%lease, %error, "a heartbeat failed; trying again");
                    RETRY
                }
                Err(error) => return Err(error),
            };
            let fast = last_heartbeat_at + self.config.heartbeat_interval_fast;
            tokio::select! {
                () = leave.cancelled() => return Ok(true),
                () = sleep(pause) => {}
                () = self.gate.revoked() => {}
                // Somebody waits for a credit who did not before: what it wants has changed.
                () = self.gate.starved(), if !self.demand.is_saturated(last_heartbeat_at) => tokio::time::sleep_until(fast).await,
            }
        }
    }

    /// One heartbeat. `stopping`: it wants nothing more, and this is what it holds.
    async fn heartbeat(
        &mut self,
        lease: LeaseId,
        stopping: Option<GateUsage>,
    ) -> Result<Arc<PoolSnapshot>, StoreError> {
        let now = Instant::now();
        let usage = stopping.unwrap_or_else(|| self.gate.take_usage());
        let seen = self.snapshot.borrow().as_ref().map(|snapshot| snapshot.decision);
        let delta = self.reporter.read();
        if let Some(seen) = seen {
            let load = PoolLoad { cap: seen.cap, workers: seen.workers, used: usage.outstanding_peak };
            self.adaptive_limit.observe(&delta, load, now);
        }
        let limit = self.adaptive_limit.limit();
        let wanted = if stopping.is_some() { 0 } else { self.demand.wanted(&usage, limit, now) };
        let is_paused = seen.is_some_and(|seen| seen.cap == 0);
        let report =
            self.reporter.report(&delta, &self.adaptive_limit, is_paused, stopping.is_some()).to_json();
        let heartbeat =
            Heartbeat { group: &self.config.group, lease, wanted, ttl: self.config.lease, report: &report };
        let passed = self
            .last_heartbeat_at
            .map_or(self.config.heartbeat_interval_fast, |before| now - before)
            .min(self.config.heartbeat_interval);
        let request = ShareRequest { lease, holds: usage.holds(), wanted, limit, passed };
        // Boxed: the future of a whole transaction is large.
        let beating = Box::pin(self.store.heartbeat(&heartbeat, |group| allocate(group, request).share));
        let (group, share) = beating.await?;
        let decision = allocate(&group, request);
        self.last_heartbeat_at = Some(now);
        debug_assert_eq!(decision.share, share, "the same group gives the same share");
        if stopping.is_none() {
            // Only now: the database knows of all that may be granted.
            self.gate.raise_credits(decision.credits(), decision.pace());
        }
        let (group_id, name) = (self.config.group.clone(), self.config.worker.clone());
        let snapshot = Arc::new(PoolSnapshot { group_id, name, group, lease, decision, at: now });
        self.snapshot.send_replace(Some(snapshot.clone()));
        Ok(snapshot)
    }

    /// Fences one worker that has lapsed. The workers that live take turns at it by the second: it is nothing that all of
    /// them need try with every heartbeat, as long as one hangs in a transaction.
    async fn fence_lapsed(&mut self, snapshot: &PoolSnapshot) {
        let (leases, now_us) = (&snapshot.group.leases, snapshot.group.now_us);
        let has_lapsed =
            |lease: &&crate::store::Lease| lease.fenced_us.is_none() && lease.expires_us <= now_us;
        let lapsed: Vec<_> = leases.iter().filter(has_lapsed).collect();
        // One after the other: one that hangs must not keep the others from being fenced.
        let second = usize::try_from(now_us / 1_000_000).unwrap_or(0);
        let Some(lapsed) = lapsed.get(second / 2 % lapsed.len().max(1)) else { return };
        let live = leases.iter().filter(|lease| lease.id == snapshot.lease || is_live(lease, now_us));
        let (mut place, mut count) = (0, 0_i64);
        for lease in live {
            if lease.id == snapshot.lease {
                place = count;
            }
            count += 1;
        }
        if now_us / 1_000_000 % count.max(1) != place {
            return;
        }
        match self.store.fence(&self.config.group, lapsed.id).await {
            Ok(true) => {
                tracing::warn!(worker = lapsed.worker, lease = %lapsed.id, "a worker lapsed; its share is free in a second");
            }
            Ok(false) => {}
            // Every heartbeat tries again; a line each would be a flood.
            Err(error) => {
                let now = Instant::now();
                if self.hung.is_none_or(|(lease, told)| lease != lapsed.id || now - told >= HUNG_LOG_INTERVAL)
                {
                    tracing::warn!(worker = lapsed.worker, %error, "a worker lapsed but may still be committing");
                    self.hung = Some((lapsed.id, now));
                }
            }
        }
    }

    /// Grants nothing more, tells what is still out until nothing is, and goes: the others use every credit as it comes
    /// back.
    async fn leave(&mut self, lease: LeaseId) {
        self.gate.set_credits(0);
        loop {
            let usage = self.gate.take_usage();
            if usage.holds() == 0 {
                break;
            }
            match self.heartbeat(lease, Some(usage)).await {
                Ok(_view) => {}
                Err(error) if error.is_transient() => {
                    tracing::debug!(%error, "a heartbeat failed while leaving");
                }
                Err(_gone) => return,
            }
            sleep(self.config.heartbeat_interval_fast).await;
        }
        if let Err(error) = self.store.leave(&self.config.group, lease).await {
            tracing::warn!(%error, "leaving the pool failed; the lease lapses by itself");
        }
    }
}
