//! The payload digest, which distinguishes a retry from another body under the same idempotency key.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::{AddressLine, Order};

/// SHA-256 over the canonical payload of an order.
///
/// Canonical means parsed: white space, the order of JSON members, the order of the items and the notation of a text that
/// people read (normalization form C, trimmed) have no effect. Prices and times are the server's and are not part of it: a retry after a price change is still a retry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayloadDigest([u8; 32]);

impl PayloadDigest {
    /// Digests `order`.
    #[must_use]
    pub fn of(order: &Order) -> Self {
        let mut hasher = Canonical(Sha256::new());
        // The version comes first, so that a later canonical form never collides with this one.
        hasher.text("spillway-order-1");
        hasher.text(order.sale_id.as_str());
        hasher.text(order.user_id.as_str());
        hasher.number(order.items.as_slice().len() as u64);
        for item in order.items.as_slice() {
            hasher.text(item.sku.as_str());
            hasher.number(u64::from(item.quantity.get()));
        }
        hasher.text(order.currency.as_str());
        let address = &order.shipping_address;
        hasher.text(address.recipient.as_str());
        hasher.text(address.line1.as_str());
        hasher.optional(address.line2.as_ref().map(AddressLine::as_str));
        hasher.text(address.city.as_str());
        hasher.optional(address.region.as_ref().map(AddressLine::as_str));
        hasher.optional(address.postal_code.as_ref().map(AddressLine::as_str));
        hasher.text(address.country.as_str());
        hasher.optional(address.phone.as_ref().map(AddressLine::as_str));
        hasher.optional(order.client_reference.as_ref().map(AsRef::as_ref));
        Self(hasher.0.finalize().into())
    }

    /// Wraps stored bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes for storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Feeds a hash with length-prefixed parts, so that different payloads feed it different bytes.
struct Canonical(Sha256);

impl Canonical {
    fn number(&mut self, value: u64) {
        self.0.update(value.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        // An absent part differs from an empty one.
        self.0.update([u8::from(text.is_some())]);
        self.text(text.unwrap_or_default());
    }
}

impl fmt::Display for PayloadDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0_u8; 64];
        // 32 bytes are 64 ASCII digits.
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        formatter.write_str("sha256:")?;
        formatter.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for PayloadDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The text is not `sha256:` and 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be sha256: and 64 hex digits")]
pub struct DigestSyntax;

impl FromStr for PayloadDigest {
    type Err = DigestSyntax;

    fn from_str(text: &str) -> Result<Self, DigestSyntax> {
        let digits = text.strip_prefix("sha256:").ok_or(DigestSyntax)?;
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| DigestSyntax)?;
        Ok(Self(bytes))
    }
}
