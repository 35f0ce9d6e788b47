//! A store whose commits and heartbeats fail, wait or take long, as told.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use drain_worker::control::{Change, Origin};
use drain_worker::store::{
    AuditEntry, Beat, CatalogueChanges, Counts, DeadLetter, Fault, Fence, Joining, LeaseId, OrderStore,
    PoolStore, SettingsError, SkuStock, Snapshot, Store, StoreError, StoredOrder, Verdict,
};
use shared::catalogue::Catalogue;
use shared::order::{AcceptedOrder, OrderId};
use tokio::sync::watch;
use tokio::time::sleep;

/// A store that fails as told.
pub(crate) struct Failing {
    store: Arc<Store>,
    pub(crate) down: AtomicBool,
    pub(crate) fatal: AtomicBool,
    /// Heartbeats get no answer.
    pub(crate) is_deaf: AtomicBool,
    /// Added to every commit.
    pub(crate) delay_ms: AtomicU64,
    /// What is to be written waits while this is set.
    pub(crate) hold: watch::Sender<bool>,
    /// Calls that wait for it, or did.
    pub(crate) held: AtomicU64,
    /// Calls that were refused for want of a lease.
    pub(crate) fenced: AtomicU64,
    /// Commits that succeed, and whose answer is lost.
    pub(crate) answers_to_lose: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Orders of the largest transaction.
    pub(crate) largest: AtomicUsize,
}

impl Failing {
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

    fn counted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(result, Err(StoreError::Fenced(_))) {
            self.fenced.fetch_add(1, Ordering::SeqCst);
        }
        result
    }
}

fn fault() -> Fault {
    Fault { operation: "commit", code: None, what: "planted".to_owned(), subject: None }
}

impl OrderStore for Failing {
    async fn commit(&self, fence: Fence, orders: &[AcceptedOrder]) -> Result<Vec<Verdict>, StoreError> {
        self.largest.fetch_max(orders.len(), Ordering::SeqCst);
        if self.fatal.load(Ordering::SeqCst) {
            return Err(StoreError::Fatal(fault()));
        }
        if self.down.load(Ordering::SeqCst) {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Transient(fault()));
        }
        self.held_up().await;
        sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst))).await;
        let verdicts = self.counted(self.store.commit(fence, orders).await)?;
        let lose = |left: u64| left.checked_sub(1);
        if self.answers_to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
            return Err(StoreError::Transient(fault()));
        }
        Ok(verdicts)
    }

    async fn dead_letter(&self, fence: Fence, letters: &[DeadLetter]) -> Result<(), StoreError> {
        self.held_up().await;
        self.counted(self.store.dead_letter(fence, letters).await)
    }

    fn find(
        &self,
        order_id: OrderId,
    ) -> impl Future<Output = Result<Option<StoredOrder>, StoreError>> + Send {
        self.store.find(order_id)
    }

    fn apply_catalogue(
        &self,
        catalogue: &Catalogue,
    ) -> impl Future<Output = Result<CatalogueChanges, StoreError>> + Send {
        self.store.apply_catalogue(catalogue)
    }

    fn check_schema(&self) -> impl Future<Output = Result<i64, StoreError>> + Send {
        self.store.check_schema()
    }

    fn migrate(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.store.migrate()
    }

    fn counts(&self) -> impl Future<Output = Result<Counts, StoreError>> + Send {
        self.store.counts()
    }

    fn stock(&self) -> impl Future<Output = Result<Vec<SkuStock>, StoreError>> + Send {
        self.store.stock()
    }
}

impl PoolStore for Failing {
    fn join(&self, joining: &Joining<'_>) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.store.join(joining)
    }

    async fn beat(
        &self,
        beat: &Beat<'_>,
        decide: impl Fn(&Snapshot) -> u32 + Send + Sync,
    ) -> Result<(Snapshot, u32), StoreError> {
        if self.is_deaf.load(Ordering::SeqCst) {
            return Err(StoreError::Transient(fault()));
        }
        self.store.beat(beat, decide).await
    }

    fn fence(&self, group: &str, lease: LeaseId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        self.store.fence(group, lease)
    }

    fn leave(&self, group: &str, lease: LeaseId) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.store.leave(group, lease)
    }

    fn look(&self, group: &str) -> impl Future<Output = Result<Option<Snapshot>, StoreError>> + Send {
        self.store.look(group)
    }

    fn change(
        &self,
        group: &str,
        change: &Change,
        origin: &Origin,
    ) -> impl Future<Output = Result<Snapshot, SettingsError>> + Send {
        self.store.change(group, change, origin)
    }

    fn note(
        &self,
        group: &str,
        action: &'static str,
        detail: &str,
        origin: &Origin,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.store.note(group, action, detail, origin)
    }

    fn audit(
        &self,
        group: &str,
        count_max: u32,
    ) -> impl Future<Output = Result<Vec<AuditEntry>, StoreError>> + Send {
        self.store.audit(group, count_max)
    }
}
