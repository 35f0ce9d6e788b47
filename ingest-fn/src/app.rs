//! What every request shares: made once, before the first.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use shared::catalogue::{Catalogue, RuleViolation};
use shared::order::{
    AcceptedOrder, Currency, ITEMS_MAX, IdempotencyKey, Order, OrderId, OrderIdKey, OrderIdKeys,
    PayloadDigest, SaleId, Sku, TraceParent,
};
use shared::problem::FieldProblem;
use shared::time::Clock;
use time::OffsetDateTime;

use crate::error::{ApiError, rule_problems};
use crate::gateway::Gateway;
use crate::instance::Instance;
use crate::layers::admission::RequestBudget;
use crate::limits::RequestLimits;
use crate::request::OrderRequest;

/// Most faults of fields told in one answer, beside the catalogue's: every field of a request within bounds.
const PROBLEMS_MAX: usize = 64;

/// The state behind the routes of one worker. Workers of one instance share `instance`, and what never changes is
/// made before the first request.
#[derive(Debug)]
pub struct App<P, C> {
    instance: Arc<Instance>,
    gateway: Arc<Gateway>,
    catalogue: Catalogue,
    keys: HashMap<SaleId, OrderIdKey>,
    publisher: P,
    clock: C,
    limits: RequestLimits,
}

impl<P, C: Clock> App<P, C> {
    /// Puts the parts together, for an instance with one worker. Sales whose key is missing are a fault of the
    /// configuration, found before.
    pub fn new(
        gateway: Arc<Gateway>,
        catalogue: Catalogue,
        keys: &OrderIdKeys,
        publisher: P,
        clock: C,
        limits: RequestLimits,
    ) -> Self {
        let instance = Arc::new(Instance::new(
            RequestBudget::new(limits.requests_max, limits.bytes_max),
            NonZeroUsize::MIN,
        ));
        Self::for_worker(instance, gateway, catalogue, keys, publisher, clock, limits)
    }

    /// Puts the parts together for one of the workers of `instance`.
    pub fn for_worker(
        instance: Arc<Instance>,
        gateway: Arc<Gateway>,
        catalogue: Catalogue,
        keys: &OrderIdKeys,
        publisher: P,
        clock: C,
        limits: RequestLimits,
    ) -> Self {
        let keys = catalogue
            .sales()
            .filter_map(|sale| Some((sale.id.clone(), keys.get(&sale.order_id_key)?.clone())))
            .collect();
        Self { instance, gateway, catalogue, keys, publisher, clock, limits }
    }

    /// What this worker shares with the others.
    pub const fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// How callers are told from strangers.
    pub const fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Where accepted orders go.
    pub const fn publisher(&self) -> &P {
        &self.publisher
    }

    /// The wall clock.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// Bounds on requests.
    pub const fn limits(&self) -> &RequestLimits {
        &self.limits
    }

    /// `faults` of a request that is no order, and what the catalogue says about its readable parts: a client that
    /// mends one thing after another would lose its place in a flash sale.
    pub fn all_problems(&self, request: &OrderRequest, mut faults: Vec<FieldProblem>) -> Vec<FieldProblem> {
        // The answer is bounded as the question is.
        faults.truncate(PROBLEMS_MAX);
        let Ok(sale_id) = SaleId::parse(&request.sale_id) else { return faults };
        // Too many lines are one fault, not one each; a SKU's further lines are told as duplicates.
        let lines_max = if request.items.len() > ITEMS_MAX { 0 } else { ITEMS_MAX };
        let lines = request.items.iter().take(lines_max).enumerate();
        let skus: Vec<_> = lines
            .filter(|(index, item)| index_of(request, &item.sku) == *index)
            .filter_map(|(_, item)| Some((Sku::parse(&item.sku).ok()?, item.quantity)))
            .collect();
        let lines = skus.iter().map(|(sku, quantity)| (sku, *quantity));
        let rules = self.catalogue.validate_partial(&sale_id, Currency::parse(&request.currency).ok(), lines);
        let rules = rule_problems(&rules, |sku| index_of(request, sku));
        // One fault a field: what is not even a quantity need not also be over the limit.
        let new: Vec<_> = rules
            .into_iter()
            .filter(|rule| faults.iter().all(|fault| fault.pointer != rule.pointer))
            .collect();
        faults.extend(new);
        faults.sort_by(|left, right| left.pointer.cmp(&right.pointer));
        faults
    }

    /// Judges an order by the catalogue as of now and gives it its id, digest and prices.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with every broken rule, or the state of the sale.
    pub fn accept(
        &self,
        request: &OrderRequest,
        order: Order,
        idempotency_key: &IdempotencyKey,
        traceparent: Option<TraceParent>,
    ) -> Result<AcceptedOrder, ApiError> {
        let now = self.clock.now();
        let digest = PayloadDigest::of(&order);
        // Every sale of the catalogue has its key: the configuration was checked.
        let Some(key) = self.keys.get(&order.sale_id) else {
            return Err(ApiError::Invalid(rule_problems(&[RuleViolation::UnknownSale], |_sku| 0)));
        };
        let order_id = OrderId::derive(key, &order.sale_id, &order.user_id, idempotency_key);
        let items = self
            .catalogue
            .price(&order, now)
            .map_err(|faults| refuse(request, &faults, order_id, digest, now))?;
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

/// A fault in a field comes first: with it the request could never succeed. Only then the sale's state counts.
fn refuse(
    request: &OrderRequest,
    faults: &[RuleViolation],
    order_id: OrderId,
    digest: PayloadDigest,
    now: OffsetDateTime,
) -> ApiError {
    let problems = rule_problems(faults, |sku| index_of(request, sku));
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

/// A SKU's place in the request.
fn index_of(request: &OrderRequest, sku: &str) -> usize {
    request.items.iter().position(|item| item.sku == sku).unwrap_or_default()
}

/// Rounded up: whoever waits for so long does not come too early.
fn whole_seconds_until(instant: OffsetDateTime, now: OffsetDateTime) -> u32 {
    let wait = instant - now;
    let rounded_up = wait.whole_seconds() + i64::from(wait.subsec_nanoseconds() > 0);
    u32::try_from(rounded_up).unwrap_or(u32::MAX)
}
