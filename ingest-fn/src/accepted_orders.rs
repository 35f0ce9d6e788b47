//! A memory of recently accepted orders, by which a client learns that it uses an Idempotency-Key for two bodies.
//!
//! A courtesy, not a promise: another instance knows nothing of it, and a newer order takes an older one's place. The
//! drain decides such orders in any case: the first one counts.

use std::sync::{Mutex, TryLockError};

use shared::order::{OrderId, PayloadDigest};

/// Orders that are remembered at most; some 230 KB.
pub const SLOTS: usize = 4_096;

/// One place for each order id, which is a keyed hash and so is spread evenly. A place in use by another thread counts
/// as empty: an order never waits here.
#[derive(Debug)]
pub struct AcceptedOrders(Box<[Mutex<Slot>]>);

type Slot = Option<(OrderId, PayloadDigest)>;

impl Default for AcceptedOrders {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| Mutex::default()).collect())
    }
}

impl AcceptedOrders {
    /// Call it only for an order that is answered 202.
    pub fn remember(&self, order_id: OrderId, digest: PayloadDigest) {
        self.with_slot(order_id, |slot| *slot = Some((order_id, digest)));
    }

    /// True if the order is known to be accepted with another payload.
    #[must_use]
    pub fn has_another_digest(&self, order_id: OrderId, digest: PayloadDigest) -> bool {
        let known = self.with_slot(order_id, |slot| *slot).flatten();
        known.is_some_and(|(known_id, known_digest)| known_id == order_id && known_digest != digest)
    }

    fn with_slot<T>(&self, order_id: OrderId, action: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        let [.., high, low] = *order_id.as_bytes();
        let slot = self.0.get(usize::from(u16::from_be_bytes([high, low])) % SLOTS)?;
        match slot.try_lock() {
            Ok(mut slot) => Some(action(&mut slot)),
            // The value is copied whole, so a panic cannot leave half of it.
            Err(TryLockError::Poisoned(poisoned)) => Some(action(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_known_until_another_takes_its_place() {
        let orders = AcceptedOrders::default();
        let digest = |number: u8| PayloadDigest::from_bytes([number; 32]);
        let id = |first: u8, last: u8| {
            let mut bytes = [0; 16];
            (bytes[0], bytes[15]) = (first, last);
            OrderId::from_bytes(bytes)
        };
        assert!(!orders.has_another_digest(id(1, 7), digest(2)), "nothing is known");
        orders.remember(id(1, 7), digest(1));
        assert!(orders.has_another_digest(id(1, 7), digest(2)));
        assert!(!orders.has_another_digest(id(1, 7), digest(1)), "a true retry");
        assert!(!orders.has_another_digest(id(2, 7), digest(2)), "another order in the same place");
        assert!(!orders.has_another_digest(id(1, 8), digest(2)), "another place");
        orders.remember(id(2, 7), digest(2));
        assert!(!orders.has_another_digest(id(1, 7), digest(2)), "replaced");
    }
}
