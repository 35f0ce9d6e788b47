//! Orders and messages that cannot be decided, kept so that nothing is lost.

use std::fmt;

use bytes::Bytes;
use shared::envelope::{EncodedOrder, encode_batch};
use shared::order::{AcceptedOrder, OrderId, PayloadDigest, UserId};

/// Longest detail, characters.
pub const DETAIL_CHARS_MAX: usize = 500;

/// Longest message id, characters; the rest is cut off. RocketMQ's have 34.
pub const MESSAGE_ID_CHARS_MAX: usize = 128;

/// Why something is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeadLetterReason {
    /// The database does not have the sale or the SKU: an operator's mistake. Apply the catalogue, send it again.
    UnknownSku,
    /// No lines, a SKU twice, or a total beyond bounds: no release of ingest-fn accepts such an order.
    InvalidOrder,
    /// The database refuses the row.
    RefusedByDatabase,
    /// The message is not a batch of orders.
    MalformedMessage,
    /// The message has an envelope version that this program does not read.
    UnknownVersion,
    /// The message was delivered as often as the configuration allows.
    AttemptsExhausted,
}

impl DeadLetterReason {
    /// Every reason.
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

    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// One order or one whole message to keep.
#[derive(Clone)]
pub struct DeadLetter {
    pub(super) subject: Subject,
    /// Whose order it is.
    pub(super) user_id: Option<UserId>,
    pub(super) message_id: Option<String>,
    pub(super) reason: DeadLetterReason,
    pub(super) detail: String,
    pub(super) payload: Bytes,
}

/// What a letter is about. The same subject again updates its letter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Order(OrderId, PayloadDigest),
    /// Identified by the letter's message id.
    Message,
}

impl DeadLetter {
    /// A letter for one order. `detail` is for people and must hold no personal data.
    #[must_use]
    pub fn of_order(order: &AcceptedOrder, reason: DeadLetterReason, detail: &str) -> Self {
        Self {
            subject: Subject::Order(order.order_id, order.digest),
            user_id: Some(order.user_id.clone()),
            message_id: None,
            reason,
            detail: cut(detail, DETAIL_CHARS_MAX),
            // A message of its own, so that sending a letter again needs no knowledge of what is in it.
            payload: encode_batch(std::iter::once(&EncodedOrder::new(order))),
        }
    }

    /// A letter for a message that cannot be taken apart into orders. `detail` must hold no personal data.
    #[must_use]
    pub fn of_message(message_id: &str, body: Bytes, reason: DeadLetterReason, detail: &str) -> Self {
        Self {
            subject: Subject::Message,
            user_id: None,
            message_id: Some(cut(message_id, MESSAGE_ID_CHARS_MAX)),
            reason,
            detail: cut(detail, DETAIL_CHARS_MAX),
            payload: body,
        }
    }

    /// Notes which message an order came in.
    #[must_use]
    pub fn in_message(mut self, message_id: &str) -> Self {
        self.message_id = Some(cut(message_id, MESSAGE_ID_CHARS_MAX));
        self
    }

    pub(super) fn dedup_key(&self) -> Vec<u8> {
        match self.subject {
            Subject::Order(order_id, digest) => dedup_key(order_id, digest),
            Subject::Message => [b"m", self.message_id.as_deref().unwrap_or_default().as_bytes()].concat(),
        }
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DeadLetter({}, {} bytes)", self.reason.as_str(), self.payload.len())
    }
}

/// Identifies the letter of an order: the same id with another payload is another letter.
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
    fn reasons_read_back_from_their_names() {
        for reason in DeadLetterReason::ALL {
            assert_eq!(DeadLetterReason::from_name(reason.as_str()), Some(reason));
            assert!(reason.as_str().len() <= 32, "the column's width");
        }
    }

    #[test]
    fn texts_are_cut_by_characters() {
        let letter = DeadLetter::of_message(
            &"m".repeat(200),
            Bytes::from_static(b"x"),
            DeadLetterReason::MalformedMessage,
            &"路".repeat(600),
        );
        assert_eq!(letter.detail.chars().count(), DETAIL_CHARS_MAX);
        assert_eq!(letter.dedup_key().len(), 1 + MESSAGE_ID_CHARS_MAX);
        assert_eq!(format!("{letter:?}"), "DeadLetter(malformed_message, 1 bytes)");
    }
}
