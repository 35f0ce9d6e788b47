//! Order ids. They are derived, so that a stateless function gives a retry the same id without a look-up.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::{Builder, Uuid};

use super::{IdempotencyKey, SaleId, UserId};

/// Identifies an order: a UUID (version 8) over a keyed hash of sale, user and idempotency key.
///
/// Without the key an id can neither be guessed nor distinguished from random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId([u8; 16]);

impl OrderId {
    /// Derives the id. Each part is preceded by its length, so that different triples never hash the same bytes.
    #[must_use]
    pub fn derive(
        key: &OrderIdKey,
        sale_id: &SaleId,
        user_id: &UserId,
        idempotency_key: &IdempotencyKey,
    ) -> Self {
        let mut mac = key.mac.clone();
        for part in [sale_id.as_str(), user_id.as_str(), idempotency_key.as_str()] {
            // Every part is at most 255 characters of ASCII, so the length fits.
            mac.update(&(part.len() as u32).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let hash = mac.finalize().into_bytes();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&hash[..16]);
        // RFC 9562, version 8: 122 bits of the application's choice.
        Self(Builder::from_custom_bytes(bytes).into_uuid().into_bytes())
    }

    /// Wraps 16 stored bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes for storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).as_hyphenated().fmt(formatter)
    }
}

impl fmt::Debug for OrderId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for OrderId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(|id| Self(id.into_bytes()))
    }
}

/// The secret from which a sale's order ids are derived. It must not change while the sale runs: with another key a
/// retry becomes another order.
#[derive(Clone)]
pub struct OrderIdKey {
    mac: Hmac<Sha256>,
}

impl OrderIdKey {
    /// Minimum bytes of a key.
    pub const LENGTH_MIN: usize = 32;

    /// Wraps the key's bytes.
    ///
    /// # Errors
    /// [`OrderKeyError::TooShort`] under [`OrderIdKey::LENGTH_MIN`] bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, OrderKeyError> {
        if bytes.len() < Self::LENGTH_MIN {
            return Err(OrderKeyError::TooShort);
        }
        let mac = Hmac::new_from_slice(bytes).map_err(|_| OrderKeyError::TooShort)?;
        Ok(Self { mac })
    }
}

impl fmt::Debug for OrderIdKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OrderIdKey(***)")
    }
}

/// The reason why order-id keys are invalid. Never holds a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderKeyError {
    /// The text is not `name=hex[,name=hex…]`.
    #[error("must be name=hex[,name=hex…]; entry {entry} is not")]
    Syntax {
        /// Position of the entry, from 1.
        entry: usize,
    },
    /// A key is too short to be safe.
    #[error("a key needs at least {} bytes (64 hex digits)", OrderIdKey::LENGTH_MIN)]
    TooShort,
    /// Two entries have one name.
    #[error("the key `{0}` is given twice")]
    Duplicate(String),
}

/// Order-id keys by name, as configured: `name=hex[,name=hex…]`. A sale names its key in the catalogue, so a new sale
/// can use a new key while a running sale uses the old one.
#[derive(Clone, Debug, Default)]
pub struct OrderIdKeys(BTreeMap<String, OrderIdKey>);

impl OrderIdKeys {
    /// Returns the key named `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OrderIdKey> {
        self.0.get(name)
    }

    /// The configured names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromStr for OrderIdKeys {
    type Err = OrderKeyError;

    fn from_str(text: &str) -> Result<Self, OrderKeyError> {
        let mut keys = BTreeMap::new();
        for (index, entry) in text.split(',').enumerate() {
            let syntax = || OrderKeyError::Syntax { entry: index + 1 };
            let (name, key) = entry.trim().split_once('=').ok_or_else(syntax)?;
            let key = hex::decode(key.trim()).map_err(|_| syntax())?;
            if name.is_empty() {
                return Err(syntax());
            }
            if keys.insert(name.to_owned(), OrderIdKey::new(&key)?).is_some() {
                return Err(OrderKeyError::Duplicate(name.to_owned()));
            }
        }
        Ok(Self(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(key: u8, sale: &str, user: &str, idempotency_key: &str) -> OrderId {
        OrderId::derive(
            &OrderIdKey::new(&[key; 32]).expect("long enough"),
            &SaleId::parse(sale).expect("valid"),
            &UserId::parse(user).expect("valid"),
            &IdempotencyKey::parse(idempotency_key).expect("valid"),
        )
    }

    #[test]
    fn a_retry_has_the_same_id_and_everything_else_another() {
        let first = id(1, "sale", "user", "key");
        assert_eq!(first, id(1, "sale", "user", "key"));
        for other in [
            id(2, "sale", "user", "key"),
            id(1, "sale2", "user", "key"),
            id(1, "sale", "user2", "key"),
            id(1, "sale", "user", "key2"),
            // The lengths keep parts from running together.
            id(1, "saleu", "ser", "key"),
            id(1, "sale", "userk", "ey"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn the_derivation_never_changes() {
        // A different value would turn every retry across a deployment into a second order. Do not edit it.
        assert_eq!(
            id(7, "double-eleven", "user-42", "a1b2c3").to_string(),
            GOLDEN,
            "the derivation of order ids changed"
        );
    }

    /// Computed by an independent implementation of the derivation (HMAC-SHA256 over length-prefixed parts, UUIDv8).
    const GOLDEN: &str = "f535af2d-435c-88f9-8683-8ebf4a2826ab";

    #[test]
    fn ids_read_back_from_their_text() {
        let order_id = id(1, "sale", "user", "key");
        assert_eq!(order_id.to_string().parse::<OrderId>().expect("a UUID"), order_id);
        assert_eq!(Uuid::from_bytes(*order_id.as_bytes()).get_version_num(), 8);
    }

    #[test]
    fn keys_are_read_and_never_shown() {
        let text = format!("a={},b={}", "11".repeat(32), "22".repeat(32));
        let keys: OrderIdKeys = text.parse().expect("valid");
        assert_eq!(keys.names().collect::<Vec<_>>(), ["a", "b"]);
        assert!(!format!("{keys:?}").contains("1111"));
        for (bad, expected) in [
            ("", OrderKeyError::Syntax { entry: 1 }),
            ("a", OrderKeyError::Syntax { entry: 1 }),
            ("a=zz", OrderKeyError::Syntax { entry: 1 }),
            ("a=11", OrderKeyError::TooShort),
        ] {
            assert_eq!(bad.parse::<OrderIdKeys>().map(drop), Err(expected), "{bad:?}");
        }
        let twice = format!("a={},a={}", "11".repeat(32), "22".repeat(32));
        assert_eq!(twice.parse::<OrderIdKeys>().map(drop), Err(OrderKeyError::Duplicate("a".to_owned())));
    }
}
