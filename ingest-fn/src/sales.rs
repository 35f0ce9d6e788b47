//! The catalogue's part of validation: prices, purchase limits, the state of the sale, and the order's id.

use std::collections::HashMap;

use shared::catalogue::{Catalogue, RuleViolation};
use shared::order::{
    AcceptedOrder, Currency, ITEMS_MAX, IdempotencyKey, Order, OrderId, OrderIdKey, OrderIdKeys,
    PayloadDigest, SaleId, Sku, TraceParent,
};
use shared::problem::FieldProblem;
use time::OffsetDateTime;

use crate::error::{ApiError, ErrorCode};
use crate::request::OrderRequest;

/// Maximum field problems in one answer, the catalogue's not counted: enough for every field of a request within
/// bounds.
const PROBLEMS_MAX: usize = 64;

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

    /// Adds to `problems` of an invalid request what the catalogue finds in its readable fields: a client that
    /// corrected one field per attempt would lose its place in a flash sale.
    pub(crate) fn all_problems(
        &self,
        request: &OrderRequest,
        mut problems: Vec<FieldProblem>,
    ) -> Vec<FieldProblem> {
        problems.truncate(PROBLEMS_MAX);
        let Ok(sale_id) = SaleId::parse(&request.sale_id) else { return problems };
        // Too many lines are one problem, not one each; further lines of a SKU are reported as duplicates.
        let lines_max = if request.items.len() > ITEMS_MAX { 0 } else { ITEMS_MAX };
        let lines = request.items.iter().take(lines_max).enumerate();
        let skus: Vec<_> = lines
            .filter(|(index, item)| index_of(request, &item.sku) == *index)
            .filter_map(|(_, item)| Some((Sku::parse(&item.sku).ok()?, item.quantity)))
            .collect();
        let lines = skus.iter().map(|(sku, quantity)| (sku, *quantity));
        let faults =
            self.catalogue.validate_partial(&sale_id, Currency::parse(&request.currency).ok(), lines);
        // One problem per field: a quantity that is out of range need not also exceed the limit.
        let new: Vec<_> = field_problems(request, &faults)
            .into_iter()
            .filter(|rule| problems.iter().all(|problem| problem.pointer != rule.pointer))
            .collect();
        problems.extend(new);
        problems.sort_by(|left, right| left.pointer.cmp(&right.pointer));
        problems
    }

    /// Checks `order` against the catalogue at `now`, and adds id, digest and prices. `request` is the body that
    /// `order` was parsed from; problems point into it.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with every broken rule, else [`ApiError::SaleNotOpen`] or [`ApiError::SaleClosed`].
    pub(crate) fn accept(
        &self,
        now: OffsetDateTime,
        request: &OrderRequest,
        order: Order,
        idempotency_key: &IdempotencyKey,
        traceparent: Option<TraceParent>,
    ) -> Result<AcceptedOrder, ApiError> {
        let digest = PayloadDigest::of(&order);
        let Some(key) = self.keys.get(&order.sale_id) else {
            return Err(ApiError::Invalid(field_problems(request, &[RuleViolation::UnknownSale])));
        };
        let order_id = OrderId::derive(key, &order.sale_id, &order.user_id, idempotency_key);
        let items = self
            .catalogue
            .price(&order, now)
            .map_err(|faults| rejection(request, &faults, order_id, digest, now))?;
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
    request: &OrderRequest,
    faults: &[RuleViolation],
    order_id: OrderId,
    digest: PayloadDigest,
    now: OffsetDateTime,
) -> ApiError {
    let problems = field_problems(request, faults);
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

/// Converts the faults that lie in fields, sorted by pointer. The state of a sale lies in no field.
fn field_problems(request: &OrderRequest, faults: &[RuleViolation]) -> Vec<FieldProblem> {
    let item = |sku: &Sku, member: &str| format!("/items/{}/{member}", index_of(request, sku.as_str()));
    let mut problems: Vec<_> = faults
        .iter()
        .filter_map(|fault| {
            let (code, pointer, detail) = match fault {
                RuleViolation::UnknownSale => {
                    (ErrorCode::UnknownSale, "/sale_id".to_owned(), "there is no such sale".to_owned())
                }
                RuleViolation::UnknownSku { sku } => {
                    (ErrorCode::UnknownSku, item(sku, "sku"), "the sale does not sell this SKU".to_owned())
                }
                RuleViolation::QuantityOverLimit { sku, limit } => (
                    ErrorCode::QuantityOverLimit,
                    item(sku, "quantity"),
                    format!("one buyer may have at most {limit}"),
                ),
                RuleViolation::WrongCurrency { expected } => {
                    (ErrorCode::WrongCurrency, "/currency".to_owned(), format!("the sale is in {expected}"))
                }
                RuleViolation::NotOpen { .. } | RuleViolation::Closed { .. } => return None,
            };
            Some(FieldProblem { code: code.as_str().to_owned(), pointer, detail })
        })
        .collect();
    problems.sort_by(|left, right| left.pointer.cmp(&right.pointer));
    problems
}

/// Index of the first line with `sku`.
fn index_of(request: &OrderRequest, sku: &str) -> usize {
    request.items.iter().position(|item| item.sku == sku).unwrap_or_default()
}

/// Rounds up, so that a client that waits this long does not arrive early.
fn whole_seconds_until(instant: OffsetDateTime, now: OffsetDateTime) -> u32 {
    let wait = instant - now;
    let rounded_up = wait.whole_seconds() + i64::from(wait.subsec_nanoseconds() > 0);
    u32::try_from(rounded_up).unwrap_or(u32::MAX)
}
