//! The stock as earlier batches saw it, on which a batch is decided before it holds the stock's locks.
//!
//! Nothing here determines an outcome. The cached stock only determines what is written ahead of the locks. Under the
//! locks the batch is decided again, on what is read there; what differs is reconciled or retried. A good guess saves
//! time, a bad one costs some.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::batch_snapshot::{SkuSet, SkuState};

/// Maximum of cached SKUs: those of five of the largest sales. Beyond it the cache is cleared.
const SKUS_MAX: usize = 50_000;

/// Batches that read before they write, after one has hit an existing key: a worker that died leaves many committed
/// messages, which are redelivered one after the other.
const HINT_BATCHES: u32 = 64;

#[derive(Debug, Default)]
pub(super) struct StockCache {
    stock: Mutex<Stock>,
    pub(super) orders: DuplicateHint,
    pub(super) buyers: DuplicateHint,
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

#[derive(Debug, Default)]
pub(super) struct DuplicateHint(AtomicU32);

impl DuplicateHint {
    pub(super) fn set(&self) {
        self.0.store(HINT_BATCHES, Ordering::Relaxed);
    }

    /// True if this batch reads first; each batch calls it once.
    pub(super) fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
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

    #[test]
    fn a_duplicate_hint_lasts_for_a_number_of_batches() {
        let hint = DuplicateHint::default();
        assert!(!hint.take());
        hint.set();
        assert_eq!((0..1_000).filter(|_| hint.take()).count(), HINT_BATCHES as usize);
    }
}
