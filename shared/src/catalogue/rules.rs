//! Prices an order by the catalogue, or returns every rule that it breaks.

use time::OffsetDateTime;

use super::{Catalogue, Sale, Terms};
use crate::order::{Currency, Order, PricedItem, SaleId, Sku};

/// A rule of the catalogue that an order breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleViolation {
    /// No sale has the order's sale id.
    UnknownSale,
    /// The sale does not sell this SKU.
    UnknownSku {
        /// The SKU.
        sku: Sku,
    },
    /// The order alone exceeds the limit per buyer.
    QuantityOverLimit {
        /// The SKU.
        sku: Sku,
        /// The limit per buyer.
        limit: u32,
    },
    /// The sale is in another currency.
    WrongCurrency {
        /// Currency of the sale.
        expected: Currency,
    },
    /// The sale has not opened.
    NotOpen {
        /// Start of the window.
        opens_at: OffsetDateTime,
    },
    /// The sale has closed.
    Closed {
        /// End of the window.
        closed_at: OffsetDateTime,
    },
}

impl Catalogue {
    /// Prices `order` at `now`: returns its lines with unit prices, sorted by SKU as the order's are.
    ///
    /// # Errors
    /// Every rule that the order breaks; never an empty list.
    pub fn price(&self, order: &Order, now: OffsetDateTime) -> Result<Vec<PricedItem>, Vec<RuleViolation>> {
        let Some(sale) = self.sale(&order.sale_id) else { return Err(vec![RuleViolation::UnknownSale]) };
        let mut faults = Vec::new();
        faults.extend(sale.window_fault(now));
        if order.currency != sale.currency {
            faults.push(RuleViolation::WrongCurrency { expected: sale.currency });
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
    /// Returns the rules that the valid parts of an otherwise invalid request break, so that the response lists all
    /// errors. Does not check the sale's window: only an order has a time of acceptance.
    pub fn validate_partial<'a>(
        &self,
        sale_id: &SaleId,
        currency: Option<Currency>,
        lines: impl IntoIterator<Item = (&'a Sku, u32)>,
    ) -> Vec<RuleViolation> {
        let Some(sale) = self.sale(sale_id) else { return vec![RuleViolation::UnknownSale] };
        let wrong_currency = currency
            .filter(|currency| *currency != sale.currency)
            .map(|_| RuleViolation::WrongCurrency { expected: sale.currency });
        let lines = lines.into_iter().filter_map(|(sku, quantity)| sale.terms(sku, quantity).err());
        wrong_currency.into_iter().chain(lines).collect()
    }
}

impl Sale {
    /// Returns the terms of `sku` if a buyer may order `quantity` of it.
    fn terms(&self, sku: &Sku, quantity: u32) -> Result<Terms, RuleViolation> {
        let terms = self.skus.get(sku).ok_or_else(|| RuleViolation::UnknownSku { sku: sku.clone() })?;
        match terms.per_user_limit {
            Some(limit) if quantity > limit => {
                Err(RuleViolation::QuantityOverLimit { sku: sku.clone(), limit })
            }
            Some(_) | None => Ok(*terms),
        }
    }

    /// Returns the violation if `now` is outside the window: `opens_at` is inside, `closes_at` is outside.
    fn window_fault(&self, now: OffsetDateTime) -> Option<RuleViolation> {
        if now < self.opens_at {
            Some(RuleViolation::NotOpen { opens_at: self.opens_at })
        } else if now >= self.closes_at {
            Some(RuleViolation::Closed { closed_at: self.closes_at })
        } else {
            None
        }
    }
}
