//! The sales in force, and the file that changes them without a new image.
//!
//! A request looks at the file, at most once a second: a frozen instance runs no watcher. It does not wait for the look,
//! which may take long on a mounted file system; the requests of the meantime have the present sales.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use shared::catalogue::{Catalogue, CatalogueError};
use shared::order::OrderIdKeys;
use time::OffsetDateTime;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::metrics;
use crate::request_context::unix_ms;
use crate::sales::Sales;

/// Minimum time between two looks at the file.
const LOOK_INTERVAL_MS: u64 = 1_000;

/// Minimum time between two log lines about the same fault of the file, so that the alert lasts as long as the fault.
const FAULT_LOG_INTERVAL_MS: u64 = 60_000;

/// A reason why a changed catalogue does not count.
#[derive(Debug, thiserror::Error)]
enum CatalogueFault {
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error("catalogue {path}: cannot read: {source}")]
    Metadata { path: PathBuf, source: io::Error },
    #[error("{}", .0.join("; "))]
    MissingKeys(Vec<String>),
    /// A file that is cut off looks like this, and buyers would get `unknown_sale`.
    #[error("sale {0} is not over and is missing: set its closes_at instead")]
    MissingSale(String),
    /// With another key a retry would be a second order.
    #[error("sale {0} is not over and has another order_id_key")]
    ChangedKey(String),
}

/// The sales in force. Shared by all workers.
#[derive(Debug)]
pub struct CurrentSales {
    current: RwLock<Arc<Sales>>,
    /// `None`: they never change.
    file: Option<Arc<SalesFile>>,
}

#[derive(Debug)]
struct SalesFile {
    path: PathBuf,
    keys: OrderIdKeys,
    /// Time of the last look, milliseconds since 1970, by the wall clock: the other may stand still during a freeze.
    looked_ms: AtomicU64,
    /// Locked during a look, so that there is one at a time.
    seen: Mutex<SeenFile>,
}

#[derive(Debug, Default)]
struct SeenFile {
    /// State of the file whose content was judged as valid.
    judged: Option<FileState>,
    /// The present fault, and the time of its last log line, milliseconds since 1970.
    fault: Option<(String, u64)>,
    warned_of_end: bool,
}

/// The part of a file's metadata that differs once the file has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileState {
    modified: Option<SystemTime>,
    bytes: u64,
}

impl From<&Metadata> for FileState {
    fn from(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), bytes: metadata.len() }
    }
}

/// One message for each sale of `catalogue` whose key is not in `keys`.
pub(crate) fn missing_keys(catalogue: &Catalogue, keys: &OrderIdKeys) -> Vec<String> {
    let missing = catalogue.sales().filter(|sale| keys.get(&sale.order_id_key).is_none());
    missing
        .map(|sale| format!("sale {} needs the key `{}`, which is missing", sale.id, sale.order_id_key))
        .collect()
}

impl CurrentSales {
    #[must_use]
    pub fn fixed(catalogue: Catalogue, keys: &OrderIdKeys) -> Self {
        Self { current: RwLock::new(Arc::new(Sales::new(catalogue, keys))), file: None }
    }

    /// Begins with `catalogue`, which was read from the file at `path`.
    #[must_use]
    pub fn from_file(catalogue: Catalogue, keys: OrderIdKeys, path: PathBuf) -> Self {
        metrics::catalogue_loaded(None, catalogue.revision());
        let fixed = Self::fixed(catalogue, &keys);
        // A cold start's first order has no look beside it.
        let looked_ms = AtomicU64::new(unix_ms(OffsetDateTime::now_utc()));
        let file = SalesFile { path, keys, looked_ms, seen: Mutex::default() };
        Self { file: Some(Arc::new(file)), ..fixed }
    }

    /// The sales for a request at `now`. Call it once a request. Starts a look at the file if one is due.
    pub(crate) fn at(self: &Arc<Self>, now: OffsetDateTime) -> Arc<Sales> {
        if let Some(file) = &self.file
            && file.takes_look(unix_ms(now))
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(self.clone().look(file.clone(), now));
        }
        self.current()
    }

    fn current(&self) -> Arc<Sales> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file if it has changed or has a fault. A valid catalogue counts from then on; otherwise the present one
    /// stays.
    async fn look(self: Arc<Self>, file: Arc<SalesFile>, now: OffsetDateTime) {
        let Ok(mut seen) = file.seen.try_lock() else { return };
        let current = self.current();
        let changed = {
            let (file, judged, current) = (file.clone(), seen.judged.clone(), current.clone());
            spawn_blocking(move || file.changed(judged.as_ref(), current.catalogue(), now)).await
        };
        // A panic was logged, and the next look is another attempt.
        let Ok(changed) = changed else { return };
        match changed {
            Ok(None) => {}
            Ok(Some((state, catalogue))) => {
                let before = seen.judged.replace(state);
                seen.fault = None;
                // The first look finds what the start has read.
                if before.is_some() || catalogue != *current.catalogue() {
                    let revision = catalogue.revision().to_owned();
                    metrics::catalogue_loaded(Some(current.catalogue().revision()), &revision);
                    let sales = Arc::new(Sales::new(catalogue, &file.keys));
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = sales;
                    seen.warned_of_end = false;
                    tracing::info!(event = "catalogue_loaded", revision, "the catalogue has changed");
                }
            }
            Err(fault) => seen.log_fault(&fault, unix_ms(now)),
        }
        if !seen.warned_of_end && self.current().catalogue().sales().all(|sale| sale.closes_at <= now) {
            seen.warned_of_end = true;
            tracing::warn!(event = "all_sales_over", "every sale of the catalogue is over");
        }
    }
}

impl SalesFile {
    /// True for one request a second.
    fn takes_look(&self, now_ms: u64) -> bool {
        let looked_ms = self.looked_ms.load(Ordering::Relaxed);
        // The wall clock may be set in either direction.
        now_ms.abs_diff(looked_ms) >= LOOK_INTERVAL_MS
            && self
                .looked_ms
                .compare_exchange(looked_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Returns the catalogue of a file in another state than `judged`, if it may replace `current`.
    fn changed(
        &self,
        judged: Option<&FileState>,
        current: &Catalogue,
        now: OffsetDateTime,
    ) -> Result<Option<(FileState, Catalogue)>, CatalogueFault> {
        // Before the content: a change in between is seen by the next look.
        let state = state_of(&self.path)?;
        if judged == Some(&state) {
            return Ok(None);
        }
        let catalogue = Catalogue::load(&self.path)?;
        let missing = missing_keys(&catalogue, &self.keys);
        if !missing.is_empty() {
            return Err(CatalogueFault::MissingKeys(missing));
        }
        for sale in current.sales().filter(|sale| sale.closes_at > now) {
            match catalogue.sale(&sale.id) {
                None => return Err(CatalogueFault::MissingSale(sale.id.to_string())),
                Some(new) if new.order_id_key != sale.order_id_key => {
                    return Err(CatalogueFault::ChangedKey(sale.id.to_string()));
                }
                Some(_) => {}
            }
        }
        Ok(Some((state, catalogue)))
    }
}

fn state_of(path: &Path) -> Result<FileState, CatalogueFault> {
    let metadata = std::fs::metadata(path);
    let metadata = metadata.map_err(|source| CatalogueFault::Metadata { path: path.to_owned(), source })?;
    Ok(FileState::from(&metadata))
}

impl SeenFile {
    fn log_fault(&mut self, fault: &CatalogueFault, now_ms: u64) {
        // The next look reads the file again, even in the same state.
        self.judged = None;
        let fault = fault.to_string();
        let is_known = self.fault.as_ref().is_some_and(|(known, logged_ms)| {
            *known == fault && now_ms.abs_diff(*logged_ms) < FAULT_LOG_INTERVAL_MS
        });
        if !is_known {
            tracing::error!(
                event = "catalogue_rejected",
                error_code = "catalogue_invalid",
                error = fault,
                "the changed catalogue does not count"
            );
            self.fault = Some((fault, now_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_a_second_looks_even_if_the_clock_is_set_back() {
        let keys = "default=0707070707070707070707070707070707070707070707070707070707070707";
        let file = SalesFile {
            path: PathBuf::new(),
            keys: keys.parse().expect("keys"),
            looked_ms: AtomicU64::new(0),
            seen: Mutex::default(),
        };
        let start_ms = 1_700_000_000_000;
        for (now_ms, looks) in
            [(start_ms, 1), (start_ms + 999, 0), (start_ms + 1_000, 1), (start_ms - 5_000, 1)]
        {
            assert_eq!((0..100).filter(|_| file.takes_look(now_ms)).count(), looks, "at {now_ms}");
        }
    }
}
