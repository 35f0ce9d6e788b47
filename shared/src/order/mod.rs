//! What an order is. Values here are valid by construction: parse once, at the edge, and pass types around.

mod digest;
mod fields;
mod id;
mod items;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use digest::PayloadDigest;
pub use fields::{
    AddressLine, ClientReference, Country, Currency, FieldError, IdempotencyKey, SaleId, ShippingAddress,
    Sku, TraceParent, UserId,
};
pub use id::{OrderId, OrderIdKey, OrderIdKeys, OrderKeyError};
pub use items::{ITEMS_MAX, Item, Items, ItemsError, PricedItem, Quantity};

/// What a buyer asked for: everything the client decides, nothing the server does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The flash sale.
    pub sale_id: SaleId,
    /// The buyer.
    pub user_id: UserId,
    /// 1 to 20 lines, each SKU once.
    pub items: Items,
    /// Currency the buyer believes the sale to be in.
    pub currency: Currency,
    /// Where to send it. Personal data: never logged.
    pub shipping_address: ShippingAddress,
    /// The client's own note, handed back untouched.
    pub client_reference: Option<ClientReference>,
}

/// An order as it was accepted: what the client asked for and what the server decided about it.
///
/// This is what travels in the envelope and what the drain worker writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedOrder {
    /// Derived from sale, user and idempotency key: a retry has the same one.
    pub order_id: OrderId,
    /// Digest of the canonical payload: tells a retry from another body under the same key.
    pub digest: PayloadDigest,
    /// The flash sale.
    pub sale_id: SaleId,
    /// The buyer.
    pub user_id: UserId,
    /// Lines with the unit prices that held when the order was accepted; sorted by SKU.
    pub items: Vec<PricedItem>,
    /// Currency of the prices.
    pub currency: Currency,
    /// Where to send it. Personal data: never logged.
    pub shipping_address: ShippingAddress,
    /// The client's own note.
    pub client_reference: Option<ClientReference>,
    /// When ingest-fn judged the sale's window, UTC.
    pub accepted_at: OffsetDateTime,
    /// Revision of the catalogue that gave the prices.
    pub catalogue_revision: String,
    /// W3C trace context of the request, kept so that one order can be followed through.
    pub traceparent: Option<TraceParent>,
}

impl AcceptedOrder {
    /// Sum of quantity × unit price, in the currency's minor unit.
    ///
    /// `None` if it exceeds `i64`: the catalogue's bounds rule that out for every order it prices.
    #[must_use]
    pub fn total_minor(&self) -> Option<i64> {
        self.items.iter().try_fold(0_i64, |total, item| {
            total.checked_add(item.unit_price_minor.checked_mul(i64::from(item.quantity.get()))?)
        })
    }
}

/// What became of an accepted order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "reason")]
pub enum Outcome {
    /// Stock is reserved.
    Confirmed,
    /// Refused, with the reason.
    Rejected(RejectReason),
}

/// Why the drain refused an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// At least one line's stock did not suffice.
    SoldOut,
    /// The buyer would exceed the sale's per-user limit on at least one line.
    LimitExceeded,
}

impl RejectReason {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 2] = [Self::SoldOut, Self::LimitExceeded];

    /// The name used in the database, the API and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SoldOut => "sold_out",
            Self::LimitExceeded => "limit_exceeded",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}
