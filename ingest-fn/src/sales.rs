//! The catalogue's part of validation: prices, purchase limits, the state of the sale, and the order's id.

use std::collections::HashMap;

use shared::catalogue::{Catalogue, RuleViolation};
use shared::order::{
    AcceptedOrder, IdempotencyKey, OrderId, OrderIdKey, OrderIdKeys, PayloadDigest, SaleId, Sku, TraceParent,
};
use shared::problem::FieldProblem;
use time::OffsetDateTime;

use crate::error::ApiError;
use crate::request::{FaultyOrder, FieldFault, OrderRequest};

/// The catalogue, with the key that derives order ids for each sale.
#[derive(Debug)]
pub struct Sales {
    catalogue: Catalogue,
    keys: HashMap<SaleId, OrderIdKey>,
}

impl Sales {
    /// A sale whose key is missing from `keys` is answered as unknown; the configuration check rules this out.
    pub fn new(catalogue: Catalogue, keys: &OrderIdKeys) -> Self {
        let keys = catalogue
            .sales()
            .filter_map(|sale| Some((sale.id.clone(), keys.get(&sale.order_id_key)?.clone())))
            .collect();
        Self { catalogue, keys }
    }

    pub(crate) const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// All problems of a faulty body: with what the catalogue finds in its valid parts, since a client that corrected one
    /// field per attempt would lose its place in a flash sale.
    pub(crate) fn all_problems(&self, faulty: FaultyOrder) -> Vec<FieldProblem> {
        let FaultyOrder { mut problems, sale_id, currency, lines } = faulty;
        let Some(sale_id) = sale_id else { return problems };
        let known = lines.iter().map(|(_, sku, quantity)| (sku, *quantity));
        let faults = self.catalogue.validate_partial(&sale_id, currency, known);
        let index_of = |sku: &Sku| {
            let line = lines.iter().find(|(_, known, _)| known == sku);
            line.map_or(0, |(index, ..)| *index)
        };
        // One problem per field: a quantity that is out of range need not also exceed the limit.
        let new: Vec<_> = field_problems(&faults, index_of)
            .into_iter()
            .filter(|rule| problems.iter().all(|problem| problem.pointer != rule.pointer))
            .collect();
        problems.extend(new);
        problems.sort_by(|left, right| left.pointer.cmp(&right.pointer));
        problems
    }

    /// Checks the order in `request` against the catalogue at `now`, and adds id, digest and prices.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with every broken rule, else [`ApiError::SaleNotOpen`] or [`ApiError::SaleClosed`].
    pub(crate) fn accept(
        &self,
        now: OffsetDateTime,
        request: OrderRequest<'_>,
        idempotency_key: &IdempotencyKey,
        traceparent: Option<TraceParent>,
    ) -> Result<AcceptedOrder, ApiError> {
        let order = &request.order;
        let digest = PayloadDigest::of(order);
        let Some(key) = self.keys.get(&order.sale_id) else {
            return Err(ApiError::Invalid(field_problems(&[RuleViolation::UnknownSale], |_| 0)));
        };
        let order_id = OrderId::derive(key, &order.sale_id, &order.user_id, idempotency_key);
        let items = self
            .catalogue
            .price(order, now)
            .map_err(|faults| rejection(&request, &faults, order_id, digest, now))?;
        let order = request.order;
        Ok(AcceptedOrder {
            order_id,
            digest,
            sale_id: order.sale_id,
            user_id: order.user_id,
            items,
            currency: order.currency,
            shipping_address: order.shipping_address,
            client_reference: order.client_reference,
            accepted_at: now,
            catalogue_revision: self.catalogue.revision().to_owned(),
            traceparent,
        })
    }
}

/// Field problems take precedence over the state of the sale: with a field problem the request can never succeed.
fn rejection(
    request: &OrderRequest<'_>,
    faults: &[RuleViolation],
    order_id: OrderId,
    digest: PayloadDigest,
    now: OffsetDateTime,
) -> ApiError {
    let problems = field_problems(faults, |sku| request.index_of(sku));
    let state = faults.iter().find_map(|fault| match *fault {
        RuleViolation::NotOpen { opens_at } => Some(ApiError::SaleNotOpen {
            order_id,
            digest,
            opens_at,
            wait_s: whole_seconds_until(opens_at, now),
        }),
        RuleViolation::Closed { closed_at } => Some(ApiError::SaleClosed { order_id, digest, closed_at }),
        _ => None,
    });
    state.filter(|_| problems.is_empty()).unwrap_or(ApiError::Invalid(problems))
}

/// Converts the faults that lie in fields, sorted by pointer. The state of a sale lies in no field. `index_of` returns the
/// position of the first line with a SKU.
fn field_problems(faults: &[RuleViolation], index_of: impl Fn(&Sku) -> usize) -> Vec<FieldProblem> {
    let item = |sku: &Sku, member: &str| format!("/items/{}/{member}", index_of(sku));
    let mut problems: Vec<_> = faults
        .iter()
        .filter_map(|fault| {
            let (code, pointer, detail) = match fault {
                RuleViolation::UnknownSale => {
                    (FieldFault::UnknownSale, "/sale_id".to_owned(), "there is no such sale".to_owned())
                }
                RuleViolation::UnknownSku { sku } => {
                    (FieldFault::UnknownSku, item(sku, "sku"), "the sale does not sell this SKU".to_owned())
                }
                RuleViolation::QuantityOverLimit { sku, limit } => (
                    FieldFault::QuantityOverLimit,
                    item(sku, "quantity"),
                    format!("one buyer may have at most {limit}"),
                ),
                RuleViolation::WrongCurrency { expected } => {
                    (FieldFault::WrongCurrency, "/currency".to_owned(), format!("the sale is in {expected}"))
                }
                RuleViolation::NotOpen { .. } | RuleViolation::Closed { .. } => return None,
            };
            Some(code.at(pointer, detail))
        })
        .collect();
    problems.sort_by(|left, right| left.pointer.cmp(&right.pointer));
    problems
}

/// Rounds up, so that a client that waits this long does not arrive early.
fn whole_seconds_until(instant: OffsetDateTime, now: OffsetDateTime) -> u32 {
    let wait = instant - now;
    let rounded_up = wait.whole_seconds() + i64::from(wait.subsec_nanoseconds() > 0);
    u32::try_from(rounded_up).unwrap_or(u32::MAX)
}
