//! The receipts of the messages that the application holds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::receipt::Receipt;

/// Contains each receipt from the receipt of its message to its settlement.
#[derive(Default)]
pub(super) struct HeldReceipts {
    held: Mutex<Held>,
}

/// A tree, because it shrinks with its entries.
#[derive(Default)]
struct Held {
    by_serial: BTreeMap<u64, Arc<Receipt>>,
    next_serial: u64,
}

impl HeldReceipts {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(self: &Arc<Self>, receipt: Arc<Receipt>) -> HeldPlace {
        let mut held = self.lock();
        let serial = held.next_serial;
        held.next_serial += 1;
        held.by_serial.insert(serial, receipt);
        HeldPlace { receipts: self.clone(), serial }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().by_serial.len()
    }

    /// Calls `visit` with each receipt. `visit` must not settle one.
    pub(super) fn for_each(&self, visit: impl FnMut(&Arc<Receipt>)) {
        self.lock().by_serial.values().for_each(visit);
    }
}

/// A receipt's place among the held ones. Dropping it removes the receipt.
pub(super) struct HeldPlace {
    receipts: Arc<HeldReceipts>,
    serial: u64,
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        // Dropped outside of the lock.
        let _receipt = self.receipts.lock().by_serial.remove(&self.serial);
    }
}
