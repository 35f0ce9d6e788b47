//! Names a row of stock.

use std::fmt;

use shared::order::{AcceptedOrder, SaleId, Sku};

/// One row of stock: a SKU of a sale.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaleSku {
    pub sale_id: SaleId,
    pub sku: Sku,
}

impl SaleSku {
    /// The SKUs of `order`.
    pub fn of(order: &AcceptedOrder) -> impl Iterator<Item = Self> + '_ {
        order.items.iter().map(|item| Self { sale_id: order.sale_id.clone(), sku: item.sku.clone() })
    }
}

impl fmt::Display for SaleSku {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of sale {}", self.sku, self.sale_id)
    }
}
