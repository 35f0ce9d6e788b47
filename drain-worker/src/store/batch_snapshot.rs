//! Everything a batch is decided on, read under its locks, without any database types.

use std::collections::{HashMap, HashSet};

use shared::order::{AcceptedOrder, OrderId, Outcome, PayloadDigest};

use super::dead_letter::DeadLetterReason;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SkuKey<'a> {
    pub(super) sale_id: &'a str,
    pub(super) sku: &'a str,
}

/// The distinct SKUs of a batch, sorted: every transaction locks them in this order, so that no two deadlock. The
/// database's collation is binary, so its order is the same.
#[derive(Clone, Debug)]
pub(super) struct SkuSet<'a>(Vec<SkuKey<'a>>);

impl<'a> SkuSet<'a> {
    pub(super) fn of(orders: &'a [AcceptedOrder]) -> Self {
        Self::from_keys(orders.iter().flat_map(keys_of).collect())
    }

    pub(super) fn from_keys(mut keys: Vec<SkuKey<'a>>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self(keys)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn keys(&self) -> &[SkuKey<'a>] {
        &self.0
    }

    /// Index of a SKU in the set.
    pub(super) fn position(&self, sale_id: &str, sku: &str) -> Option<usize> {
        self.0.binary_search(&SkuKey { sale_id, sku }).ok()
    }

    /// The set by sale, sales ascending.
    pub(super) fn by_sale(&self) -> impl Iterator<Item = &[SkuKey<'a>]> {
        self.0.chunk_by(|left, right| left.sale_id == right.sale_id)
    }
}

fn keys_of(order: &AcceptedOrder) -> impl Iterator<Item = SkuKey<'_>> {
    order.items.iter().map(|item| SkuKey { sale_id: order.sale_id.as_str(), sku: item.sku.as_str() })
}

/// Stock and limit of a SKU, as read under its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SkuState {
    pub(super) total: i64,
    pub(super) reserved: i64,
    pub(super) per_user_limit: Option<i64>,
}

/// The decision about an order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecidedOrder {
    pub(super) digest: PayloadDigest,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(super) struct BatchSnapshot<'a> {
    pub(super) skus: SkuSet<'a>,
    /// One for each of `skus`; `None`: the database lacks it.
    pub(super) states: Vec<Option<SkuState>>,
    /// Buyers' purchases of each of `skus` with a limit, by user id; at least those of the batch's buyers.
    pub(super) purchases: Vec<HashMap<String, i64>>,
    /// Orders of the batch that are decided.
    pub(super) known: HashMap<OrderId, DecidedOrder>,
    /// Orders of the batch with an open dead letter.
    pub(super) letters: HashSet<(OrderId, PayloadDigest)>,
    /// Orders of the batch that an operator discarded, with the reasons of their dead letters.
    pub(super) discarded: HashMap<(OrderId, PayloadDigest), DeadLetterReason>,
}

impl<'a> BatchSnapshot<'a> {
    pub(super) fn new(skus: SkuSet<'a>) -> Self {
        let count = skus.len();
        Self {
            skus,
            states: vec![None; count],
            purchases: vec![HashMap::new(); count],
            known: HashMap::new(),
            letters: HashSet::new(),
            discarded: HashMap::new(),
        }
    }

    /// True if a line of `order` is for a SKU with a limit.
    pub(super) fn is_limited(&self, order: &AcceptedOrder) -> bool {
        order.items.iter().any(|item| {
            let place = self.skus.position(order.sale_id.as_str(), item.sku.as_str());
            place.is_some_and(|place| self.limit(place).is_some())
        })
    }

    /// The limit of the SKU at `place`.
    pub(super) fn limit(&self, place: usize) -> Option<i64> {
        self.states[place]?.per_user_limit
    }
}
