//! The store: decides what becomes of accepted orders, and keeps it.
//!
//! [`OrderStore`] is the seam. [`Store`] implements it on MySQL's dialect (PolarDB, MariaDB) and on SQLite, chosen by
//! the address. Everything but a few pieces of SQL and the meaning of error codes is shared between the two.
//!
//! # Promises
//! * A batch's orders get their outcomes and their stock in one transaction; nothing is oversold, a buyer's limit
//!   holds over the whole sale, an order is confirmed whole or not at all.
//! * The same order again changes nothing, however often and however concurrently.
//! * The same id with another payload changes nothing either, and is put on record once.
//! * Every order gets a verdict or stays with the caller; none is dropped.
//! * Outcomes come from what was read under locks and written, never from counts of affected rows: the driver asks
//!   the server to count rows found, not rows changed.

mod catalogue;
mod commit;
mod config;
mod dead_letter;
mod decide;
mod dialect;
mod error;
mod facts;
mod fence;
mod guesses;
mod letter_store;
mod letters;
mod lookup;
mod pool;
mod schema;
mod sql;
mod sql_store;
mod times;
mod transaction;
mod verdict;

use std::future::Future;

use shared::catalogue::Catalogue;
use shared::config::DatabaseUrl;
use shared::order::{AcceptedOrder, OrderId};

pub use catalogue::CatalogueChanges;
pub use config::StoreConfig;
pub use dead_letter::{DETAIL_CHARS_MAX, DeadLetter, DeadLetterReason, MESSAGE_ID_CHARS_MAX};
pub use error::{Fault, SchemaError, StoreError};
pub use fence::{Fence, LeaseId};
pub use letter_store::{
    Discard, DiscardOutcome, Kept, LetterHead, LetterStore, LetterTotals, PAGE_LETTERS_MAX, Page,
    ReasonTotal, Selection, Standing, StoredLetter,
};
pub use pool::{AuditEntry, Beat, Joining, Lease, PoolStore, SettingsError, Snapshot};
pub use verdict::{Counts, SkuStock, StoredOrder, StoredStatus, Verdict, VerdictKind};

use sql_store::SqlStore;

/// Where accepted orders are decided and kept.
///
/// Every method may return [`StoreError::Transient`]: wait, then call it again. Calling again is always safe.
pub trait OrderStore: Send + Sync + 'static {
    /// Decides `orders` and writes them: a verdict for each, in their order.
    ///
    /// Normally one transaction. If the database refuses a row, the batch is halved until the row stands alone;
    /// that order becomes a dead letter and the others are committed. On an error, orders of earlier halves may
    /// have been committed: pass all of them again, and those come back as [`VerdictKind::Duplicate`].
    ///
    /// # Errors
    /// [`StoreError::Transient`], [`StoreError::Fatal`]; [`StoreError::Fenced`] if the lease of `fence` is gone or has
    /// lapsed; [`StoreError::Permanent`] only if even the dead letter is refused. None of them drops an order: the
    /// caller still has it.
    fn commit(
        &self,
        fence: Fence,
        orders: &[AcceptedOrder],
    ) -> impl Future<Output = Result<Vec<Verdict>, StoreError>> + Send;

    /// Keeps `letters`, all or none. A subject that has a letter already gets it updated: reason, detail and
    /// payload are the new ones, and one more attempt is counted. One that was given up stays as it is.
    ///
    /// # Errors
    /// As [`OrderStore::commit`]; [`StoreError::Permanent`] if the database refuses a letter.
    fn dead_letter(
        &self,
        fence: Fence,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Finds an order: its outcome, or its dead letter if it has none. `None`: nothing is on record, which for an
    /// accepted order means that it is still in the queue.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn find(&self, order_id: OrderId)
    -> impl Future<Output = Result<Option<StoredOrder>, StoreError>> + Send;

    /// Takes stock and limits over from `catalogue`, in one transaction. Applying it again changes nothing. A SKU
    /// that gets a limit in mid-sale gets it with what buyers have already counted in; counting reads all orders, and
    /// the sale's orders wait for it. Sales and SKUs that the catalogue does not name stay: orders for them may be on
    /// their way.
    ///
    /// # Errors
    /// [`StoreError::Catalogue`] with all faults if stock would fall under what is reserved; nothing is applied then.
    fn apply_catalogue(
        &self,
        catalogue: &Catalogue,
    ) -> impl Future<Output = Result<CatalogueChanges, StoreError>> + Send;

    /// Checks that the database has the schema this program needs, and that it does not clip values. Returns the
    /// schema's version; a newer one than this program's is accepted, as during an upgrade.
    ///
    /// # Errors
    /// [`StoreError::Schema`] says what to do.
    fn check_schema(&self) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Applies the migrations that are missing. On MySQL it waits for others doing the same, by a lock that does not
    /// work through a pooling proxy, and it needs transactions of the driver's own: connect directly for this.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the database's history is not this program's.
    fn migrate(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Totals over the whole database. Scans `orders`; the parts are not one snapshot.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn counts(&self) -> impl Future<Output = Result<Counts, StoreError>> + Send;

    /// Stock of every SKU, sorted by sale and SKU.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn stock(&self) -> impl Future<Output = Result<Vec<SkuStock>, StoreError>> + Send;
}

/// A store on whichever database the address names.
pub struct Store(Kind);

enum Kind {
    MySql(SqlStore<dialect::MySql>),
    Sqlite(SqlStore<dialect::Sqlite>),
}

impl Store {
    /// Opens the store at `url`. Connections are made when they are needed, so a database that is down shows at the
    /// first call, as [`StoreError::Transient`].
    ///
    /// # Errors
    /// [`StoreError::Fatal`] if the address cannot be used.
    pub async fn connect(url: &DatabaseUrl, config: StoreConfig) -> Result<Self, StoreError> {
        if url.scheme() == "mysql" {
            SqlStore::open(url, config).map(Kind::MySql).map(Self)
        } else {
            SqlStore::open(url, config).map(Kind::Sqlite).map(Self)
        }
    }

    /// Closes all connections, waiting for those in use. Calls after this return [`StoreError::Transient`].
    pub async fn close(&self) {
        match &self.0 {
            Kind::MySql(store) => store.close().await,
            Kind::Sqlite(store) => store.close().await,
        }
    }
}

/// Calls a method of whichever store it is.
macro_rules! dispatch {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match &$self.0 {
            $crate::store::Kind::MySql(store) => Ok(store.$method($($argument),*).await?),
            $crate::store::Kind::Sqlite(store) => Ok(store.$method($($argument),*).await?),
        }
    };
}

use dispatch;

impl OrderStore for Store {
    async fn commit(&self, fence: Fence, orders: &[AcceptedOrder]) -> Result<Vec<Verdict>, StoreError> {
        dispatch!(self.commit_batch(fence, orders))
    }

    async fn dead_letter(&self, fence: Fence, letters: &[DeadLetter]) -> Result<(), StoreError> {
        dispatch!(self.keep_letters(fence, letters))
    }

    async fn find(&self, order_id: OrderId) -> Result<Option<StoredOrder>, StoreError> {
        dispatch!(self.find_order(order_id))
    }

    async fn apply_catalogue(&self, catalogue: &Catalogue) -> Result<CatalogueChanges, StoreError> {
        dispatch!(self.apply(catalogue))
    }

    async fn check_schema(&self) -> Result<i64, StoreError> {
        dispatch!(self.verify_schema())
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        dispatch!(self.apply_migrations())
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        dispatch!(self.count_all())
    }

    async fn stock(&self) -> Result<Vec<SkuStock>, StoreError> {
        dispatch!(self.list_stock())
    }
}
