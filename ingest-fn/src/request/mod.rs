//! `POST /v1/orders`: its head, and its body from bytes to a valid order or to all of its problems.

mod draft;
mod fault;
mod head;
mod number;
mod read;
mod scanner;

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;
use shared::order::{Order, Sku};

pub use draft::FaultyOrder;
pub use fault::FieldFault;
pub(crate) use head::{MEDIA_TYPE, check_head};
pub use read::{ReadError, read_order};

/// A valid body.
pub struct OrderRequest<'a> {
    pub order: Order,
    /// The total that the buyer has seen, minor units.
    pub expected_total_minor: Option<i64>,
    /// The SKUs in the sequence of the body; the order's own are sorted.
    skus: Vec<Cow<'a, str>>,
}

impl OrderRequest<'_> {
    /// Position of `sku` in the body.
    pub(crate) fn index_of(&self, sku: &Sku) -> usize {
        self.skus.iter().position(|text| text == sku.as_str()).unwrap_or_default()
    }
}

/// Shows the sale only: the rest is personal data.
impl fmt::Debug for OrderRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OrderRequest").field("sale_id", &self.order.sale_id).finish_non_exhaustive()
    }
}

/// The order's schema with what a body has besides. The gateway may name the buyer, so `user_id` is optional.
impl JsonSchema for OrderRequest<'_> {
    fn schema_name() -> Cow<'static, str> {
        "OrderRequest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Order::json_schema(generator);
        if let Some(required) = schema.get_mut("required").and_then(|required| required.as_array_mut()) {
            required.retain(|name| name != "user_id");
        }
        if let Some(members) = schema.get_mut("properties").and_then(|members| members.as_object_mut()) {
            members["user_id"]["description"] =
                json!("The buyer. Required unless the gateway names the buyer; then the same, or absent.");
            members.insert(
                "expected_total_minor".to_owned(),
                json!({
                    "description": "The total that the buyer has seen, in the currency's minor unit. If the \
                                    order has another total, it is answered 409 `price_changed`.",
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "maximum": number::WHOLE_NUMBER_MAX,
                }),
            );
        }
        schema
    }
}
