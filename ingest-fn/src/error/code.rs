//! The stable names of every error.

use http::StatusCode;
use shared::problem::FieldProblem;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $status:ident, retryable $retryable:literal;)*) => {
        /// A problem's `code`: clients branch on it, metrics have it as a label, and it never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl ErrorCode {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the answer.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Each code has one status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// A sentence for the OpenAPI document.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim(),)* }
            }

            /// True if the same request may succeed later.
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON of the expected shape.
    MalformedJson, "malformed_json", BAD_REQUEST, retryable false;
    /// The body ended early or broke off.
    UnreadableBody, "unreadable_body", BAD_REQUEST, retryable true;
    /// `Idempotency-Key` is missing, repeated or invalid.
    InvalidIdempotencyKey, "invalid_idempotency_key", BAD_REQUEST, retryable false;
    /// The body of `POST /invoke` is not an event of API Gateway.
    MalformedEvent, "malformed_event", BAD_REQUEST, retryable false;
    /// A query parameter occurs more than once.
    RepeatedParameter, "repeated_parameter", BAD_REQUEST, retryable false;
    /// The request has no signature of the gateway.
    SignatureMissing, "signature_missing", UNAUTHORIZED, retryable false;
    /// The gateway names no buyer.
    IdentityMissing, "identity_missing", UNAUTHORIZED, retryable false;
    /// The signature is not the gateway's, or does not cover a required part.
    SignatureInvalid, "signature_invalid", FORBIDDEN, retryable false;
    /// The body names another buyer than the gateway does.
    UserMismatch, "user_mismatch", FORBIDDEN, retryable false;
    /// No such route.
    NotFound, "not_found", NOT_FOUND, retryable false;
    /// The route does not support the method.
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, retryable false;
    /// The body did not arrive in time.
    BodyTimeout, "body_timeout", REQUEST_TIMEOUT, retryable true;
    /// The sale has not opened.
    SaleNotOpen, "sale_not_open", CONFLICT, retryable true;
    /// The sale has closed.
    SaleClosed, "sale_closed", GONE, retryable false;
    /// The body exceeds the maximum size.
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, retryable false;
    /// The body is not `application/json`.
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, retryable false;
    /// Fields break rules of several kinds, or of a kind without its own code.
    InvalidOrder, "invalid_order", UNPROCESSABLE_ENTITY, retryable false;
    /// There is no such sale.
    UnknownSale, "unknown_sale", UNPROCESSABLE_ENTITY, retryable false;
    /// The sale does not sell the SKU.
    UnknownSku, "unknown_sku", UNPROCESSABLE_ENTITY, retryable false;
    /// The order exceeds the purchase limit of one buyer.
    QuantityOverLimit, "quantity_over_limit", UNPROCESSABLE_ENTITY, retryable false;
    /// The sale has another currency.
    WrongCurrency, "wrong_currency", UNPROCESSABLE_ENTITY, retryable false;
    /// This instance has its maximum of requests in flight.
    Overloaded, "overloaded", TOO_MANY_REQUESTS, retryable true;
    /// This instance has its maximum of messages in flight.
    QueueFull, "queue_full", SERVICE_UNAVAILABLE, retryable true;
    /// The broker throttles.
    BrokerThrottled, "broker_throttled", SERVICE_UNAVAILABLE, retryable true;
    /// The broker did not acknowledge in time.
    PublishTimeout, "publish_timeout", SERVICE_UNAVAILABLE, retryable true;
    /// The broker rejected the message, or cannot be reached.
    PublishFailed, "publish_failed", SERVICE_UNAVAILABLE, retryable true;
    /// The instance is stopping.
    Stopping, "stopping", SERVICE_UNAVAILABLE, retryable true;
}

impl ErrorCode {
    /// The common code of all `problems` if the catalogue found them and they are of one kind, else
    /// [`Self::InvalidOrder`].
    pub(super) fn from_problems(problems: &[FieldProblem]) -> Self {
        const CATALOGUE: [ErrorCode; 4] = [
            ErrorCode::UnknownSale,
            ErrorCode::UnknownSku,
            ErrorCode::QuantityOverLimit,
            ErrorCode::WrongCurrency,
        ];
        let is_common = |code: &Self| problems.iter().all(|problem| problem.code == code.as_str());
        CATALOGUE
            .into_iter()
            .find(|code| !problems.is_empty() && is_common(code))
            .unwrap_or(Self::InvalidOrder)
    }
}
