//! Finds the SKUs whose stock another transaction keeps locked, so that their orders wait and no others do.

use std::time::Duration;

use shared::order::AcceptedOrder;

use super::Store;
use super::batch_snapshot::{SkuKey, SkuSet};
use super::commit::locked;
use super::dialect::PoolKind;
use super::error::{DbError, ErrorClass, StoreError};
use super::sale_sku::SaleSku;

/// Maximum duration of the search; it waits for no lock.
const FIND_TIMEOUT: Duration = Duration::from_secs(5);

impl Store {
    pub(super) async fn find_locked(&self, skus: Vec<SaleSku>) -> Result<Vec<SaleSku>, DbError> {
        let Some(lock) = self.dialect().for_update_free else { return Ok(Vec::new()) };
        if skus.is_empty() {
            return Ok(skus);
        }
        let skus = &skus;
        let run = || async {
            let keys = skus.iter().map(|of| SkuKey { sale_id: of.sale_id.as_str(), sku: of.sku.as_str() });
            let keys = SkuSet::from_keys(keys.collect());
            let mut transaction = self.begin(PoolKind::Writers).await?;
            let result = locked(&mut transaction, keys, lock).await;
            // Committing it releases the free rows' locks.
            transaction.end(result).await
        };
        let locked = self.retrying("find locked stock", FIND_TIMEOUT, run).await?;
        let is_locked = |of: &&SaleSku| {
            locked.iter().any(|key| key.sale_id == of.sale_id.as_str() && key.sku == of.sku.as_str())
        };
        Ok(skus.iter().filter(is_locked).cloned().collect())
    }

    /// The error of a batch that failed for more than one of its rows.
    pub(super) async fn name_locked_skus(&self, failure: DbError, orders: &[AcceptedOrder]) -> StoreError {
        let class = failure.class;
        match failure.into() {
            StoreError::Locked { detail, .. } if class == ErrorClass::Locked => {
                let mut skus: Vec<_> = orders.iter().flat_map(SaleSku::of).collect();
                skus.sort_unstable();
                skus.dedup();
                // Without an answer, the caller finds the stuck orders by halving the batch.
                let skus = self.find_locked(skus).await.unwrap_or_default();
                StoreError::Locked { detail, skus }
            }
            error => error,
        }
    }
}
