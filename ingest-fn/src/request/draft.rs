//! The valid parts of a body, from which the order is built.

use std::borrow::Cow;
use std::fmt;

use shared::order::{
    ClientReference, Currency, Item, Items, Order, Quantity, SaleId, ShippingAddress, Sku, UserId,
};
use shared::problem::FieldProblem;

use super::OrderRequest;

/// A body with problems, and what the catalogue can judge of it.
pub struct FaultyOrder {
    /// Sorted by pointer and code.
    pub problems: Vec<FieldProblem>,
    pub(crate) sale_id: Option<SaleId>,
    pub(crate) currency: Option<Currency>,
    /// By position. A repeated SKU is there once, an invalid quantity is 0.
    pub(crate) lines: Vec<(usize, Sku, u32)>,
}

impl fmt::Debug for FaultyOrder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FaultyOrder").field("problems", &self.problems).finish_non_exhaustive()
    }
}

/// The members that are valid.
#[derive(Default)]
pub(super) struct OrderDraft<'a> {
    pub(super) sale_id: Option<SaleId>,
    pub(super) user_id: Option<UserId>,
    pub(super) lines: Vec<LineDraft<'a>>,
    pub(super) currency: Option<Currency>,
    pub(super) shipping_address: Option<ShippingAddress>,
    pub(super) client_reference: Option<ClientReference>,
    pub(super) expected_total_minor: Option<i64>,
}

pub(super) struct LineDraft<'a> {
    /// The SKU as the body has it; empty if it is no text.
    pub(super) text: Cow<'a, str>,
    pub(super) sku: Option<Sku>,
    pub(super) quantity: Option<Quantity>,
}

impl<'a> OrderDraft<'a> {
    pub(super) fn into_request(
        mut self,
        mut problems: Vec<FieldProblem>,
        buyer: Option<&UserId>,
    ) -> Result<OrderRequest<'a>, FaultyOrder> {
        if problems.is_empty()
            && let Some(order) = self.take_order(buyer)
        {
            let skus = self.lines.into_iter().map(|line| line.text).collect();
            return Ok(OrderRequest { order, expected_total_minor: self.expected_total_minor, skus });
        }
        problems
            .sort_by(|left, right| left.pointer.cmp(&right.pointer).then_with(|| left.code.cmp(&right.code)));
        let mut lines: Vec<(usize, Sku, u32)> = Vec::with_capacity(self.lines.len());
        for (index, line) in self.lines.into_iter().enumerate() {
            if let Some(sku) = line.sku
                && lines.iter().all(|(_, earlier, _)| *earlier != sku)
            {
                lines.push((index, sku, line.quantity.map_or(0, Quantity::get)));
            }
        }
        Err(FaultyOrder { problems, sale_id: self.sale_id, currency: self.currency, lines })
    }

    /// The order, whose parts are all there unless a problem was recorded.
    fn take_order(&mut self, buyer: Option<&UserId>) -> Option<Order> {
        let mut items = Vec::with_capacity(self.lines.len());
        for line in &mut self.lines {
            items.push(Item { sku: line.sku.take()?, quantity: line.quantity? });
        }
        Some(Order {
            sale_id: self.sale_id.take()?,
            user_id: self.user_id.take().or_else(|| buyer.cloned())?,
            items: Items::new(items).ok()?,
            currency: self.currency?,
            shipping_address: self.shipping_address.take()?,
            client_reference: self.client_reference.take(),
        })
    }
}
