//! The buyers' look-up, `GET /v1/orders/{order_id}`: what the drain worker answers and what ingest-fn documents.

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// The outcome of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderView {
    /// The order's id.
    #[schemars(extend("format" = "uuid"))]
    pub order_id: String,
    /// `confirmed`, `rejected` or `dead_lettered`; the last one until an operator has repaired the cause.
    #[schemars(extend("enum" = ["confirmed", "rejected", "dead_lettered"]))]
    pub state: String,
    /// `sold_out`, `limit_exceeded`, or the reason of the dead letter; absent if confirmed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Digest of the decided payload. A different digest in a 202 means that another payload was decided first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
    /// Number of later payloads under the same id, which were not decided.
    pub conflicts: u64,
    /// W3C trace context of the decided request, if it had one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// When an operator discarded the dead letter, RFC 3339; the order will not be decided any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(extend("format" = "date-time"))]
    pub discarded_at: Option<String>,
    /// RFC 3339, by the ingest function's clock.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(extend("format" = "date-time"))]
    pub accepted_at: Option<String>,
    /// When the order was decided, last failed or was discarded, RFC 3339, by the database's clock.
    #[schemars(extend("format" = "date-time"))]
    pub decided_at: String,
}

/// The reason why a look-up has no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// The path holds no UUID.
    InvalidOrderId,
    /// A query parameter occurs more than once.
    RepeatedParameter,
    /// The request has no signature of the gateway.
    SignatureMissing,
    /// The gateway names no buyer.
    IdentityMissing,
    /// The signature is not the gateway's.
    SignatureInvalid,
    /// The gateway's name of the buyer is no user id.
    IdentityUnusable,
    /// The order is not decided yet, or does not exist.
    OrderNotFound,
    /// Too many look-ups are in flight.
    Overloaded,
    /// The database does not answer.
    DatabaseUnavailable,
}

impl LookupError {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::InvalidOrderId,
        Self::RepeatedParameter,
        Self::SignatureMissing,
        Self::IdentityMissing,
        Self::SignatureInvalid,
        Self::IdentityUnusable,
        Self::OrderNotFound,
        Self::Overloaded,
        Self::DatabaseUnavailable,
    ];

    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidOrderId => (StatusCode::BAD_REQUEST, "invalid_order_id", "An order id is a UUID."),
            Self::RepeatedParameter => {
                (StatusCode::BAD_REQUEST, "repeated_parameter", "Send each query parameter once.")
            }
            Self::SignatureMissing => {
                (StatusCode::UNAUTHORIZED, "signature_missing", "Look orders up through the gateway.")
            }
            Self::IdentityMissing => {
                (StatusCode::UNAUTHORIZED, "identity_missing", "Sign in: the gateway did not name the buyer.")
            }
            Self::SignatureInvalid => (
                StatusCode::FORBIDDEN,
                "signature_invalid",
                "Look orders up through the gateway, with one of each header.",
            ),
            Self::IdentityUnusable => (
                StatusCode::FORBIDDEN,
                "identity_unusable",
                "The gateway names you by something that is no user id: signing in again does not help.",
            ),
            Self::OrderNotFound => (
                StatusCode::NOT_FOUND,
                "order_not_found",
                "No such order yet. If it was answered 202 it is still queued: ask again.",
            ),
            Self::Overloaded => (StatusCode::TOO_MANY_REQUESTS, "overloaded", "Too many lookups in flight."),
            Self::DatabaseUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "database_unavailable",
                "The order cannot be looked up now.",
            ),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.parts().0
    }

    /// The problem's `code`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.parts().1
    }

    /// True if the look-up may succeed later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::OrderNotFound | Self::Overloaded | Self::DatabaseUnavailable)
    }

    /// The answer; `retry_after_s` counts only if the look-up may succeed later.
    #[must_use]
    pub fn into_problem(self, retry_after_s: u32) -> Problem {
        let (status, code, detail) = self.parts();
        let problem = Problem::new(status, code, detail);
        if self.is_retryable() { problem.retry_after(retry_after_s) } else { problem }
    }
}
