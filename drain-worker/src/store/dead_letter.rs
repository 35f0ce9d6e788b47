//! Orders and messages that cannot be decided, stored so that none is lost.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use shared::envelope::{EncodedOrder, encode_batch};
use shared::order::{AcceptedOrder, OrderId, PayloadDigest, UserId};

/// Maximum length of the detail, characters.
pub const DETAIL_CHARS_MAX: usize = 500;

/// Maximum length of the message id, characters; longer ones are truncated. RocketMQ's have 34.
pub const MESSAGE_ID_CHARS_MAX: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeadLetterReason {
    /// The database lacks the sale or the SKU, by an operator's mistake: apply the catalogue and redrive.
    UnknownSku,
    /// No lines, a SKU twice, or a total out of bounds: no release of ingest-fn accepts such an order.
    InvalidOrder,
    RefusedByDatabase,
    /// The message is not a batch of orders.
    MalformedMessage,
    /// This version cannot read the message's envelope version.
    UnknownVersion,
    /// The message was delivered as often as the configuration allows.
    AttemptsExhausted,
}

impl DeadLetterReason {
    pub const ALL: [Self; 6] = [
        Self::UnknownSku,
        Self::InvalidOrder,
        Self::RefusedByDatabase,
        Self::MalformedMessage,
        Self::UnknownVersion,
        Self::AttemptsExhausted,
    ];

    /// The name used in the database, the API and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownSku => "unknown_sku",
            Self::InvalidOrder => "invalid_order",
            Self::RefusedByDatabase => "refused_by_database",
            Self::MalformedMessage => "malformed_message",
            Self::UnknownVersion => "unknown_version",
            Self::AttemptsExhausted => "attempts_exhausted",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// One order or one whole message.
#[derive(Clone)]
pub struct DeadLetter {
    pub(super) subject: Subject,
    pub(super) user_id: Option<UserId>,
    pub(super) message_id: Option<String>,
    pub(super) reason: DeadLetterReason,
    pub(super) detail: String,
    pub(super) payload: Bytes,
}

/// The same subject again updates its dead letter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Order(OrderId, PayloadDigest),
    /// The SHA-256 of the message's whole id: ids of other clients have any length and any characters.
    Message([u8; 32]),
}

impl DeadLetter {
    /// A dead letter of one order. `detail` must contain no personal data.
    #[must_use]
    pub fn of_order(order: &AcceptedOrder, reason: DeadLetterReason, detail: &str) -> Self {
        Self {
            subject: Subject::Order(order.order_id, order.digest),
            user_id: Some(order.user_id.clone()),
            message_id: None,
            reason,
            detail: cut(detail, DETAIL_CHARS_MAX),
            // A complete message, so that a redrive needs no knowledge of its content.
            payload: encode_batch(std::iter::once(&EncodedOrder::new(order))),
        }
    }

    /// A dead letter of a message that cannot be decoded. `detail` must contain no personal data.
    #[must_use]
    pub fn of_message(message_id: &str, body: Bytes, reason: DeadLetterReason, detail: &str) -> Self {
        Self {
            subject: Subject::Message(Sha256::digest(message_id).into()),
            user_id: None,
            message_id: Some(cut(message_id, MESSAGE_ID_CHARS_MAX)),
            reason,
            detail: cut(detail, DETAIL_CHARS_MAX),
            payload: body,
        }
    }

    /// Sets the message that contained the order.
    #[must_use]
    pub fn in_message(mut self, message_id: &str) -> Self {
        self.message_id = Some(cut(message_id, MESSAGE_ID_CHARS_MAX));
        self
    }

    pub(super) fn dedup_key(&self) -> Vec<u8> {
        match self.subject {
            Subject::Order(order_id, digest) => dedup_key(order_id, digest),
            Subject::Message(digest) => [b"m", digest.as_slice()].concat(),
        }
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DeadLetter({}, {} bytes)", self.reason.as_str(), self.payload.len())
    }
}

/// Identifies an order's dead letter: the same id with another payload is another dead letter.
pub(super) fn dedup_key(order_id: OrderId, digest: PayloadDigest) -> Vec<u8> {
    [b"o", order_id.as_bytes().as_slice(), digest.as_bytes()].concat()
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_round_trip() {
        for reason in DeadLetterReason::ALL {
            assert_eq!(DeadLetterReason::from_name(reason.as_str()), Some(reason));
            assert!(reason.as_str().len() <= 32, "the column's width");
        }
    }

    #[test]
    fn texts_are_truncated_by_characters() {
        let letter = DeadLetter::of_message(
            &"m".repeat(200),
            Bytes::from_static(b"x"),
            DeadLetterReason::MalformedMessage,
            &"路".repeat(600),
        );
        assert_eq!(letter.detail.chars().count(), DETAIL_CHARS_MAX);
        assert_eq!(letter.dedup_key().len(), 33);
        assert_eq!(format!("{letter:?}"), "DeadLetter(malformed_message, 1 bytes)");
    }
}
