//! The order. Its types hold valid values only: the services parse once, at the edge.

mod digest;
mod displayed_text;
mod field_error;
mod fields;
mod id;
mod items;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use digest::PayloadDigest;
pub use displayed_text::moves_text;
pub use field_error::FieldError;
pub use fields::{
    AddressLine, ClientReference, Country, Currency, IdempotencyKey, SaleId, ShippingAddress, Sku,
    TraceParent, UserId,
};
pub use id::{OrderId, OrderIdKey, OrderIdKeys, OrderKeyError};
pub use items::{ITEMS_MAX, Item, Items, ItemsError, PricedItem, Quantity};

/// A buyer's request: everything that the client decides, nothing that the server does.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Order {
    /// The flash sale.
    pub sale_id: SaleId,
    /// The buyer.
    pub user_id: UserId,
    /// 1 to 20 lines, each SKU once.
    pub items: Items,
    /// Currency that the buyer expects; must be the sale's.
    pub currency: Currency,
    /// Shipping address. Personal data: never logged.
    pub shipping_address: ShippingAddress,
    /// The client's own reference, returned unchanged.
    pub client_reference: Option<ClientReference>,
}

/// An accepted order: the client's request and what the server decided at acceptance.
///
/// The envelope carries it, and the drain worker writes it to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedOrder {
    /// Derived from sale, user and idempotency key, so that a retry has the same id.
    pub order_id: OrderId,
    /// Digest of the canonical payload; distinguishes a retry from another body under the same key.
    pub digest: PayloadDigest,
    /// The flash sale.
    pub sale_id: SaleId,
    /// The buyer.
    pub user_id: UserId,
    /// Lines with the unit prices that held when the order was accepted; sorted by SKU.
    pub items: Vec<PricedItem>,
    /// Currency of the prices.
    pub currency: Currency,
    /// Shipping address. Personal data: never logged.
    pub shipping_address: ShippingAddress,
    /// The client's own reference.
    pub client_reference: Option<ClientReference>,
    /// Instant at which ingest-fn checked the sale's window, UTC.
    pub accepted_at: OffsetDateTime,
    /// Revision of the catalogue that priced the order.
    pub catalogue_revision: String,
    /// W3C trace context of the request, for following one order through both services.
    pub traceparent: Option<TraceParent>,
}

impl AcceptedOrder {
    /// Sum of quantity × unit price, in the currency's minor unit.
    ///
    /// `None` if the sum exceeds `i64`, which the catalogue's bounds exclude for every order that it prices.
    #[must_use]
    pub fn total_minor(&self) -> Option<i64> {
        self.items.iter().try_fold(0_i64, |total, item| {
            total.checked_add(item.unit_price_minor.checked_mul(i64::from(item.quantity.get()))?)
        })
    }
}

/// The outcome of an accepted order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "reason")]
pub enum Outcome {
    /// Stock is reserved for every line.
    Confirmed,
    /// Rejected; nothing is reserved.
    Rejected(RejectReason),
}

/// The reason why the drain rejected an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The stock of at least one line is insufficient.
    SoldOut,
    /// The buyer would exceed the sale's per-user limit on at least one line.
    LimitExceeded,
}

impl RejectReason {
    /// All reasons.
    pub const ALL: [Self; 2] = [Self::SoldOut, Self::LimitExceeded];

    /// The name used in the database, the API and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SoldOut => "sold_out",
            Self::LimitExceeded => "limit_exceeded",
        }
    }

    /// Returns the reason named `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}
