//! The catalogue: what is on sale, when, at what price. Prices are never taken from a client.
//!
//! A TOML or JSON file named by configuration, read once at start. ingest-fn prices orders with it and judges
//! the sale's window; the drain worker's database owns stock and limits, seeded from the same file.

mod file;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use time::OffsetDateTime;

use crate::order::{Currency, SaleId, Sku};

pub use rules::RuleFault;

/// Highest unit price, minor units. With the bounds on items and quantities, every total fits in `i64`.
pub const PRICE_MINOR_MAX: i64 = 1_000_000_000_000;

/// Most units of one SKU in stock.
pub const STOCK_MAX: u32 = 1_000_000_000;

/// Longest revision, bytes.
pub const REVISION_BYTES_MAX: usize = 64;

/// Most SKUs in one sale.
pub const SKUS_MAX: usize = 10_000;

/// What is on sale.
#[derive(Clone, Debug)]
pub struct Catalogue {
    revision: String,
    sales: HashMap<SaleId, Sale>,
}

/// One flash sale.
#[derive(Clone, Debug)]
pub struct Sale {
    /// Its name.
    pub id: SaleId,
    /// First instant at which orders are taken.
    pub opens_at: OffsetDateTime,
    /// First instant at which they no longer are.
    pub closes_at: OffsetDateTime,
    /// Currency of its prices.
    pub currency: Currency,
    /// Name of the order-id key; fixed for the sale's life.
    pub order_id_key: String,
    /// What it sells.
    pub skus: BTreeMap<Sku, Terms>,
}

/// The terms on which a SKU is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Price of one, minor units, 0 to [`PRICE_MINOR_MAX`].
    pub unit_price_minor: i64,
    /// Units to sell, 0 to [`STOCK_MAX`].
    pub stock: u32,
    /// Most units one buyer may have over the whole sale; `None`: no limit.
    pub per_user_limit: Option<u32>,
}

/// Why a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The file cannot be read.
    #[error("catalogue {path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML or JSON of the expected shape.
    #[error("catalogue {path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Why, with line and column where known.
        message: String,
    },
    /// The content breaks rules; all of them are named.
    #[error("catalogue {path}: {}", faults.join("; "))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Each broken rule.
        faults: Vec<String>,
    },
}

impl Catalogue {
    /// Names this state of the catalogue; written into every order it prices.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The sale of this name.
    #[must_use]
    pub fn sale(&self, id: &SaleId) -> Option<&Sale> {
        self.sales.get(id)
    }

    /// All sales, in no order.
    pub fn sales(&self) -> impl Iterator<Item = &Sale> {
        self.sales.values()
    }
}
