//! A request as the ledger needs it: its order id, and the lines at the catalogue's prices.

use shared::catalogue::Terms;
use shared::order::{IdempotencyKey, OrderId, SaleId, UserId};

use super::{InvalidRequest, RequestKind, RequestSpec, Workload};

/// A SKU on sale and the catalogue's terms.
#[derive(Clone, Debug)]
pub struct SaleSku {
    pub name: String,
    pub terms: Terms,
}

/// A line that a request orders.
#[derive(Clone, Copy, Debug)]
pub struct OrderedLine<'a> {
    /// Index of the SKU in [`Workload::skus`].
    pub sku_rank: usize,
    pub sku: &'a SaleSku,
    pub quantity: u32,
}

impl Workload {
    pub fn skus(&self) -> &[SaleSku] {
        &self.skus
    }

    pub fn sale_id(&self) -> &str {
        &self.sale_id
    }

    /// Starts every buyer's id of this run; the buyer's number follows.
    pub fn user_prefix(&self) -> &str {
        &self.user_prefix
    }

    /// The lines of `spec`, in the order of the request.
    pub fn lines<'a>(&'a self, spec: &'a RequestSpec) -> impl Iterator<Item = OrderedLine<'a>> {
        (0..usize::from(spec.lines)).map(move |line| {
            let sku_rank = self.sku_rank(spec.first_sku, line);
            OrderedLine { sku_rank, sku: &self.skus[sku_rank], quantity: u32::from(spec.quantities[line]) }
        })
    }

    /// The order id of `spec`, also of an invalid request that has a sale and a key; `None` if it has none.
    pub fn order_id(&self, spec: &RequestSpec) -> Option<OrderId> {
        let sale_id = match spec.kind {
            RequestKind::Invalid(InvalidRequest::NoKey) => return None,
            RequestKind::Invalid(InvalidRequest::UnknownSale) => InvalidRequest::UNKNOWN_SALE,
            _ => &self.sale_id,
        };
        let user_id = UserId::parse(&self.user_id(spec)).ok()?;
        let idempotency_key = IdempotencyKey::parse(&self.idempotency_key(spec)).ok()?;
        Some(OrderId::derive(&self.key, &SaleId::parse(sale_id).ok()?, &user_id, &idempotency_key))
    }
}
