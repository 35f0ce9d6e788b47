//! What every request shares: made once, before the first.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::catalogue::{Catalogue, RuleFault};
use shared::order::{
    AcceptedOrder, Currency, ITEMS_MAX, IdempotencyKey, Order, OrderId, OrderIdKey, OrderIdKeys,
    PayloadDigest, SaleId, Sku, TraceParent,
};
use shared::problem::FieldProblem;
use shared::time::Clock;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::error::{ApiError, rule_problems};
use crate::request::OrderRequest;

/// Most faults of fields told in one answer, beside the catalogue's: every field of a request within bounds.
const FAULTS_MAX: usize = 64;

/// The state behind the routes.
#[derive(Debug)]
pub struct App<P, C> {
    catalogue: Catalogue,
    keys: HashMap<SaleId, OrderIdKey>,
    publisher: P,
    clock: C,
    body_timeout: Duration,
    drain_timeout: Duration,
    requests: Semaphore,
    requests_max: usize,
    stopping: AtomicBool,
}

/// Bounds on requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Most under way at once.
    pub requests_max: NonZeroUsize,
    /// Longest wait for a body.
    pub body_timeout: Duration,
    /// Longest wait of a stop for the requests under way.
    pub drain_timeout: Duration,
}

/// Between two looks at the requests under way while they are waited for.
const DRAIN_POLL: Duration = Duration::from_millis(10);

impl<P, C: Clock> App<P, C> {
    /// Puts the parts together. Sales whose key is missing are a fault of the configuration, found before.
    pub fn new(
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
        Self {
            catalogue,
            keys,
            publisher,
            clock,
            body_timeout: limits.body_timeout,
            drain_timeout: limits.drain_timeout,
            requests: Semaphore::new(limits.requests_max.get()),
            requests_max: limits.requests_max.get(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Where accepted orders go.
    pub const fn publisher(&self) -> &P {
        &self.publisher
    }

    /// Longest wait for a body.
    pub const fn body_timeout(&self) -> Duration {
        self.body_timeout
    }

    /// One permit for each request under way.
    pub const fn requests(&self) -> &Semaphore {
        &self.requests
    }

    /// Requests under way.
    pub fn requests_under_way(&self) -> usize {
        self.requests_max.saturating_sub(self.requests.available_permits())
    }

    /// Takes no more orders.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Takes no more orders and waits until those under way have their answers, for as long as the bound. Whether
    /// they have.
    pub async fn drain(&self) -> bool {
        self.stop();
        let all_answered = async {
            // Looked at instead of waited for in the semaphore's queue: that would gather the permits, and the
            // metric would say that everything is under way.
            while self.requests_under_way() > 0 {
                sleep(DRAIN_POLL).await;
            }
            // Whoever was let in at the last moment has a permit; whoever asks for one after this sees the stop.
            let all = u32::try_from(self.requests_max).unwrap_or(u32::MAX);
            self.requests.acquire_many(all).await.is_ok()
        };
        timeout(self.drain_timeout, all_answered).await.unwrap_or(false)
    }

    /// Whether it takes no more orders.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// `faults` of a request that is no order, and what the catalogue says about its readable parts: a client that
    /// mends one thing after another would lose its place in a flash sale.
    pub fn all_faults(&self, request: &OrderRequest, mut faults: Vec<FieldProblem>) -> Vec<FieldProblem> {
        // The answer is bounded as the question is.
        faults.truncate(FAULTS_MAX);
        let Ok(sale_id) = SaleId::parse(&request.sale_id) else { return faults };
        // Too many lines are one fault, not one each; a SKU's further lines are told as duplicates.
        let lines_max = if request.items.len() > ITEMS_MAX { 0 } else { ITEMS_MAX };
        let lines = request.items.iter().take(lines_max).enumerate();
        let skus: Vec<_> = lines
            .filter(|(index, item)| index_of(request, &item.sku) == *index)
            .filter_map(|(_, item)| Some((Sku::parse(&item.sku).ok()?, item.quantity)))
            .collect();
        let lines = skus.iter().map(|(sku, quantity)| (sku, *quantity));
        let rules = self.catalogue.faults_of_parts(&sale_id, Currency::parse(&request.currency).ok(), lines);
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
            return Err(ApiError::Invalid(rule_problems(&[RuleFault::UnknownSale], |_sku| 0)));
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
    faults: &[RuleFault],
    order_id: OrderId,
    digest: PayloadDigest,
    now: OffsetDateTime,
) -> ApiError {
    let problems = rule_problems(faults, |sku| index_of(request, sku));
    let state = faults.iter().find_map(|fault| match *fault {
        RuleFault::NotOpen { opens_at } => Some(ApiError::SaleNotOpen {
            order_id,
            digest,
            opens_at,
            wait_s: whole_seconds_until(opens_at, now),
        }),
        RuleFault::Closed { closed_at } => Some(ApiError::SaleClosed { order_id, digest, closed_at }),
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
