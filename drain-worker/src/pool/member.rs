//! A worker's membership: joins, sends heartbeats, sets its gate's credits, fences expired workers, leaves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::demand::DemandEstimator;
use super::observed::ObservedLeases;
use super::own_share::OwnShare;
use super::report::{Reporter, WorkerReport, WorkerSignals};
use super::{ShareDecision, ShareRequest, allocate};
use crate::adaptive_limit::{AdaptiveLimit, PoolLoad};
use crate::control::GroupSettings;
use crate::rate::{GateUsage, RateGate};
use crate::store::{
    Fence, GroupSnapshot, JoinRequest, Lease, LeaseId, PoolStore, Renewal, ShareChange, StoreError,
};

const RETRY: Duration = Duration::from_millis(250);

/// Pause after a join that failed: longer, so that a full pool is asked seldom.
const JOIN_RETRY: Duration = Duration::from_secs(1);

/// Maximum time between two renewals of a lease, and between two reports.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(1);

/// Workers whose fast heartbeats together do not load the database.
pub const FAST_WORKERS: u32 = 8;

/// Interval of log lines about the same worker that hangs in a transaction.
const HUNG_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Maximum duration of leaving. Credits outstanding by then expire with the lease.
const LEAVE_MAX: Duration = Duration::from_secs(4);

#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The consumer group, whose cap is shared.
    pub group: String,
    /// Host and process, for display; at most 128 characters.
    pub worker: String,
    /// Settings of a group that is new to the database.
    pub seed: GroupSettings,
    /// Maximum time without a heartbeat before the share goes to the others.
    pub lease: Duration,
    pub heartbeat_interval: Duration,
    /// Interval while this worker's share changes, in a pool of up to [`FAST_WORKERS`] workers: a released share is idle
    /// until another worker notices it. Longer in proportion in a larger pool, up to half of `heartbeat_interval`.
    pub heartbeat_interval_fast: Duration,
}

/// The pool as this worker last saw it.
#[derive(Clone, Debug)]
pub struct PoolSnapshot {
    pub group_id: String,
    pub name: String,
    pub group: GroupSnapshot,
    /// The workers' reports, up to a second older than the rest; a worker that has not reported yet has none.
    pub reports: WorkerReports,
    pub lease: LeaseId,
    pub decision: ShareDecision,
    pub at: Instant,
}

pub type WorkerReports = BTreeMap<LeaseId, Arc<WorkerReport>>;

#[derive(Debug)]
pub struct Member<P> {
    store: Arc<P>,
    config: PoolConfig,
    gate: RateGate,
    reporter: Reporter,
    adaptive_limit: AdaptiveLimit,
    demand: DemandEstimator,
    /// Start of the last answered heartbeat.
    last_heartbeat_at: Option<Instant>,
    /// Start of the last answered renewal of the current lease.
    renewed_at: Option<Instant>,
    own_share: OwnShare,
    observed: ObservedLeases,
    reports: WorkerReports,
    /// The expired lease that could not be fenced, and when that was last logged.
    hung: Option<(LeaseId, Instant)>,
    snapshot: watch::Sender<Option<Arc<PoolSnapshot>>>,
}

impl<P: PoolStore> Member<P> {
    /// A member that has not joined; `gate` must have no credits.
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
            renewed_at: None,
            own_share: OwnShare::default(),
            observed: ObservedLeases::default(),
            reports: WorkerReports::new(),
            hung: None,
            snapshot: watch::Sender::new(None),
        }
    }

    /// The latest snapshot, and its changes.
    #[must_use]
    pub fn snapshot(&self) -> watch::Receiver<Option<Arc<PoolSnapshot>>> {
        self.snapshot.subscribe()
    }

    /// Joins and sends heartbeats until `leave`; then releases the share and leaves.
    ///
    /// # Errors
    /// [`StoreError`] that waiting does not resolve. The gate has no credits then.
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
            (self.renewed_at, self.own_share) = (None, OwnShare::default());
            self.gate.bind(Fence::of(lease));
            // Of an earlier lease.
            let _revoked = self.gate.revoked().now_or_never();
            if self.heartbeat_loop(lease, leave).await? {
                let gone = timeout(LEAVE_MAX, self.leave(lease)).await;
                tracing::debug!(event = "pool_left", %lease, in_time = gone.is_ok(), "left the pool");
                return Ok(());
            }
            // Orders granted under the lost lease cannot be committed, and nothing is granted under it any more, so
            // its expiry need not be awaited.
            self.gate.set_credits(0);
            let silent_since = self.observed.expiry(lease);
            if let Err(error) = self.store.fence(lease, silent_since).await {
                tracing::warn!(event = "lease_fence_failed", %lease, %error, "cannot fence the lost lease; its share counts until it expires");
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
                    tracing::info!(event = "pool_joined", %lease, group = self.config.group, "joined the pool");
                    return Ok(lease);
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(event = "pool_join_failed", %error, "cannot join the pool; retrying");
                    sleep(JOIN_RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends heartbeats. `true`: asked to leave; `false`: the lease is gone.
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
                    self.fence_expired(&snapshot).await;
                    if snapshot.decision.is_settled {
                        self.config.heartbeat_interval.saturating_sub(last_heartbeat_at.elapsed())
                    } else {
                        self.fast_interval(&snapshot.decision)
                    }
                }
                Err(StoreError::Fenced(detail)) => {
                    tracing::warn!(event = "lease_lost", %lease, fault = %detail, "this worker's lease is gone; joining the pool again");
                    return Ok(false);
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(event = "heartbeat_failed", %lease, %error, "heartbeat failed; retrying");
                    RETRY
                }
                Err(error) => return Err(error),
            };
            let fast = last_heartbeat_at + self.config.heartbeat_interval_fast;
            tokio::select! {
                () = leave.cancelled() => return Ok(true),
                () = sleep(pause) => {}
                // A commit was refused, and its grant keeps its credits until the lease ends.
                () = self.gate.revoked() => return Ok(false),
                // A caller waits for a credit, unlike before: the demand has changed.
                () = self.gate.starved(), if !self.demand.is_saturated(last_heartbeat_at) => tokio::time::sleep_until(fast).await,
            }
        }
    }

    /// The pause of a worker whose share is not settled. Random, so that workers which failed to raise their shares at
    /// the same time do not try together again.
    fn fast_interval(&self, decision: &ShareDecision) -> Duration {
        let crowd = decision.workers.div_ceil(FAST_WORKERS).max(1);
        let interval = (self.config.heartbeat_interval_fast * crowd).min(self.config.heartbeat_interval / 2);
        interval.mul_f64(rand::random_range(0.7..1.3))
    }

    /// Sends one heartbeat: renews the lease and reports if it is time, reads the group, and changes the own share if that
    /// helps. `stopping`: the worker wants nothing more and holds this usage.
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
        // An operator's redrive on a cordoned worker still gets its credits.
        let is_out = self.reporter.is_out() && !usage.was_starved && usage.outstanding_peak == 0;
        let wanted = if stopping.is_some() || is_out { 0 } else { self.demand.wanted(&usage, limit, now) };
        let is_paused = seen.is_some_and(|seen| seen.cap == 0);
        let renews = self.renewed_at.is_none_or(|at| now - at >= RENEWAL_INTERVAL.min(self.config.lease / 3));
        if renews {
            let is_starved = self.demand.is_saturated(now);
            let report =
                self.reporter.report(&delta, &self.adaptive_limit, is_starved, is_paused, stopping.is_some());
            let report = report.to_json();
            self.store.renew(&Renewal { lease, ttl: self.config.lease, report: &report }).await?;
            self.renewed_at = Some(now);
        }
        let mut group = self.read(lease, renews).await?;
        let passed = self
            .last_heartbeat_at
            .map_or(self.config.heartbeat_interval_fast, |before| now - before)
            .min(self.config.heartbeat_interval);
        let request = ShareRequest { lease, holds: usage.holds(), wanted, limit, passed };
        let mut decision = allocate(&group, request);
        if let Some(change) = Self::change(&self.config.group, &group, lease, wanted, decision.share) {
            self.own_share.attempt(change.changes, change.share);
            self.store.set_share(&change).await?;
            group = self.read(lease, false).await?;
            let share = own(&group, lease).map_or(0, |own| own.share);
            decision.is_settled &= share == decision.share;
            decision.share = share;
        }
        if self.last_heartbeat_at.is_none()
            && let Some(ceiling) =
                group.settings.ceiling.filter(|ceiling| *ceiling < self.config.seed.default)
        {
            let (initial_rate, ceiling) = (self.config.seed.default.get(), ceiling.get());
            tracing::warn!(
                event = "initial_rate_above_ceiling",
                initial_rate,
                ceiling,
                "the initial rate is above the group's ceiling, which holds"
            );
        }
        self.last_heartbeat_at = Some(now);
        if stopping.is_none() {
            // Only now: the database has stored everything that may be granted.
            self.gate.rely_on(own(&group, lease).map_or(0, |own| own.changes));
            self.gate.raise_credits(decision.goal.min(decision.share), decision.pace());
        }
        let (group_id, name) = (self.config.group.clone(), self.config.worker.clone());
        let reports = self.reports.clone();
        let snapshot = Arc::new(PoolSnapshot { group_id, name, group, reports, lease, decision, at: now });
        self.snapshot.send_replace(Some(snapshot.clone()));
        Ok(snapshot)
    }

    /// Reads the group: the own share is what may be relied on, and that of a fenced lease is 0 once it is free.
    async fn read(&mut self, lease: LeaseId, reports: bool) -> Result<GroupSnapshot, StoreError> {
        let mut group = self.store.read(&self.config.group, lease, reports).await?;
        self.observed.observe(&mut group.leases, Instant::now());
        if let Some(own) = group.leases.iter_mut().find(|other| other.id == lease) {
            own.share = self.own_share.read(own.changes, own.share)?;
        }
        if reports {
            let parsed = |lease: &Lease| Some((lease.id, Arc::new(WorkerReport::parse(&lease.report)?)));
            self.reports = group.leases.iter().filter_map(parsed).collect();
        }
        Ok(group)
    }

    /// The change that stores `share` and `wanted`; `None`: what is stored will do. While the share suffices, the others
    /// need not know that more of it is wanted.
    fn change<'a>(
        group_id: &'a str,
        group: &GroupSnapshot,
        lease: LeaseId,
        wanted: u32,
        share: u32,
    ) -> Option<ShareChange<'a>> {
        let own = own(group, lease)?;
        let tells = (wanted > own.wanted && wanted > share)
            || wanted < own.wanted - own.wanted / 4
            || (wanted == 0) != (own.wanted == 0);
        (share != own.share || tells).then_some(ShareChange {
            group: group_id,
            lease,
            share,
            wanted: if tells { wanted } else { own.wanted },
            changes: own.changes,
            raised_on: (share > own.share).then_some(group.version),
        })
    }

    /// Fences one silent worker, or deletes a lease that was shown as fenced long enough. The live workers take turns by the
    /// second, so that not all of them try with every heartbeat while one worker hangs in a transaction.
    async fn fence_expired(&mut self, snapshot: &PoolSnapshot) {
        let (leases, now_us) = (&snapshot.group.leases, snapshot.group.now_us);
        let now = Instant::now();
        let is_expired = |lease: &&Lease| {
            lease.id != snapshot.lease
                && lease.fenced_us.is_none()
                && (lease.expires_us <= now_us || self.observed.is_silent(lease.id, self.config.lease))
        };
        let expired: Vec<_> = leases.iter().filter(is_expired).collect();
        let shown = leases.iter().find(|lease| self.observed.is_shown(lease.id, now));
        if expired.is_empty() && shown.is_none() {
            return;
        }
        let second = usize::try_from(now_us / 1_000_000).unwrap_or(0);
        let live = || leases.iter().filter(|lease| lease.id == snapshot.lease || lease.is_live(now_us));
        let place = live().position(|lease| lease.id == snapshot.lease);
        if place != Some(second % live().count().max(1)) {
            return;
        }
        if let Some(shown) = shown {
            // Without effect if another worker did it; the next heartbeat retries after an error.
            let _deleted = self.store.forget(shown.id).await;
        }
        // In rotation: one hanging worker must not prevent the fencing of the others.
        let Some(expired) = expired.get(second / 2 % expired.len().max(1)) else { return };
        match self.store.fence(expired.id, Some(expired.expires_us)).await {
            Ok(true) => {
                tracing::warn!(event = "lease_expired", worker = expired.worker, lease = %expired.id, "lease of a worker expired; its share is released in 1 s");
            }
            Ok(false) => {}
            // Every heartbeat retries; a line each would flood the log.
            Err(error) => {
                if self.hung.is_none_or(|(lease, logged_at)| {
                    lease != expired.id || now - logged_at >= HUNG_LOG_INTERVAL
                }) {
                    tracing::warn!(event = "lease_fence_blocked", worker = expired.worker, %error, "cannot fence an expired lease: a transaction of its worker may hold it; retrying");
                    self.hung = Some((expired.id, now));
                }
            }
        }
    }

    /// Grants nothing more, reports outstanding credits until there are none, and leaves: the others use every credit
    /// as it returns.
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
                    tracing::debug!(event = "heartbeat_failed", %error, "heartbeat failed while leaving; retrying");
                }
                Err(_gone) => return,
            }
            sleep(self.config.heartbeat_interval_fast).await;
        }
        if let Err(error) = self.store.leave(lease).await {
            tracing::warn!(event = "pool_leave_failed", %error, "cannot leave the pool; the lease expires by itself");
        }
    }
}

fn own(group: &GroupSnapshot, lease: LeaseId) -> Option<&Lease> {
    group.leases.iter().find(|other| other.id == lease)
}
