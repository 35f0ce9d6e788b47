//! A simulated database as the pool sees it: rows, locks on fences, its own clock, responses that get lost.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{RwLock, watch};
use tokio::time::{Instant, sleep};

use crate::trace::Trace;
use drain_worker::control::{GroupSettings, Rate, SettingsChange};
use drain_worker::store::{
    DbErrorDetail, Fence, GroupSnapshot, Heartbeat, JoinRequest, Lease, LeaseId, PoolStore, StoreError,
};

/// The fence of a lease: locked like its row; `false` once it is removed.
type FenceRow = Arc<RwLock<bool>>;

pub(crate) struct Database {
    state: Mutex<State>,
    /// Serializes the changes of the group.
    group: tokio::sync::Mutex<()>,
    begin: Instant,
    /// Speed of the clock, and its reading at the start.
    clock: (f64, i64),
    /// If true, no response is lost.
    is_calm: bool,
}

struct State {
    random: StdRng,
    settings: GroupSettings,
    revision: i64,
    leases: BTreeMap<LeaseId, Lease>,
    fences: HashMap<LeaseId, FenceRow>,
    /// Committed batches, and the lock that the transactions of a batch hold one after the other.
    committed: HashSet<u64>,
    batches: HashMap<u64, Arc<tokio::sync::Mutex<()>>>,
    down_until: Option<Instant>,
    trace: Trace,
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

    fn with_clock(seed: u64, cap: u32, clock: (f64, i64), is_calm: bool) -> Arc<Self> {
        let settings = GroupSettings::new(Rate::new(cap).expect("within bounds"));
        let begin = Instant::now();
        let trace = Trace { caps: vec![(begin, u64::from(cap))], ..Trace::default() };
        let state = State {
            random: StdRng::seed_from_u64(seed),
            settings,
            revision: 0,
            leases: BTreeMap::new(),
            fences: HashMap::new(),
            committed: HashSet::new(),
            batches: HashMap::new(),
            down_until: None,
            trace,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            group: tokio::sync::Mutex::default(),
            begin,
            clock,
            is_calm,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    fn now_us(&self) -> i64 {
        self.clock.1 + (self.begin.elapsed().as_micros() as f64 * self.clock.0) as i64
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
        let (settings, _) = change.apply(&state.settings, now_us).expect("a valid change");
        state.settings = settings;
        drop(state);
        self.sample_cap();
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
            settings: state.settings.clone(),
            leases: state.leases.values().cloned().collect(),
        }
    }

    async fn commit(self: Arc<Self>, lease: LeaseId, batch: u64, orders: u64) -> Result<(), StoreError> {
        self.travel().await;
        if self.is_down() {
            return Err(StoreError::Transient(fault()));
        }
        let fence = match self.fence_row(lease) {
            Ok(fence) => fence,
            Err(error) => {
                self.lock().trace.refused += 1;
                return Err(error);
            }
        };
        let passed = fence.read().await;
        let turn = self.lock().batches.entry(batch).or_default().clone();
        let _turn = turn.lock().await;
        let now_us = self.now_us();
        let may = *passed && self.lock().leases.get(&lease).is_some_and(|lease| lease.expires_us > now_us);
        if !may {
            self.lock().trace.refused += 1;
            return Err(StoreError::Fenced(fault()));
        }
        // Between the checks and the commit: other locks, the disk.
        self.travel().await;
        let mut state = self.lock();
        if state.committed.insert(batch) {
            state.trace.commits.push((Instant::now(), orders));
        }
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
        let Fence::Lease(lease) = fence else { panic!("members bind their gates to leases") };
        let committing = tokio::spawn(self.database.clone().commit(lease, batch, orders));
        if self.database.loses_answer() {
            self.database.travel().await;
            return Err(StoreError::Transient(fault()));
        }
        let result = committing.await.expect("a commit does not panic");
        self.database.travel().await;
        self.thaw().await;
        if self.database.loses_answer() { Err(StoreError::Transient(fault())) } else { result }
    }

    /// Runs a transaction of the pool: request, execution, response.
    async fn transact<T>(
        &self,
        work: impl AsyncFnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.thaw().await;
        self.database.travel().await;
        if self.database.is_down() {
            return Err(StoreError::Transient(fault()));
        }
        let result = work(&self.database).await;
        self.database.travel().await;
        self.thaw().await;
        if self.database.loses_answer() { Err(StoreError::Transient(fault())) } else { result }
    }
}

impl PoolStore for Session {
    async fn join(&self, joining: &JoinRequest<'_>) -> Result<(), StoreError> {
        let (id, ttl) = (joining.lease, joining.ttl);
        self.transact(async |database| {
            let now_us = database.now_us();
            let lease = Lease {
                id,
                worker: String::new(),
                share: 0,
                wanted: 0,
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

    async fn heartbeat(
        &self,
        heartbeat: &Heartbeat<'_>,
        decide: impl Fn(&GroupSnapshot) -> u32 + Send + Sync,
    ) -> Result<(GroupSnapshot, u32), StoreError> {
        self.transact(async |database| {
            let fence = database.fence_row(heartbeat.lease)?;
            let passed = fence.read().await;
            let _group = database.group.lock().await;
            let snapshot = database.snapshot();
            let lives = |lease: &Lease| lease.id == heartbeat.lease && lease.expires_us > snapshot.now_us;
            if !*passed || !snapshot.leases.iter().any(lives) {
                return Err(StoreError::Fenced(fault()));
            }
            let share = decide(&snapshot);
            // Others see nothing of it before the commit; they wait for the group.
            database.travel().await;
            let mut state = database.lock();
            if let Some(lease) = state.leases.get_mut(&heartbeat.lease) {
                (lease.share, lease.wanted) = (share, heartbeat.wanted);
                lease.expires_us = snapshot.now_us + heartbeat.ttl.as_micros() as i64;
            }
            drop(state);
            Ok((snapshot, share))
        })
        .await
    }

    async fn fence(&self, _group: &str, id: LeaseId) -> Result<bool, StoreError> {
        self.transact(async |database| {
            let Ok(fence) = database.fence_row(id) else { return Ok(true) };
            let Ok(mut passed) = tokio::time::timeout(Duration::from_secs(1), fence.write()).await else {
                return Err(StoreError::Transient(fault()));
            };
            let _group = database.group.lock().await;
            let now_us = database.now_us();
            let mut state = database.lock();
            let Some(lease) = state.leases.get_mut(&id) else { return Ok(true) };
            if lease.expires_us > now_us {
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

    async fn leave(&self, _group: &str, id: LeaseId) -> Result<(), StoreError> {
        self.transact(async |database| {
            let Ok(fence) = database.fence_row(id) else { return Ok(()) };
            let mut passed = fence.write().await;
            let _group = database.group.lock().await;
            *passed = false;
            let mut state = database.lock();
            state.fences.remove(&id);
            state.leases.remove(&id);
            Ok(())
        })
        .await
    }
}
