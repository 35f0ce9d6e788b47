//! The catalogue: sales with their windows, SKUs, prices, limits and stock. A client never sets a price.
//!
//! A TOML or JSON file. ingest-fn checks the sale's window and prices orders with it, and reads it again when it changes.
//! `drain-worker init` writes stock and limits from the same file to the database, which decides on them.

mod file;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use time::OffsetDateTime;

use crate::order::{Currency, SaleId, Sku};

pub use rules::RuleViolation;

/// Maximum unit price, minor units. With the bounds on items and quantities, every total fits in `i64`.
pub const PRICE_MINOR_MAX: i64 = 1_000_000_000_000;

/// Maximum stock of one SKU.
pub const STOCK_MAX: u32 = 1_000_000_000;

/// Maximum bytes of a revision.
pub const REVISION_BYTES_MAX: usize = 64;

/// Maximum SKUs of one sale.
pub const SKUS_MAX: usize = 10_000;

/// All sales, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    revision: String,
    sales: HashMap<SaleId, Sale>,
}

/// One flash sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Name of the sale.
    pub id: SaleId,
    /// First instant at which orders are accepted.
    pub opens_at: OffsetDateTime,
    /// First instant at which orders are no longer accepted.
    pub closes_at: OffsetDateTime,
    /// Currency of the prices.
    pub currency: Currency,
    /// Name of the order-id key. It must not change while the sale runs: see [`crate::order::OrderIdKey`].
    pub order_id_key: String,
    /// Terms of each SKU on sale.
    pub skus: BTreeMap<Sku, Terms>,
}

/// The terms on which a SKU is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Price of one unit, minor units, 0 to [`PRICE_MINOR_MAX`].
    pub unit_price_minor: i64,
    /// Units to sell, 0 to [`STOCK_MAX`].
    pub stock: u32,
    /// Maximum units that one buyer may order in the whole sale; `None`: no limit.
    pub per_user_limit: Option<u32>,
}

/// The reason why a catalogue is unusable.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The file cannot be read.
    #[error("catalogue {path}: cannot read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file is not TOML or JSON of the expected shape.
    #[error("catalogue {path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and column where known.
        message: String,
    },
    /// The content breaks rules; `faults` has all of them.
    #[error("catalogue {path}: {}", faults.join("; "))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// One message for each broken rule.
        faults: Vec<String>,
    },
}

impl Catalogue {
    /// The revision, which every priced order carries.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Returns the sale named `id`.
    #[must_use]
    pub fn sale(&self, id: &SaleId) -> Option<&Sale> {
        self.sales.get(id)
    }

    /// All sales, in arbitrary order.
    pub fn sales(&self) -> impl Iterator<Item = &Sale> {
        self.sales.values()
    }
}
