//! The ends of all requests, as small as they can be: a run may have fifty million.

use std::sync::Arc;

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

/// The comparison of a response's order id and digest with the derived ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMatch {
    /// The response names no order.
    None,
    Matches,
    Differs,
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

/// The end of one request. Everything else follows from its number.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The expected id, derived here and not taken from the response.
    pub order_id: OrderId,
    /// The derived digest; of an invalid request: any.
    pub payload: Payload,
    pub number: u32,
    /// Index of the problem code in [`Attempts`]; any other value: none.
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
}

/// All requests of a run that name an order, ascending by order id.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    sorted: Vec<Attempt>,
    codes: Vec<Arc<str>>,
    /// The order ids in the accepting responses, by number; empty if the ids are derived.
    answered: Vec<(u32, OrderId)>,
}

impl Attempts {
    /// `codes`: the problem codes, or `status_NNN`, that the attempts refer to.
    pub fn new(mut attempts: Vec<Attempt>, codes: Vec<Arc<str>>) -> Self {
        attempts.sort_unstable_by_key(|attempt| (attempt.order_id, attempt.number));
        Self { sorted: attempts, codes, answered: Vec::new() }
    }

    /// Takes the order ids of the accepting responses, by number: without the system's keys, derived ids only group the
    /// attempts.
    pub fn with_answered_ids(mut self, mut answered: Vec<(u32, OrderId)>) -> Self {
        answered.sort_unstable();
        self.answered = answered;
        self
    }

    /// The id under which the system knows the order of an accepted attempt.
    pub fn answered_id(&self, attempt: &Attempt) -> OrderId {
        let place = self.answered.binary_search_by_key(&attempt.number, |(number, _)| *number);
        place.map_or(attempt.order_id, |place| self.answered[place].1)
    }

    pub fn as_slice(&self) -> &[Attempt] {
        &self.sorted
    }

    pub fn code(&self, attempt: &Attempt) -> &str {
        self.codes.get(usize::from(attempt.code)).map_or("?", AsRef::as_ref)
    }

    /// The attempts of each order.
    pub fn by_order(&self) -> impl Iterator<Item = &[Attempt]> {
        self.sorted.chunk_by(|one, other| one.order_id == other.order_id)
    }
}

/// Answers by which ingest-fn or the platform states that it published nothing (see ingest-fn's README). Any other
/// failure leaves the order's existence open.
pub fn nothing_was_published(code: &str) -> bool {
    const CODES: [&str; 23] = [
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
        "overloaded",
        "fc_throttled",
    ];
    CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_has_32_bytes() {
        assert_eq!(size_of::<Attempt>(), 32);
    }
}
