//! What the catalogue says about an order: its price, or everything that is wrong with it.

use time::OffsetDateTime;

use super::{Catalogue, Sale};
use crate::order::{Currency, Order, PricedItem, Sku};

/// A rule of the catalogue that an order breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleFault {
    /// No sale has this id.
    UnknownSale,
    /// The sale does not sell this SKU.
    UnknownSku {
        /// The SKU.
        sku: Sku,
    },
    /// One order alone exceeds what one buyer may have.
    QuantityOverLimit {
        /// The SKU.
        sku: Sku,
        /// The most one buyer may have.
        limit: u32,
    },
    /// The sale is in another currency.
    WrongCurrency {
        /// The sale's.
        expected: Currency,
    },
    /// The sale has not begun.
    NotOpen {
        /// When it begins.
        opens_at: OffsetDateTime,
    },
    /// The sale is over.
    Closed {
        /// When it ended.
        closed_at: OffsetDateTime,
    },
}

impl Catalogue {
    /// Prices `order` as of `now`: its lines with unit prices, in the order's own order (sorted by SKU).
    ///
    /// # Errors
    /// Every rule that the order breaks, never an empty list.
    pub fn price(&self, order: &Order, now: OffsetDateTime) -> Result<Vec<PricedItem>, Vec<RuleFault>> {
        let Some(sale) = self.sale(&order.sale_id) else { return Err(vec![RuleFault::UnknownSale]) };
        let mut faults = Vec::new();
        faults.extend(sale.window_fault(now));
        if order.currency != sale.currency {
            faults.push(RuleFault::WrongCurrency { expected: sale.currency });
        }
        let mut priced = Vec::with_capacity(order.items.as_slice().len());
        for item in order.items.as_slice() {
            let Some(terms) = sale.skus.get(&item.sku) else {
                faults.push(RuleFault::UnknownSku { sku: item.sku.clone() });
                continue;
            };
            if let Some(limit) = terms.per_user_limit
                && item.quantity.get() > limit
            {
                faults.push(RuleFault::QuantityOverLimit { sku: item.sku.clone(), limit });
            }
            priced.push(PricedItem {
                sku: item.sku.clone(),
                quantity: item.quantity,
                unit_price_minor: terms.unit_price_minor,
            });
        }
        if faults.is_empty() { Ok(priced) } else { Err(faults) }
    }
}

impl Sale {
    /// Whether `now` lies outside the window: `opens_at` is inside, `closes_at` no longer.
    fn window_fault(&self, now: OffsetDateTime) -> Option<RuleFault> {
        if now < self.opens_at {
            Some(RuleFault::NotOpen { opens_at: self.opens_at })
        } else if now >= self.closes_at {
            Some(RuleFault::Closed { closed_at: self.closes_at })
        } else {
            None
        }
    }
}
