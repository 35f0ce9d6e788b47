//! What the catalogue says about an order: its price, or everything that is wrong with it.

use time::OffsetDateTime;

use super::{Catalogue, Sale, Terms};
use crate::order::{Currency, Order, PricedItem, SaleId, Sku};

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
            let terms = match sale.terms(&item.sku, item.quantity.get()) {
                Ok(terms) => terms,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            priced.push(PricedItem {
                sku: item.sku.clone(),
                quantity: item.quantity,
                unit_price_minor: terms.unit_price_minor,
            });
        }
        if faults.is_empty() { Ok(priced) } else { Err(faults) }
    }
}

impl Catalogue {
    /// The rules that the readable parts of a request break which is no order yet, so that a client is told of
    /// everything at once. Says nothing about the sale's window: that is for orders.
    pub fn faults_of_parts<'a>(
        &self,
        sale_id: &SaleId,
        currency: Option<Currency>,
        lines: impl IntoIterator<Item = (&'a Sku, u32)>,
    ) -> Vec<RuleFault> {
        let Some(sale) = self.sale(sale_id) else { return vec![RuleFault::UnknownSale] };
        let wrong_currency = currency
            .filter(|currency| *currency != sale.currency)
            .map(|_| RuleFault::WrongCurrency { expected: sale.currency });
        let lines = lines.into_iter().filter_map(|(sku, quantity)| sale.terms(sku, quantity).err());
        wrong_currency.into_iter().chain(lines).collect()
    }
}

impl Sale {
    /// The terms on which `quantity` of `sku` are sold, if they are.
    fn terms(&self, sku: &Sku, quantity: u32) -> Result<Terms, RuleFault> {
        let terms = self.skus.get(sku).ok_or_else(|| RuleFault::UnknownSku { sku: sku.clone() })?;
        match terms.per_user_limit {
            Some(limit) if quantity > limit => Err(RuleFault::QuantityOverLimit { sku: sku.clone(), limit }),
            Some(_) | None => Ok(*terms),
        }
    }

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
