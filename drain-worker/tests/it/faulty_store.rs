//! A store whose commits and heartbeats fail, block or are delayed on demand.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drain_worker::store::{
    CommitResult, DbErrorDetail, DeadLetter, Fence, GroupSnapshot, JoinRequest, LeaseId, OrderStore,
    PoolStore, Renewal, SaleSku, ShareChange, Store, StoreError,
};
use shared::order::AcceptedOrder;
use tokio::sync::watch;
use tokio::time::sleep;

pub(crate) struct FaultyStore {
    store: Arc<Store>,
    pub(crate) down: AtomicBool,
    pub(crate) fatal: AtomicBool,
    /// Heartbeats fail, as if no response arrived.
    pub(crate) is_deaf: AtomicBool,
    /// Added to every commit.
    pub(crate) delay_ms: AtomicU64,
    /// Writes wait while this is set.
    pub(crate) hold: watch::Sender<bool>,
    /// Calls that have waited on `hold`.
    pub(crate) held: AtomicU64,
    /// Calls that the store rejected as fenced.
    pub(crate) fenced: AtomicU64,
    /// Commits that succeed and whose response is lost.
    pub(crate) answers_to_lose: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// SKUs whose stock another transaction has locked.
    pub(crate) locked: Mutex<BTreeSet<String>>,
    /// Orders of the largest transaction.
    pub(crate) largest: AtomicUsize,
}

impl FaultyStore {
    pub(crate) fn new(store: Arc<Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            down: AtomicBool::new(false),
            fatal: AtomicBool::new(false),
            is_deaf: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            hold: watch::Sender::new(false),
            held: AtomicU64::new(0),
            fenced: AtomicU64::new(0),
            answers_to_lose: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            locked: Mutex::default(),
            largest: AtomicUsize::new(0),
        })
    }

    async fn held_up(&self) {
        if *self.hold.borrow() {
            self.held.fetch_add(1, Ordering::SeqCst);
            let mut hold = self.hold.subscribe();
            while *hold.borrow_and_update() && hold.changed().await.is_ok() {}
        }
    }

    fn locked_of(&self, skus: impl Iterator<Item = SaleSku>) -> Vec<SaleSku> {
        let locked = self.locked.lock().expect("no panic");
        skus.filter(|sku| locked.contains(sku.sku.as_str())).collect()
    }

    fn counted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(result, Err(StoreError::Fenced(_))) {
            self.fenced.fetch_add(1, Ordering::SeqCst);
        }
        result
    }
}

fn fault() -> DbErrorDetail {
    DbErrorDetail { operation: "commit", code: None, what: "planted".to_owned(), subject: None }
}

impl OrderStore for FaultyStore {
    async fn commit(&self, fence: Fence, orders: &[AcceptedOrder]) -> Result<Vec<CommitResult>, StoreError> {
        self.largest.fetch_max(orders.len(), Ordering::SeqCst);
        if self.fatal.load(Ordering::SeqCst) {
            return Err(StoreError::Fatal(fault()));
        }
        if self.down.load(Ordering::SeqCst) {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Transient(fault()));
        }
        let skus = self.locked_of(orders.iter().flat_map(SaleSku::of));
        if !skus.is_empty() {
            return Err(StoreError::Locked { detail: fault(), skus });
        }
        self.held_up().await;
        sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst))).await;
        let results = self.counted(self.store.commit(fence, orders).await)?;
        let lose = |left: u64| left.checked_sub(1);
        if self.answers_to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
            return Err(StoreError::Transient(fault()));
        }
        Ok(results)
    }

    async fn upsert_dead_letters(&self, fence: Fence, letters: &[DeadLetter]) -> Result<(), StoreError> {
        self.held_up().await;
        self.counted(self.store.upsert_dead_letters(fence, letters).await)
    }

    async fn locked_skus(&self, skus: Vec<SaleSku>) -> Result<Vec<SaleSku>, StoreError> {
        Ok(self.locked_of(skus.into_iter()))
    }
}

impl FaultyStore {
    fn heard(&self) -> Result<(), StoreError> {
        if self.is_deaf.load(Ordering::SeqCst) { Err(StoreError::Transient(fault())) } else { Ok(()) }
    }
}

impl PoolStore for FaultyStore {
    fn join(&self, joining: &JoinRequest<'_>) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.store.join(joining)
    }

    async fn renew(&self, renewal: &Renewal<'_>) -> Result<(), StoreError> {
        self.heard()?;
        self.store.renew(renewal).await
    }

    async fn read(&self, group: &str, lease: LeaseId, reports: bool) -> Result<GroupSnapshot, StoreError> {
        self.heard()?;
        self.store.read(group, lease, reports).await
    }

    async fn set_share(&self, change: &ShareChange<'_>) -> Result<(), StoreError> {
        self.heard()?;
        self.store.set_share(change).await
    }

    fn fence(
        &self,
        lease: LeaseId,
        silent_since: Option<i64>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        self.store.fence(lease, silent_since)
    }

    fn forget(&self, lease: LeaseId) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.store.forget(lease)
    }

    fn leave(&self, lease: LeaseId) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.store.leave(lease)
    }
}
