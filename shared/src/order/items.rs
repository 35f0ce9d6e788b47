//! The lines of an order.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Sku;
use super::fields::inline_schema;

/// Maximum lines of one order.
pub const ITEMS_MAX: usize = 20;

/// Units of a SKU: 1 to [`Quantity::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quantity(NonZeroU32);

impl Quantity {
    /// Maximum units of one SKU in one order. With [`ITEMS_MAX`] and the catalogue's price bound, totals fit in `i64`.
    pub const MAX: u32 = 10_000;

    /// Returns `None` outside 1 to [`Quantity::MAX`].
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(value) if value.get() <= Self::MAX => Some(Self(value)),
            _ => None,
        }
    }

    /// Returns the number of units.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

inline_schema!(Quantity, json_schema!({ "type": "integer", "minimum": 1, "maximum": Quantity::MAX }));

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Item {
    /// The SKU.
    pub sku: Sku,
    /// Units; the sale may set a lower limit for one buyer.
    pub quantity: Quantity,
}

/// A line with its unit price at acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PricedItem {
    /// The SKU.
    pub sku: Sku,
    /// Units.
    pub quantity: Quantity,
    /// Price of one unit, in the currency's minor unit; never negative.
    pub unit_price_minor: i64,
}

/// The lines of an order: 1 to [`ITEMS_MAX`], each SKU once, sorted by SKU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Items(Vec<Item>);

/// The rule that an order's lines break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemsError {
    /// The order has no line, or too many.
    #[error("an order has 1 to {ITEMS_MAX} items")]
    Count,
    /// A SKU appears twice; the client should send one line with the sum.
    #[error("each SKU may appear once")]
    DuplicateSku {
        /// Position of the second appearance in the input, from 0.
        index: usize,
    },
}

impl JsonSchema for Items {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Items".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<Item>();
        json_schema!({ "type": "array", "minItems": 1, "maxItems": ITEMS_MAX, "items": item })
    }
}

impl Items {
    /// Checks and sorts `items`.
    ///
    /// # Errors
    /// [`ItemsError`]: wrong number of lines, or a repeated SKU.
    pub fn new(items: Vec<Item>) -> Result<Self, ItemsError> {
        if items.is_empty() || items.len() > ITEMS_MAX {
            return Err(ItemsError::Count);
        }
        if let Some(index) =
            (1..items.len()).find(|&index| items[..index].iter().any(|item| item.sku == items[index].sku))
        {
            return Err(ItemsError::DuplicateSku { index });
        }
        let mut items = items;
        items.sort_unstable_by(|left, right| left.sku.cmp(&right.sku));
        Ok(Self(items))
    }

    /// Borrows the lines, sorted by SKU.
    #[must_use]
    pub fn as_slice(&self) -> &[Item] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(sku: &str) -> Item {
        Item { sku: Sku::parse(sku).expect("valid"), quantity: Quantity::new(1).expect("valid") }
    }

    #[test]
    fn quantity_is_bounded() {
        assert_eq!(Quantity::new(0), None);
        assert_eq!(Quantity::new(Quantity::MAX + 1), None);
        assert_eq!(Quantity::new(Quantity::MAX).map(Quantity::get), Some(Quantity::MAX));
    }

    #[test]
    fn items_are_bounded_unique_and_sorted() {
        assert_eq!(Items::new(vec![]), Err(ItemsError::Count));
        let many: Vec<_> = (0..=ITEMS_MAX).map(|number| item(&format!("s{number}"))).collect();
        assert_eq!(Items::new(many), Err(ItemsError::Count));
        assert_eq!(
            Items::new(vec![item("b"), item("a"), item("b")]),
            Err(ItemsError::DuplicateSku { index: 2 })
        );
        let items = Items::new(vec![item("b"), item("a")]).expect("valid");
        assert_eq!(items.as_slice(), [item("a"), item("b")]);
    }
}
