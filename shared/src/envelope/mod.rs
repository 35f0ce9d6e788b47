//! The envelope: one RocketMQ message carries a batch of 1 to [`ORDERS_MAX`] accepted orders.
//!
//! # Format
//! Self-described CBOR (RFC 8949): tag 55799 around an array of two, `[version, orders]`. The version comes
//! first, so that a reader sees it before anything it may not understand. An order is a map with small
//! integer keys; a reader skips unknown keys, so a version can gain optional fields. `shared/docs/envelope.cddl` has
//! the grammar, `shared/docs/adr/0002-envelope-is-cbor.md` the reasons, `shared/tests/golden/` a file for each shape
//! that every later version must still read.
//!
//! # Versions
//! Writers write [`VERSION`]. Readers read every version in [`VERSIONS_READ`]. A version is retired only when
//! the broker can hold no message of it any more.

mod v1;

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::order::AcceptedOrder;

/// The version that [`encode_batch`] writes.
pub const VERSION: u32 = 1;

/// The versions that [`decode_batch`] reads. From version 2 on, at least two.
pub const VERSIONS_READ: RangeInclusive<u32> = 1..=VERSION;

/// Maximum orders of one message.
pub const ORDERS_MAX: usize = 1_024;

/// Maximum bytes of one message: RocketMQ's limit for a body.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Maximum bytes before the first order: tag (3), array of two (1), version (1), array header (3).
pub const PREFIX_BYTES_MAX: usize = 8;

const _: () = assert!(ORDERS_MAX <= u16::MAX as usize, "the array header is at most 3 bytes");
const _: () = assert!(VERSION < 24, "the version is one byte");

/// An encoded order, ready for [`encode_batch`].
#[derive(Clone, Debug)]
pub struct EncodedOrder(Vec<u8>);

impl EncodedOrder {
    /// Encodes `order` in the current [`VERSION`].
    #[must_use]
    pub fn new(order: &AcceptedOrder) -> Self {
        Self(v1::encode(order))
    }

    /// Bytes that the order adds to a batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Always false: an order has fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Joins encoded orders into one message.
///
/// # Panics
/// In debug builds, if `orders` is empty or longer than [`ORDERS_MAX`]: callers batch within the bound.
#[must_use]
pub fn encode_batch<'a>(orders: impl ExactSizeIterator<Item = &'a EncodedOrder> + Clone) -> Bytes {
    let count = orders.len();
    debug_assert!((1..=ORDERS_MAX).contains(&count), "a batch has 1 to {ORDERS_MAX} orders");
    let bytes = PREFIX_BYTES_MAX + orders.clone().map(EncodedOrder::len).sum::<usize>();
    let mut buffer = Vec::with_capacity(bytes);
    buffer.extend_from_slice(&[0xd9, 0xd9, 0xf7, 0x82, VERSION as u8]);
    match count {
        0..24 => buffer.push(0x80 | count as u8),
        24..256 => buffer.extend_from_slice(&[0x98, count as u8]),
        _ => {
            buffer.push(0x99);
            buffer.extend_from_slice(&(count as u16).to_be_bytes());
        }
    }
    for order in orders {
        buffer.extend_from_slice(&order.0);
    }
    Bytes::from(buffer)
}

/// The reason why a message is not a batch of orders. Never quotes the message: it holds personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The message exceeds [`BYTES_MAX`].
    #[error("the message has {bytes} bytes, more than {BYTES_MAX}")]
    TooLarge {
        /// Size of the message.
        bytes: usize,
    },
    /// The message is not the expected CBOR.
    #[error("the message is not a batch of orders: {what}")]
    Malformed {
        /// The mismatch, without content.
        what: String,
    },
    /// The message has an envelope version that this reader does not know.
    #[error("the message has envelope version {found}; this reader knows {} to {}", VERSIONS_READ.start(), VERSIONS_READ.end())]
    UnknownVersion {
        /// The version found.
        found: u32,
    },
    /// A field breaks the bounds that every writer respects.
    #[error("order {index} of the message has an invalid {field}")]
    InvalidField {
        /// Position in the batch, from 0.
        index: usize,
        /// The field.
        field: &'static str,
    },
}

impl EnvelopeError {
    fn malformed(error: &minicbor::decode::Error) -> Self {
        Self::Malformed { what: error.to_string() }
    }
}

/// Reads a message of any version in [`VERSIONS_READ`].
///
/// # Errors
/// [`EnvelopeError`]; the caller moves such a message to the dead letters.
pub fn decode_batch(message: &[u8]) -> Result<Vec<AcceptedOrder>, EnvelopeError> {
    if message.len() > BYTES_MAX {
        return Err(EnvelopeError::TooLarge { bytes: message.len() });
    }
    let mut decoder = minicbor::Decoder::new(message);
    let malformed = |error: minicbor::decode::Error| EnvelopeError::malformed(&error);
    let tag = decoder.tag().map_err(malformed)?;
    if tag.as_u64() != 55_799 {
        return Err(EnvelopeError::Malformed { what: "the self-describing tag is missing".to_owned() });
    }
    if decoder.array().map_err(malformed)? != Some(2) {
        return Err(EnvelopeError::Malformed { what: "not an array of version and orders".to_owned() });
    }
    let version = decoder.u32().map_err(malformed)?;
    match version {
        1 => v1::decode_orders(&mut decoder),
        found => Err(EnvelopeError::UnknownVersion { found }),
    }
}
