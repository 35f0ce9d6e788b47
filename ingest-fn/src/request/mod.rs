//! What a client posts: read, validated, parsed into an order. All faults are found at once.

mod faults;
mod object;
mod parse;
mod rules;

use std::fmt;

use serde::{Deserialize, Serialize};
use shared::order::{ITEMS_MAX, Quantity};
use validator::Validate;

pub use parse::{into_order, read_json};

/// The body of `POST /v1/orders`. Its `Debug` shows the sale alone: the rest is personal data.
///
/// A member that is not named here is an error: a misspelt one would be lost. A member that is missing reads as an
/// empty one, which no rule lets pass; so it is told together with all other faults.
#[derive(Clone, Default, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct OrderRequest {
    /// The flash sale.
    #[validate(custom(function = "rules::sale_id"))]
    pub sale_id: String,
    /// The buyer.
    #[validate(custom(function = "rules::user_id"))]
    pub user_id: String,
    /// 1 to 20 lines, each SKU once.
    #[serde(deserialize_with = "object::many")]
    #[validate(length(min = 1, max = 20, message = "an order has 1 to 20 items"), nested)]
    pub items: Vec<ItemRequest>,
    /// ISO 4217 code.
    #[validate(custom(function = "rules::currency"))]
    pub currency: String,
    /// Where to send it.
    #[serde(deserialize_with = "object::one")]
    #[validate(nested)]
    pub shipping_address: AddressRequest,
    /// The client's own note.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::client_reference"))]
    pub client_reference: Option<String>,
}

/// One line.
#[derive(Clone, Debug, Default, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct ItemRequest {
    /// The SKU.
    #[validate(custom(function = "rules::sku"))]
    pub sku: String,
    /// How many.
    #[validate(range(min = 1, max = 10_000, message = "must be 1 to 10000"))]
    pub quantity: u32,
}

const _: () = assert!(
    ITEMS_MAX == 20 && Quantity::MAX == 10_000,
    "the derives repeat these bounds: they take only literals"
);

/// Where to send an order. Personal data: its `Debug` shows nothing of it.
#[derive(Clone, Default, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct AddressRequest {
    /// Who receives it.
    #[validate(custom(function = "rules::line"))]
    pub recipient: String,
    /// Street and number.
    #[validate(custom(function = "rules::line"))]
    pub line1: String,
    /// More of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::line"))]
    pub line2: Option<String>,
    /// City.
    #[validate(custom(function = "rules::line"))]
    pub city: String,
    /// Province or state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::line"))]
    pub region: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::line"))]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    #[validate(custom(function = "rules::country"))]
    pub country: String,
    /// Telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::line"))]
    pub phone: Option<String>,
}

impl fmt::Debug for OrderRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OrderRequest").field("sale_id", &self.sale_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for AddressRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AddressRequest").finish_non_exhaustive()
    }
}
