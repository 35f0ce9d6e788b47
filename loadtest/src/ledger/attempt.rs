//! The ends of all requests, as small as they can be: a run may have fifty million.

use shared::order::{OrderId, PayloadDigest};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnding {
    Accepted,
    /// An answer by which the service states that it published nothing.
    Refused,
    /// A failure after which the broker may have the order.
    Failed,
    /// No response: the order may or may not exist.
    Unknown,
    /// The request was invalid on purpose: with any response it must create nothing.
    Invalid,
}

impl AttemptEnding {
    /// By their numbers.
    const ALL: [Self; 5] = [Self::Accepted, Self::Refused, Self::Failed, Self::Unknown, Self::Invalid];
}

/// The comparison of a response's order id and digest with the derived ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMatch {
    /// The response names no order.
    None,
    Matches,
    Differs,
}

impl AnswerMatch {
    /// By their numbers.
    const ALL: [Self; 3] = [Self::None, Self::Matches, Self::Differs];
}

/// The first eight bytes of a digest: enough to distinguish the payloads of one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payload(u64);

impl From<PayloadDigest> for Payload {
    fn from(digest: PayloadDigest) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// Bytes of an attempt in a file.
pub(super) const ATTEMPT_BYTES: usize = 48;

/// The end of one request. Everything else follows from its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The expected id, derived here and not taken from the response.
    pub order_id: OrderId,
    /// The id under which the system knows the order: the derived one or, without the system's keys, that in the
    /// accepting response. Derived ids only group the attempts then.
    pub answered_id: OrderId,
    /// The derived digest; of an invalid request: any.
    pub payload: Payload,
    pub number: u32,
    /// Index of the problem code in [`super::Attempts`]; any other value: none.
    pub code: u16,
    pub ending: AttemptEnding,
    pub answer: AnswerMatch,
}

impl Attempt {
    /// True if the order may exist.
    pub const fn may_exist(&self) -> bool {
        matches!(self.ending, AttemptEnding::Accepted | AttemptEnding::Failed | AttemptEnding::Unknown)
    }

    pub fn is_accepted(&self) -> bool {
        self.ending == AttemptEnding::Accepted
    }

    pub(super) const fn sort_key(&self) -> (OrderId, u32) {
        (self.order_id, self.number)
    }

    pub(super) fn to_bytes(self) -> [u8; ATTEMPT_BYTES] {
        let mut bytes = [0; ATTEMPT_BYTES];
        bytes[..16].copy_from_slice(self.order_id.as_bytes());
        bytes[16..32].copy_from_slice(self.answered_id.as_bytes());
        bytes[32..40].copy_from_slice(&self.payload.0.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.number.to_le_bytes());
        bytes[44..46].copy_from_slice(&self.code.to_le_bytes());
        bytes[46] = self.ending as u8;
        bytes[47] = self.answer as u8;
        bytes
    }

    /// `None`: not the bytes of an attempt.
    pub(super) fn from_bytes(bytes: &[u8; ATTEMPT_BYTES]) -> Option<Self> {
        Some(Self {
            order_id: OrderId::from_bytes(bytes[..16].try_into().ok()?),
            answered_id: OrderId::from_bytes(bytes[16..32].try_into().ok()?),
            payload: Payload(u64::from_le_bytes(bytes[32..40].try_into().ok()?)),
            number: u32::from_le_bytes(bytes[40..44].try_into().ok()?),
            code: u16::from_le_bytes(bytes[44..46].try_into().ok()?),
            ending: *AttemptEnding::ALL.get(usize::from(bytes[46]))?,
            answer: *AnswerMatch::ALL.get(usize::from(bytes[47]))?,
        })
    }
}

/// Answers by which ingest-fn or the platform states that it published nothing (see ingest-fn's README). Any other
/// failure leaves the order's existence open.
pub fn nothing_was_published(code: &str) -> bool {
    const CODES: [&str; 27] = [
        "malformed_json",
        "invalid_order",
        "unknown_sale",
        "unknown_sku",
        "wrong_currency",
        "quantity_over_limit",
        "unreadable_body",
        "invalid_idempotency_key",
        "malformed_event",
        "repeated_parameter",
        "signature_missing",
        "identity_missing",
        "signature_invalid",
        "user_mismatch",
        "not_found",
        "method_not_allowed",
        "body_timeout",
        "sale_not_open",
        "sale_closed",
        "body_too_large",
        "unsupported_media_type",
        "unsupported_content_encoding",
        "identity_unusable",
        "price_changed",
        "key_reused",
        "overloaded",
        "fc_throttled",
    ];
    CODES.contains(&code)
}
