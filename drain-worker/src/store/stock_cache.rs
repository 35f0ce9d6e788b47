//! The stock as earlier batches saw it, on which a batch is decided before it holds the stock's locks.
//!
//! Nothing here determines an outcome: the database confirms each guess or refutes it. A good guess saves time, a bad one
//! costs some.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use super::batch_snapshot::{SkuSet, SkuState};

/// Maximum of cached SKUs: those of five of the largest sales. Beyond it the cache is cleared.
const SKUS_MAX: usize = 50_000;

#[derive(Debug, Default)]
pub(super) struct StockCache {
    stock: Mutex<Stock>,
}

#[derive(Debug, Default)]
struct Stock {
    sales: HashMap<String, HashMap<String, SkuState>>,
    count: usize,
}

impl StockCache {
    /// The cached states of `skus`, by index.
    pub(super) fn states(&self, skus: &SkuSet<'_>) -> Vec<Option<SkuState>> {
        let stock = self.stock.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |sale: Option<&HashMap<String, SkuState>>, sku: &str| sale?.get(sku).copied();
        skus.by_sale()
            .flat_map(|keys| {
                let sale = stock.sales.get(keys[0].sale_id);
                keys.iter().map(move |key| state(sale, key.sku))
            })
            .collect()
    }

    /// Adds reserved units, by index, to the cached states.
    pub(super) fn reserve(&self, skus: &SkuSet<'_>, reserved: &BTreeMap<usize, i64>) {
        let mut stock = self.stock.lock().unwrap_or_else(PoisonError::into_inner);
        for (&place, quantity) in reserved {
            let key = skus.keys()[place];
            if let Some(state) = stock.sales.get_mut(key.sale_id).and_then(|sale| sale.get_mut(key.sku)) {
                state.reserved += quantity;
            }
        }
    }

    /// Stores the current states. SKUs that the database lacks are read again the next time.
    pub(super) fn update(&self, skus: &SkuSet<'_>, states: &[Option<SkuState>]) {
        let mut stock = self.stock.lock().unwrap_or_else(PoisonError::into_inner);
        if stock.count > SKUS_MAX {
            *stock = Stock::default();
        }
        for (key, state) in skus.keys().iter().zip(states) {
            let Stock { sales, count } = &mut *stock;
            if !sales.contains_key(key.sale_id) {
                sales.insert(key.sale_id.to_owned(), HashMap::new());
            }
            let Some(sale) = sales.get_mut(key.sale_id) else { continue };
            match (sale.get_mut(key.sku), state) {
                (Some(known), Some(state)) => *known = *state,
                (Some(_), None) => {
                    sale.remove(key.sku);
                    *count -= 1;
                }
                (None, Some(state)) => {
                    sale.insert(key.sku.to_owned(), *state);
                    *count += 1;
                }
                (None, None) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::order::AcceptedOrder;

    use super::*;
    use crate::tune::Orders;

    fn orders(skus: u32) -> Vec<AcceptedOrder> {
        Orders::over(skus).expect("valid").batch(0..u64::from(skus)).expect("valid")
    }

    #[test]
    fn stock_is_cached_by_sku() {
        let (cache, orders) = (StockCache::default(), orders(3));
        let state = |reserved| Some(SkuState { total: 10, reserved, per_user_limit: Some(1) });
        let skus = SkuSet::of(&orders);
        assert_eq!(cache.states(&skus), [None; 3]);
        cache.update(&skus, &[state(1), None, state(3)]);
        assert_eq!(cache.states(&skus), [state(1), None, state(3)]);
        let fewer = SkuSet::of(&orders[..1]);
        cache.update(&fewer, &[None]);
        assert_eq!(cache.states(&skus), [None, None, state(3)]);
    }

    #[test]
    fn reservations_are_added_to_what_is_cached() {
        let (cache, orders) = (StockCache::default(), orders(2));
        let state = |reserved| Some(SkuState { total: 10, reserved, per_user_limit: None });
        let skus = SkuSet::of(&orders);
        cache.update(&skus, &[state(1), None]);
        cache.reserve(&skus, &BTreeMap::from([(0, 4), (1, 2)]));
        assert_eq!(cache.states(&skus), [state(5), None]);
    }

    #[test]
    fn the_cache_is_bounded() {
        let (cache, orders) = (StockCache::default(), orders(6_000));
        let state = Some(SkuState { total: 1, reserved: 0, per_user_limit: None });
        for sale in 0..12 {
            let mut orders = orders.clone();
            for order in &mut orders {
                order.sale_id = shared::order::SaleId::parse(&format!("sale-{sale}")).expect("valid");
            }
            cache.update(&SkuSet::of(&orders), &vec![state; orders.len()]);
            assert!(cache.stock.lock().expect("whole").count <= SKUS_MAX + orders.len());
        }
    }
}
