//! Decides accepted orders and stores the outcome.
//!
//! [`Store`] is the only implementation for production. It runs on MySQL's dialect (PolarDB, MariaDB) or on SQLite,
//! chosen once by the URL; the two differ in a few pieces of SQL, in their drivers and in what error codes mean
//! (`dialect/`). [`OrderStore`] and [`PoolStore`] exist so that tests can put a faulty or a simulated database under the
//! pipeline and under a pool member.
//!
//! # Guarantees
//! * A batch's orders get their outcomes and their stock in one transaction. Stock is never oversold, a buyer's limit
//!   holds over the whole sale, and an order is confirmed whole or not at all.
//! * Committing the same order again changes nothing, however often and however concurrently.
//! * The same id with another payload changes nothing either; the conflict is recorded once.
//! * Every order gets a result or stays with the caller.
//! * Outcomes come from rows read under locks and from rows written. One count of rows matters, that of a conditional
//!   reservation: it changes each row that it finds, so it does not matter which of the two a driver or proxy counts.

mod address;
mod batch_snapshot;
mod catalogue;
mod commit;
mod commit_result;
mod config;
mod dead_letter;
mod dead_letters;
mod decide;
mod dialect;
mod error;
mod execute;
mod fence;
mod lettered_orders;
mod lock_wait;
mod locked;
mod lookup;
mod order_columns;
mod orders;
mod pool;
mod purge;
mod reference;
mod sale_sku;
mod sales;
mod schema;
mod server_limits;
mod sql;
mod stock_cache;
mod transaction;

use std::future::Future;

use shared::config::DatabaseUrl;
use shared::order::AcceptedOrder;
use tokio::sync::{OnceCell, Semaphore};

pub use address::{DatabaseUrlFault, check_url};
pub use catalogue::CatalogueChanges;
pub use commit_result::{CommitOutcome, CommitResult, SkuStock, StoreTotals, StoredOrder, StoredStatus};
pub use config::StoreConfig;
pub use dead_letter::{DETAIL_CHARS_MAX, DeadLetter, DeadLetterReason, MESSAGE_ID_CHARS_MAX};
pub use dead_letters::{
    BrokerDlqCounts, DeadLetterSelection, DeadLetterStatus, DeadLetterSummary, DeadLetterTotals,
    DiscardOutcome, DiscardRecord, DiscardedPage, PAGE_LETTERS_MAX, PageRequest, ReasonTotal, RestoreOutcome,
    SeenDeadLetters, SeenDiscard, StoredDeadLetter,
};
pub use error::{DbErrorDetail, SchemaError, StoreError};
pub use fence::{Fence, LeaseId};
pub use lock_wait::measure_lock_wait;
pub use orders::{BuyerOrders, DecidedOrder, OrderConflict, PAGE_ORDERS_MAX};
pub use pool::{
    ActPage, AuditEntry, ChangedSettings, GroupSnapshot, JoinRequest, Lease, PoolStore, Renewal,
    SettingsError, ShareChange, WORKERS_MAX,
};
pub use purge::{PurgeBounds, PurgePage, PurgeRows, PurgeStep};
pub use reference::{ReferencedOrders, ReferencedPage};
pub use sale_sku::SaleSku;
pub use sales::{RecentOutcomes, SaleSkuState, SaleState, SaleSummary};

use commit::RefutedGuesses;
use dialect::Driver;
use lettered_orders::LetteredOrders;
use stock_cache::StockCache;

/// The store as the pipeline uses it. [`Store`] implements it; tests put a faulty store in its place.
///
/// Every method may return [`StoreError::Transient`] or [`StoreError::Locked`]: wait, then call it again with the same
/// arguments. Calling again is always safe. A call whose future is dropped may still commit; call again to find out.
pub trait OrderStore: Send + Sync + 'static {
    /// Decides `orders` and writes them; returns one result for each, in their order.
    ///
    /// Normally one transaction. If the database rejects a row, the batch is halved until the row stands alone: that
    /// order becomes a dead letter and the others are committed. The same happens after three attempts that failed with an
    /// unknown code, at each size; if the dead letter fails as well, the database is down. An error after the first half
    /// ends the call with the results of the orders that were written, so there may be fewer than `orders`.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`]; [`StoreError::Locked`] with the SKUs to leave out;
    /// [`StoreError::Fenced`] if the lease of `fence` is gone or has expired; [`StoreError::Permanent`] only if even the
    /// dead letter is rejected. Nothing was written then, except that a transaction whose COMMIT was not answered, which
    /// is [`StoreError::Transient`], may be committed.
    fn commit(
        &self,
        fence: Fence,
        orders: &[AcceptedOrder],
    ) -> impl Future<Output = Result<Vec<CommitResult>, StoreError>> + Send;

    /// Stores `letters`, all or none. A subject that already has a dead letter gets it updated: reason, detail and payload
    /// are replaced and one more attempt is counted. A discarded one does not change.
    ///
    /// # Errors
    /// As [`OrderStore::commit`]; [`StoreError::Permanent`] if the database rejects a dead letter.
    fn upsert_dead_letters(
        &self,
        fence: Fence,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns those of `skus` whose stock another transaction has locked at this moment.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn locked_skus(
        &self,
        skus: Vec<SaleSku>,
    ) -> impl Future<Output = Result<Vec<SaleSku>, StoreError>> + Send;
}

/// The MySQL, PolarDB or SQLite database that the URL names. Share it in an `Arc`.
///
/// Every method may return [`StoreError::Transient`]: wait, then call it again. Calling again is always safe.
pub struct Store {
    driver: Box<dyn Driver>,
    config: StoreConfig,
    cache: StockCache,
    refuted: RefutedGuesses,
    lettered: LetteredOrders,
    /// See [`Store::binds_bytes`].
    bytes: OnceCell<bool>,
    /// The readers' connections that operators' queries may use at once.
    operators: Semaphore,
}

impl Store {
    /// Opens the store at `url`. Connections are opened on demand, so an unreachable database shows at the first call, as
    /// [`StoreError::Transient`].
    ///
    /// # Errors
    /// [`StoreError::Url`] if the URL cannot be used.
    pub async fn connect(url: &DatabaseUrl, config: StoreConfig) -> Result<Self, StoreError> {
        check_url(url)?;
        let driver = dialect::open(url, &config)?;
        let operators = Semaphore::new(config.operator_readers_max());
        Ok(Self {
            driver,
            config,
            cache: StockCache::default(),
            refuted: RefutedGuesses::default(),
            lettered: LetteredOrders::default(),
            bytes: OnceCell::new(),
            operators,
        })
    }

    /// Closes all connections, waiting for those in use. Later calls return [`StoreError::Transient`].
    pub async fn close(&self) {
        self.driver.close().await;
    }
}
