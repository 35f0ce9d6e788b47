//! The body of `POST /v1/orders`: read, validated, and parsed into an order. An invalid body is answered with all of
//! its problems.

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

pub use parse::{parse_order, read_json};

/// The body of `POST /v1/orders`.
///
/// Unknown members are rejected, so that a misspelt one is not ignored. A missing member counts as empty, which no rule
/// accepts, so it is reported together with all other problems.
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
    #[serde(deserialize_with = "object::objects")]
    #[validate(custom(function = "rules::item_count"), nested)]
    #[schemars(length(min = 1, max = ITEMS_MAX))]
    pub items: Vec<ItemRequest>,
    /// ISO 4217 code.
    #[validate(custom(function = "rules::currency"))]
    #[schemars(regex(pattern = Currency::PATTERN))]
    pub currency: String,
    /// Delivery address.
    #[serde(deserialize_with = "object::object")]
    #[validate(nested)]
    pub shipping_address: AddressRequest,
    /// The client's own reference, returned unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "rules::client_reference"))]
    #[schemars(length(min = 1, max = ClientReference::LENGTH_MAX), regex(pattern = ClientReference::PATTERN))]
    pub client_reference: Option<String>,
}

/// One line of an order.
#[derive(Clone, Debug, Default, Deserialize, Serialize, Validate, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = members_are_required)]
pub struct ItemRequest {
    /// The SKU.
    #[validate(custom(function = "rules::sku"))]
    #[schemars(length(min = 1, max = Sku::LENGTH_MAX), regex(pattern = Sku::PATTERN))]
    pub sku: String,
    /// Units of the SKU; the sale may set a lower limit for one buyer.
    #[serde(deserialize_with = "object::whole_number")]
    #[validate(custom(function = "rules::quantity"))]
    #[schemars(range(min = 1, max = Quantity::MAX))]
    pub quantity: u32,
}

/// Delivery address of an order.
#[derive(Clone, Default, Deserialize, Serialize, Validate, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = members_are_required)]
pub struct AddressRequest {
    /// Name of the recipient.
    #[validate(custom(function = "rules::line"))]
    #[schemars(length(min = 1, max = AddressLine::LENGTH_MAX), regex(pattern = AddressLine::PATTERN))]
    pub recipient: String,
    /// Street and number.
    #[validate(custom(function = "rules::line"))]
    #[schemars(length(min = 1, max = AddressLine::LENGTH_MAX), regex(pattern = AddressLine::PATTERN))]
    pub line1: String,
    /// Second address line.
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

/// Corrects the schema: a missing member is rejected as empty, so every member that may not be null is required, and no
/// member has a default.
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

/// Shows the sale only: the rest is personal data.
impl fmt::Debug for OrderRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OrderRequest").field("sale_id", &self.sale_id).finish_non_exhaustive()
    }
}

/// Shows nothing: an address is personal data.
impl fmt::Debug for AddressRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AddressRequest").finish_non_exhaustive()
    }
}
