//! What a client posts: read, validated, parsed into an order. All faults are found at once.

mod faults;
mod number;
mod object;
mod parse;
mod rules;

use std::fmt;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use shared::order::{
    AddressLine, ClientReference, Country, Currency, ITEMS_MAX, Quantity, SaleId, Sku, UserId,
};
use validator::Validate;

pub use parse::{into_order, read_json};

/// The body of `POST /v1/orders`. Its `Debug` shows the sale alone: the rest is personal data.
///
/// A member that is not named here is an error: a misspelt one would be lost. A member that is missing reads as an
/// empty one, which no rule lets pass; so it is told together with all other faults.
#[derive(Clone, Default, Deserialize, Serialize, Validate, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = members_are_required)]
pub struct OrderRequest {
    /// The flash sale.
    #[validate(custom(function = "rules::sale_id"))]
    #[schemars(length(min = 1, max = SaleId::LENGTH_MAX), regex(pattern = SaleId::PATTERN))]
    pub sale_id: String,
    /// The buyer.
    #[validate(custom(function = "rules::user_id"))]
    #[schemars(length(min = 1, max = UserId::LENGTH_MAX), regex(pattern = UserId::PATTERN))]
    pub user_id: String,
    /// 1 to 20 lines, each SKU once.
    #[serde(deserialize_with = "object::many")]
    #[validate(length(min = 1, max = 20, message = "an order has 1 to 20 items"), nested)]
    pub items: Vec<ItemRequest>,
    /// ISO 4217 code.
    #[validate(custom(function = "rules::currency"))]
    #[schemars(regex(pattern = Currency::PATTERN))]
    pub currency: String,
    /// Where to send it.
    #[serde(deserialize_with = "object::one")]
    #[validate(nested)]
    pub shipping_address: AddressRequest,
    /// The client's own note.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::client_reference"))]
    #[schemars(length(min = 1, max = ClientReference::LENGTH_MAX), regex(pattern = ClientReference::PATTERN))]
    pub client_reference: Option<String>,
}

/// One line.
#[derive(Clone, Debug, Default, Deserialize, Serialize, Validate, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = members_are_required)]
pub struct ItemRequest {
    /// The SKU.
    #[validate(custom(function = "rules::sku"))]
    #[schemars(length(min = 1, max = Sku::LENGTH_MAX), regex(pattern = Sku::PATTERN))]
    pub sku: String,
    /// How many.
    #[serde(deserialize_with = "number::whole")]
    #[validate(range(min = 1, max = 10_000, message = "must be 1 to 10000"))]
    pub quantity: u32,
}

const _: () = assert!(
    ITEMS_MAX == 20 && Quantity::MAX == 10_000,
    "the derives repeat these bounds: they take only literals"
);

/// Where to send an order. Personal data: its `Debug` shows nothing of it.
#[derive(Clone, Default, Deserialize, Serialize, Validate, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = members_are_required)]
pub struct AddressRequest {
    /// Who receives it.
    #[validate(custom(function = "rules::line"))]
    #[schemars(length(min = 1, max = AddressLine::LENGTH_MAX), regex(pattern = AddressLine::PATTERN))]
    pub recipient: String,
    /// Street and number.
    #[validate(custom(function = "rules::line"))]
    #[schemars(length(min = 1, max = AddressLine::LENGTH_MAX), regex(pattern = AddressLine::PATTERN))]
    pub line1: String,
    /// More of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::line"))]
    #[schemars(length(min = 1, max = AddressLine::LENGTH_MAX), regex(pattern = AddressLine::PATTERN))]
    pub line2: Option<String>,
    /// City.
    #[validate(custom(function = "rules::line"))]
    #[schemars(length(min = 1, max = AddressLine::LENGTH_MAX), regex(pattern = AddressLine::PATTERN))]
    pub city: String,
    /// Province or state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::line"))]
    #[schemars(length(min = 1, max = AddressLine::LENGTH_MAX), regex(pattern = AddressLine::PATTERN))]
    pub region: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::line"))]
    #[schemars(length(min = 1, max = AddressLine::LENGTH_MAX), regex(pattern = AddressLine::PATTERN))]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    #[validate(custom(function = "rules::country"))]
    #[schemars(regex(pattern = Country::PATTERN))]
    pub country: String,
    /// Telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::line"))]
    #[schemars(length(min = 1, max = AddressLine::LENGTH_MAX), regex(pattern = AddressLine::PATTERN))]
    pub phone: Option<String>,
}

/// For readers of the schema: what reads as empty when it is missing is refused as empty, so only what may be null may
/// be missing, and nothing has a default.
fn members_are_required(schema: &mut Schema) {
    schema.remove("default");
    let Some(members) = schema.get_mut("properties").and_then(|members| members.as_object_mut()) else {
        return;
    };
    let mut required = Vec::new();
    for (name, member) in members.iter_mut() {
        if let Some(member) = member.as_object_mut() {
            member.remove("default");
        }
        if !member["type"].is_array() {
            required.push(serde_json::Value::from(name.as_str()));
        }
    }
    schema.insert("required".to_owned(), required.into());
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
