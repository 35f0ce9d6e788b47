//! A simulated database as the pool sees it: rows, locks on fences, a clock that steps, responses that get lost,
//! failovers that lose the last transactions.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{RwLock, watch};
use tokio::time::{Instant, sleep};

use crate::trace::Trace;
use drain_worker::control::{AuditContext, GroupSettings, Rate, SettingsChange};
use drain_worker::store::{
    DbErrorDetail, Fence, GroupSnapshot, JoinRequest, Lease, LeaseId, PoolStore, Renewal, ShareChange,
    StoreError,
};

/// The fence of a lease: locked like its row; `false` once it is removed.
type FenceRow = Arc<RwLock<bool>>;

/// Maximum time by which a replica is behind.
const REPLICA_LAG_MAX: Duration = Duration::from_millis(800);

pub(crate) struct Database {
    state: Mutex<State>,
    begin: Instant,
    /// Speed of the clock, and its reading at the start.
    clock: (f64, i64),
    /// If true, no response is lost.
    is_calm: bool,
    /// If true, a failover is possible.
    fails_over: bool,
    /// If true, commits ignore the number of changes that their share relies on.
    ignores_changes: bool,
}

/// The rows of a replica at some time.
#[derive(Clone)]
struct Rows {
    settings: GroupSettings,
    revision: i64,
    version: i64,
    leases: BTreeMap<LeaseId, Lease>,
    fences: Vec<LeaseId>,
    /// Commits so far.
    commits: usize,
}

struct State {
    random: StdRng,
    settings: GroupSettings,
    revision: i64,
    version: i64,
    leases: BTreeMap<LeaseId, Lease>,
    fences: HashMap<LeaseId, FenceRow>,
    /// Committed batches, and the lock that the transactions of a batch hold one after the other.
    committed: HashSet<u64>,
    committed_in_order: Vec<u64>,
    batches: HashMap<u64, Arc<tokio::sync::Mutex<()>>>,
    down_until: Option<Instant>,
    /// Sum of the clock's steps, µs.
    stepped_us: i64,
    /// Another server with each failover: transactions in flight end with the old one.
    server: u64,
    /// The rows after each recent transaction; oldest first.
    replicated: VecDeque<(Instant, Rows)>,
    statements: u64,
    trace: Trace,
}

impl State {
    fn rows(&self) -> Rows {
        Rows {
            settings: self.settings.clone(),
            revision: self.revision,
            version: self.version,
            leases: self.leases.clone(),
            fences: self.fences.keys().copied().collect(),
            commits: self.committed_in_order.len(),
        }
    }

    /// Continues as the replica that had these rows last.
    fn become_replica(&mut self, rows: Rows) {
        (self.settings, self.revision, self.version) = (rows.settings, rows.revision, rows.version);
        self.leases = rows.leases;
        // The new server has no locks.
        self.fences =
            rows.fences.into_iter().map(|lease| (lease, FenceRow::new(RwLock::new(true)))).collect();
        let lost = self.committed_in_order.split_off(rows.commits);
        self.trace.lose(lost.len());
        for batch in lost {
            self.committed.remove(&batch);
        }
        self.server += 1;
    }
}

fn fault() -> DbErrorDetail {
    DbErrorDetail { operation: "simulate", code: None, what: "planted".to_owned(), subject: None }
}

impl Database {
    pub(crate) fn new(seed: u64, cap: u32, random: &mut StdRng) -> Arc<Self> {
        // The offset of the clock makes no difference; its speed may differ by no more than WINDOW allows for.
        Self::with_clock(
            seed,
            cap,
            (random.random_range(0.999_1..1.000_9), random.random_range(0..1 << 50)),
            false,
        )
    }

    pub(crate) fn calm(seed: u64, cap: u32) -> Arc<Self> {
        Self::with_clock(seed, cap, (1.0, 1 << 50), true)
    }

    /// One that keeps what a failover loses. `fences_changes`: its fence refuses commits that rely on lost changes.
    pub(crate) fn replicated(seed: u64, cap: u32, random: &mut StdRng, fences_changes: bool) -> Arc<Self> {
        let mut database = Self::new(seed, cap, random);
        let own = Arc::get_mut(&mut database).expect("not shared yet");
        (own.fails_over, own.ignores_changes) = (true, !fences_changes);
        database
    }

    fn with_clock(seed: u64, cap: u32, clock: (f64, i64), is_calm: bool) -> Arc<Self> {
        let settings = GroupSettings::new(Rate::new(cap).expect("within bounds"));
        let begin = Instant::now();
        let trace = Trace { caps: vec![(begin, u64::from(cap))], ..Trace::default() };
        let state = State {
            random: StdRng::seed_from_u64(seed),
            settings,
            revision: 0,
            version: 0,
            leases: BTreeMap::new(),
            fences: HashMap::new(),
            committed: HashSet::new(),
            committed_in_order: Vec::new(),
            batches: HashMap::new(),
            down_until: None,
            stepped_us: 0,
            server: 0,
            replicated: VecDeque::new(),
            statements: 0,
            trace,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            begin,
            clock,
            is_calm,
            fails_over: false,
            ignores_changes: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    fn now_us(&self) -> i64 {
        let stepped_us = self.lock().stepped_us;
        self.clock.1 + stepped_us + (self.begin.elapsed().as_micros() as f64 * self.clock.0) as i64
    }

    /// Records the cap in force.
    fn sample_cap(&self) {
        let now_us = self.now_us();
        let mut state = self.lock();
        let cap = u64::from(state.settings.cap_at(now_us).orders_per_second);
        if state.trace.caps.last().map(|(_, cap)| *cap) != Some(cap) {
            state.trace.caps.push((Instant::now(), cap));
        }
    }

    pub(crate) fn change(&self, change: &SettingsChange) {
        // The cap until now is recorded first: a ramp may be in progress.
        self.sample_cap();
        let now_us = self.now_us();
        let mut state = self.lock();
        // One operator, whose newest pause replaces the one before.
        state.settings.holds.clear();
        let applied = change.apply(&state.settings, 1, now_us, &AuditContext::default());
        state.settings = applied.expect("a valid change").settings;
        drop(state);
        self.replicate();
        self.sample_cap();
    }

    /// Sets the clock forward by `step_us`, or back.
    pub(crate) fn step_clock(&self, step_us: i64) {
        self.sample_cap();
        self.lock().stepped_us += step_us;
        self.sample_cap();
    }

    /// Continues after `time` as a replica, without the transactions of the last `lag`.
    pub(crate) fn fail_over(&self, lag: Duration, time: Duration) {
        self.sample_cap();
        let mut state = self.lock();
        let lost_from = Instant::now().checked_sub(lag.min(REPLICA_LAG_MAX)).unwrap_or(self.begin);
        let had =
            state.replicated.iter().rev().find(|(at, _)| *at <= lost_from).map(|(_, rows)| rows.clone());
        let Some(rows) = had else { return };
        state.become_replica(rows);
        state.replicated.clear();
        state.down_until = Some(Instant::now() + time);
        drop(state);
        self.replicate();
        self.sample_cap();
    }

    /// Notes the rows after a transaction.
    fn replicate(&self) {
        if !self.fails_over {
            return;
        }
        let (now, mut state) = (Instant::now(), self.lock());
        let rows = state.rows();
        state.replicated.push_back((now, rows));
        // One older than the largest lag stays.
        while state.replicated.get(1).is_some_and(|(at, _)| now - *at > REPLICA_LAG_MAX) {
            state.replicated.pop_front();
        }
    }

    /// Statements of the pool's members since the previous call.
    pub(crate) fn take_statements(&self) -> u64 {
        std::mem::take(&mut self.lock().statements)
    }

    pub(crate) fn go_down(&self, time: Duration) {
        self.lock().down_until = Some(Instant::now() + time);
    }

    /// Returns the trace so far; the next one starts empty.
    pub(crate) fn trace(&self) -> Trace {
        let mut trace = std::mem::take(&mut self.lock().trace);
        trace.ended = Some(Instant::now());
        trace
    }

    /// Network and statements, one way.
    async fn travel(&self) {
        let us = {
            let mut state = self.lock();
            let slow = !self.is_calm && state.random.random_bool(0.02);
            if slow { state.random.random_range(0..1_500_000) } else { state.random.random_range(100..4_000) }
        };
        sleep(Duration::from_micros(us)).await;
    }

    fn is_down(&self) -> bool {
        self.lock().down_until.is_some_and(|until| Instant::now() < until)
    }

    /// Returns true if the response to the last call gets lost.
    fn loses_answer(&self) -> bool {
        self.is_down() || (!self.is_calm && self.lock().random.random_bool(0.01))
    }

    fn fence_row(&self, lease: LeaseId) -> Result<FenceRow, StoreError> {
        self.lock().fences.get(&lease).cloned().ok_or(StoreError::Fenced(fault()))
    }

    fn snapshot(&self) -> GroupSnapshot {
        self.sample_cap();
        let now_us = self.now_us();
        let state = self.lock();
        GroupSnapshot {
            now_us,
            revision: state.revision,
            version: state.version,
            settings: state.settings.clone(),
            leases: state.leases.values().cloned().collect(),
        }
    }

    /// As [`drain_worker::store::Store`] commits: the fence's lock and the lease's check come first, in one statement.
    async fn commit(
        self: Arc<Self>,
        lease: LeaseId,
        changes: i64,
        batch: u64,
        orders: u64,
    ) -> Result<(), StoreError> {
        self.travel().await;
        if self.is_down() {
            return Err(StoreError::Transient(fault()));
        }
        let server = self.lock().server;
        let fence = match self.fence_row(lease) {
            Ok(fence) => fence,
            Err(error) => {
                self.lock().trace.refused += 1;
                return Err(error);
            }
        };
        let passed = fence.read().await;
        let now_us = self.now_us();
        let may = *passed
            && self.lock().leases.get(&lease).is_some_and(|lease| {
                lease.expires_us > now_us && (self.ignores_changes || lease.changes >= changes)
            });
        if !may {
            self.lock().trace.refused += 1;
            return Err(StoreError::Fenced(fault()));
        }
        let turn = self.lock().batches.entry(batch).or_default().clone();
        let _turn = turn.lock().await;
        // Between the checks and the commit: other locks, the disk.
        self.travel().await;
        let mut state = self.lock();
        if state.server != server {
            return Err(StoreError::Transient(fault()));
        }
        if state.committed.insert(batch) {
            state.committed_in_order.push(batch);
            state.trace.commits.push((Instant::now(), orders));
        }
        drop(state);
        self.replicate();
        Ok(())
    }
}

/// The connection of one worker; it stops while the worker is frozen.
#[derive(Clone)]
pub(crate) struct Session {
    database: Arc<Database>,
    frozen: watch::Receiver<bool>,
}

impl Session {
    pub(crate) const fn new(database: Arc<Database>, frozen: watch::Receiver<bool>) -> Self {
        Self { database, frozen }
    }

    /// Waits while the worker is frozen.
    pub(crate) async fn thaw(&self) {
        let mut frozen = self.frozen.clone();
        let _thawed = frozen.wait_for(|frozen| !frozen).await;
    }

    /// Sends a commit, which continues if the caller is dropped. Sometimes the connection breaks before its end.
    pub(crate) async fn commit(&self, fence: Fence, batch: u64, orders: u64) -> Result<(), StoreError> {
        let Fence::Lease { id, changes } = fence else { panic!("members bind their gates to leases") };
        let committing = tokio::spawn(self.database.clone().commit(id, changes, batch, orders));
        if self.database.loses_answer() {
            self.database.travel().await;
            return Err(StoreError::Transient(fault()));
        }
        let result = committing.await.expect("a commit does not panic");
        self.database.travel().await;
        self.thaw().await;
        if self.database.loses_answer() { Err(StoreError::Transient(fault())) } else { result }
    }

    /// Runs statements of the pool: request, execution, response. They continue if the caller is dropped or stops waiting.
    async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.thaw().await;
        let database = self.database.clone();
        let server = database.lock().server;
        let running = tokio::spawn(async move {
            database.travel().await;
            if database.is_down() || database.lock().server != server {
                return Err(StoreError::Transient(fault()));
            }
            database.lock().statements += 1;
            let now_us = database.now_us();
            let done = work(&database, now_us);
            database.replicate();
            done
        });
        if self.database.loses_answer() {
            self.database.travel().await;
            return Err(StoreError::Transient(fault()));
        }
        let result = running.await.expect("a statement does not panic");
        self.database.travel().await;
        self.thaw().await;
        if self.database.loses_answer() { Err(StoreError::Transient(fault())) } else { result }
    }
}

impl PoolStore for Session {
    async fn join(&self, joining: &JoinRequest<'_>) -> Result<(), StoreError> {
        let (id, ttl) = (joining.lease, joining.ttl);
        self.transact(move |database, now_us| {
            let lease = Lease {
                id,
                worker: String::new(),
                share: 0,
                wanted: 0,
                changes: 0,
                joined_us: now_us,
                expires_us: now_us + ttl.as_micros() as i64,
                fenced_us: None,
                report: String::new(),
            };
            let mut state = database.lock();
            state.leases.insert(id, lease);
            state.fences.insert(id, Arc::new(RwLock::new(true)));
            Ok(())
        })
        .await
    }

    async fn renew(&self, renewal: &Renewal<'_>) -> Result<(), StoreError> {
        let (id, ttl) = (renewal.lease, renewal.ttl);
        self.transact(move |database, now_us| {
            if let Some(lease) = database.lock().leases.get_mut(&id)
                && lease.fenced_us.is_none()
            {
                lease.expires_us = now_us + ttl.as_micros() as i64;
            }
            Ok(())
        })
        .await
    }

    async fn read(&self, _group: &str, id: LeaseId, _reports: bool) -> Result<GroupSnapshot, StoreError> {
        self.transact(move |database, _now_us| {
            let snapshot = database.snapshot();
            let lives = |lease: &Lease| lease.id == id && lease.fenced_us.is_none();
            if snapshot.leases.iter().any(lives) { Ok(snapshot) } else { Err(StoreError::Fenced(fault())) }
        })
        .await
    }

    async fn set_share(&self, change: &ShareChange<'_>) -> Result<(), StoreError> {
        let ShareChange { group: _, lease: id, share, wanted, changes, raised_on } = *change;
        self.transact(move |database, _now_us| {
            let mut state = database.lock();
            if raised_on.is_some_and(|version| version != state.version) {
                return Ok(());
            }
            let version = state.random.random();
            let Some(lease) = state.leases.get_mut(&id) else { return Ok(()) };
            if lease.changes == changes && lease.fenced_us.is_none() {
                (lease.share, lease.wanted, lease.changes) = (share, wanted, changes + 1);
                if raised_on.is_some() {
                    state.version = version;
                }
            }
            Ok(())
        })
        .await
    }

    async fn fence(&self, id: LeaseId, silent_since: Option<i64>) -> Result<bool, StoreError> {
        self.transact(move |database, now_us| {
            let Ok(fence) = database.fence_row(id) else { return Ok(true) };
            let Ok(mut passed) = fence.try_write() else { return Err(StoreError::Transient(fault())) };
            let mut state = database.lock();
            let Some(lease) = state.leases.get_mut(&id) else { return Ok(true) };
            if lease.expires_us > now_us && Some(lease.expires_us) != silent_since {
                return Ok(false);
            }
            lease.fenced_us = Some(now_us);
            *passed = false;
            state.fences.remove(&id);
            state.trace.fenced += 1;
            Ok(true)
        })
        .await
    }

    async fn forget(&self, id: LeaseId) -> Result<(), StoreError> {
        self.transact(move |database, _now_us| {
            let mut state = database.lock();
            if state.leases.get(&id).is_some_and(|lease| lease.fenced_us.is_some()) {
                state.leases.remove(&id);
            }
            Ok(())
        })
        .await
    }

    async fn leave(&self, id: LeaseId) -> Result<(), StoreError> {
        self.transact(move |database, _now_us| {
            let Ok(fence) = database.fence_row(id) else { return Ok(()) };
            // The server would wait; the member retries.
            let Ok(mut passed) = fence.try_write() else { return Err(StoreError::Transient(fault())) };
            *passed = false;
            let mut state = database.lock();
            state.fences.remove(&id);
            state.leases.remove(&id);
            Ok(())
        })
        .await
    }
}
